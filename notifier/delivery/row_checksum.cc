#include "notifier/delivery/row_checksum.h"

#include <string>

#include "common/base/crc32c.h"
#include "common/base/varint.h"

namespace netsentinel::delivery {

std::uint32_t RowChecksum(std::initializer_list<absl::string_view> texts,
                          std::initializer_list<std::int64_t> numbers) {
  std::string fields;
  for (const absl::string_view text : texts) {
    base::AppendVarint(fields, text.size());
    base::AppendVarint(fields, base::Crc32c(text));
  }
  for (const std::int64_t number : numbers) base::AppendVarint(fields, base::ZigZag(number));
  return base::Crc32c(fields);
}

}  // namespace netsentinel::delivery
