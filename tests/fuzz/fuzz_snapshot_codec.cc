#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/counters/snapshot_codec.h"
#include "tests/fuzz/planted_bug.h"

// What decodes must encode and decode again to the same; nothing may crash or allocate without
// bound.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace netsentinel::counters;  // NOLINT: a fuzz target
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto decoded = DecodeSelfContained(bytes); decoded.ok()) {
    NS_PLANT_BUG_IF(decoded->snapshot.menu == Menu::kSimple &&
                    decoded->snapshot.header.router_uptime_s > 100);
    const std::string again = EncodeSelfContained(decoded->snapshot, decoded->table);
    const auto twice = DecodeSelfContained(again);
    if (!twice.ok() || EncodeSelfContained(twice->snapshot, twice->table) != again) std::abort();
  }
  const QueueReading rows[] = {{0, 1, 2, 3}, {1, 100, 200, 300}, {2, 0, 0, 0}};
  const std::uint32_t row_of[] = {0, 1, 2};
  const ReadingBase base{rows, row_of};
  const netsentinel::base::RouterId router("r");
  if (const auto entry = DecodeJournal(base, router, Menu::kSimple, bytes); entry.ok()) {
    const auto again = DecodeJournal(base, router, Menu::kSimple,
                                     EncodeJournal(base, entry->snapshot, entry->added));
    if (!again.ok() || again->snapshot.header != entry->snapshot.header) std::abort();
  }
  return 0;
}
