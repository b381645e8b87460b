#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::base {

// LEB128, at most 10 bytes; the journal and the spool are built of these.
inline void AppendVarint(std::string& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

inline constexpr std::uint64_t ZigZag(std::int64_t value) {
  return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline constexpr std::int64_t UnZigZag(std::uint64_t value) {
  return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

// now − before as it travels: wraps for counters more than 2⁶³ apart, and ApplyDifference undoes
// it.
inline constexpr std::uint64_t EncodeDifference(std::uint64_t before, std::uint64_t now) {
  return ZigZag(static_cast<std::int64_t>(now - before));
}
inline constexpr std::uint64_t ApplyDifference(std::uint64_t before, std::uint64_t encoded) {
  return before + static_cast<std::uint64_t>(UnZigZag(encoded));
}

// Reads what AppendVarint and AppendBytes wrote from bytes that may be damaged. Every getter
// returns nothing past the end or on a malformed value, and from then on always.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : rest_(bytes) {}

  std::optional<std::uint64_t> Varint() {
    std::uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return Fail();
      const auto byte = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      if (shift == 63 && byte > 1) return Fail();
      value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return Fail();
  }
  // A length followed by that many bytes. The view lives as long as the input.
  std::optional<absl::string_view> Bytes() {
    const std::optional<std::uint64_t> length = Varint();
    if (!length.has_value() || *length > rest_.size()) {
      Fail();
      return std::nullopt;
    }
    const absl::string_view value = rest_.substr(0, *length);
    rest_.remove_prefix(*length);
    return value;
  }
  bool done() const { return rest_.empty() && !failed_; }
  bool failed() const { return failed_; }
  std::size_t remaining() const { return rest_.size(); }

 private:
  std::optional<std::uint64_t> Fail() {
    failed_ = true;
    rest_ = {};
    return std::nullopt;
  }
  absl::string_view rest_;
  bool failed_ = false;
};

inline void AppendBytes(std::string& out, absl::string_view bytes) {
  AppendVarint(out, bytes.size());
  out.append(bytes.data(), bytes.size());
}

}  // namespace netsentinel::base
