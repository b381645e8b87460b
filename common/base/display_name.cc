#include "common/base/display_name.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace netsentinel::base {
namespace {

struct Decoded {
  std::size_t length = 0;  // 0: no valid sequence starts here
  std::uint32_t code_point = 0;
};

Decoded DecodeOne(absl::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  if (first < 0x80) return {1, first};
  std::size_t length = 0;
  std::uint32_t value = 0;
  std::uint32_t minimum = 0;
  if ((first & 0xE0) == 0xC0) {
    length = 2, value = first & 0x1FU, minimum = 0x80;
  } else if ((first & 0xF0) == 0xE0) {
    length = 3, value = first & 0x0FU, minimum = 0x800;
  } else if ((first & 0xF8) == 0xF0) {
    length = 4, value = first & 0x07U, minimum = 0x10000;
  } else {
    return {};
  }
  if (text.size() < length) return {};
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    value = (value << 6) | (byte(i) & 0x3FU);
  }
  if (value < minimum || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) return {};
  return {length, value};
}

bool IsControl(std::uint32_t code_point) {
  return code_point < 0x20 || (code_point >= 0x7F && code_point < 0xA0);
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

bool IsValidUtf8(absl::string_view text) {
  while (!text.empty()) {
    const Decoded one = DecodeOne(text);
    if (one.length == 0) return false;
    text.remove_prefix(one.length);
  }
  return true;
}

std::string DisplayName(absl::string_view raw) {
  std::string out;
  out.reserve(raw.size());
  while (!raw.empty()) {
    const Decoded one = DecodeOne(raw);
    if (one.length == 0 || IsControl(one.code_point)) {
      const std::size_t escaped = one.length == 0 ? 1 : one.length;
      for (std::size_t i = 0; i < escaped; ++i) {
        absl::StrAppendFormat(&out, "\\x%02X", static_cast<std::uint8_t>(raw[i]));
      }
      raw.remove_prefix(escaped);
      continue;
    }
    if (raw.front() == '\\') {
      out += "\\\\";
    } else {
      out.append(raw.data(), one.length);
    }
    raw.remove_prefix(one.length);
  }
  return out;
}

absl::StatusOr<std::string> RawName(absl::string_view display) {
  std::string out;
  out.reserve(display.size());
  for (std::size_t i = 0; i < display.size(); ++i) {
    if (display[i] != '\\') {
      out += display[i];
      continue;
    }
    if (i + 1 < display.size() && display[i + 1] == '\\') {
      out += '\\';
      ++i;
      continue;
    }
    if (i + 3 < display.size() && display[i + 1] == 'x' && HexDigit(display[i + 2]) >= 0 &&
        HexDigit(display[i + 3]) >= 0) {
      out += static_cast<char>(HexDigit(display[i + 2]) * 16 + HexDigit(display[i + 3]));
      i += 3;
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("name \"", display, "\": the backslash at position ", i + 1,
                     " is neither \\\\ nor \\xHH; write \\\\ for a backslash"));
  }
  return out;
}

}  // namespace netsentinel::base
