// Any bytes as the pages of a file that rows are looked for in.
#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/btree_pages.h"
#include "common/base/check.h"
#include "tests/fuzz/planted_bug.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using netsentinel::base::ForEachPageRow;
  using netsentinel::base::PageRow;
  using netsentinel::base::PageValue;
  constexpr std::uint32_t kPage = 512;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto count = static_cast<std::uint32_t>((size + kPage - 1) / kPage);
  const auto page = [&](std::uint32_t number) {
    std::string content = bytes.substr((number - 1) * kPage, kPage);
    content.resize(kPage);
    return content;
  };
  constexpr std::uint64_t kMost = 4096;
  ForEachPageRow(kPage, 0, count, kMost, page, [&](const PageRow& row) {
    std::uint64_t held = 0;
    for (const PageValue& value : row.values) {
      const auto* text = std::get_if<std::string>(&value);
      if (text != nullptr) held += text->size();
    }
    NS_CHECK(held <= kMost, "a row that is longer than rows may be");
    NS_PLANT_BUG_IF(row.values.size() > 2 && row.number == 9);
  });
  return 0;
}
