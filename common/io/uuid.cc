#include "common/io/uuid.h"

#include <cstdint>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::io {

std::string NewUuid(base::RandomSource& random) {
  std::string bytes(16, '\0');
  for (std::size_t i = 0; i < 2; ++i) {
    const std::uint64_t word = random.Next();
    std::memcpy(bytes.data() + 8 * i, &word, sizeof(word));
  }
  const auto set = [&](std::size_t at, unsigned keep, unsigned add) {
    bytes[at] = static_cast<char>((static_cast<unsigned char>(bytes[at]) & keep) | add);
  };
  set(6, 0x0FU, 0x40U);
  set(8, 0x3FU, 0x80U);
  return bytes;
}

std::string FormatUuid(absl::string_view bytes) {
  if (bytes.size() != 16) return "(not a uuid)";
  const std::string hex = absl::BytesToHexString(bytes);
  const absl::string_view view = hex;
  return absl::StrCat(view.substr(0, 8), "-", view.substr(8, 4), "-", view.substr(12, 4), "-",
                      view.substr(16, 4), "-", view.substr(20));
}

}  // namespace netsentinel::io
