#include "common/base/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

namespace netsentinel::base {
namespace {

// Slicing by eight: table[k][b] is the checksum of byte b followed by k zero bytes.
using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFFU];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

}  // namespace

std::uint32_t Crc32c(absl::string_view bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(),
                sizeof(word));  // little endian, as every Debian target of ours
    word ^= crc;
    crc = 0;
    for (std::size_t i = 0; i < 8; ++i) crc ^= kTables[7 - i][(word >> (8 * i)) & 0xFFU];
    bytes.remove_prefix(8);
  }
  for (const char c : bytes) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<std::uint8_t>(c)) & 0xFFU];
  }
  return ~crc;
}

void AppendCrc32c(std::string& bytes) {
  const std::uint32_t sum = Crc32c(bytes);
  for (std::size_t i = 0; i < kCrcBytes; ++i) {
    bytes.push_back(static_cast<char>((sum >> (8 * i)) & 0xFFU));
  }
}

std::optional<absl::string_view> WithoutCrc32c(absl::string_view sealed) {
  if (sealed.size() < kCrcBytes) return std::nullopt;
  const absl::string_view bytes = sealed.substr(0, sealed.size() - kCrcBytes);
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < kCrcBytes; ++i) {
    sum |= std::uint32_t{static_cast<std::uint8_t>(sealed[bytes.size() + i])} << (8 * i);
  }
  if (sum != Crc32c(bytes)) return std::nullopt;
  return bytes;
}

}  // namespace netsentinel::base
