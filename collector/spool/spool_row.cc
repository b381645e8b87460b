#include "collector/spool/spool_row.h"

#include "absl/strings/str_cat.h"

#include "common/base/crc32c.h"
#include "common/base/varint.h"

namespace netsentinel::spool {

std::string MenuKeyText(const MenuKey& key) {
  return absl::StrCat(key.router.value(), " ", counters::MenuName(key.menu));
}

std::uint32_t HeaderCrc(const SpoolRow& row, std::uint32_t payload_crc) {
  std::string bytes;
  base::AppendBytes(bytes, row.key.router.value());
  base::AppendVarint(bytes, static_cast<std::uint64_t>(row.key.menu));
  base::AppendBytes(bytes, row.spool_uuid);
  base::AppendVarint(bytes, row.lease_epoch);
  base::AppendVarint(bytes, row.sequence);
  base::AppendVarint(bytes, row.previous_sequence);
  base::AppendVarint(bytes, base::ZigZag(row.attribution_us));
  base::AppendVarint(bytes, row.at_boundary ? 1 : 0);
  base::AppendVarint(bytes, payload_crc);
  return base::Crc32c(bytes);
}

}  // namespace netsentinel::spool
