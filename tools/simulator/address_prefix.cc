#include "tools/simulator/address_prefix.h"

#include <array>
#include <cstdint>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <arpa/inet.h>

namespace netsentinel::simulator {
namespace {

constexpr unsigned kMappedBits = 96;

// An IPv4 address as ::ffff:a.b.c.d.
struct Prefix {
  std::array<std::uint8_t, 16> bytes = {};
  unsigned bits = 128;
};

std::optional<Prefix> Parse(absl::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Prefix prefix;
  const bool v4 = !absl::StrContains(address, ':');
  if (v4) {
    prefix.bytes[10] = prefix.bytes[11] = 0xFF;
    if (inet_pton(AF_INET, address.c_str(), &prefix.bytes[12]) != 1) return std::nullopt;
  } else if (inet_pton(AF_INET6, address.c_str(), prefix.bytes.data()) != 1) {
    return std::nullopt;
  }
  if (slash == absl::string_view::npos) return prefix;
  if (!absl::SimpleAtoi(text.substr(slash + 1), &prefix.bits)) return std::nullopt;
  if (prefix.bits > (v4 ? 32 : 128)) return std::nullopt;
  if (v4) prefix.bits += kMappedBits;
  return prefix;
}

bool Holds(const Prefix& prefix, const Prefix& address) {
  for (unsigned bit = 0; bit < prefix.bits; ++bit) {
    const auto mask = static_cast<std::uint8_t>(0x80U >> (bit % 8));
    if (((prefix.bytes[bit / 8] ^ address.bytes[bit / 8]) & mask) != 0) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckPrefix(absl::string_view prefix) {
  if (Parse(prefix).has_value()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("\"", prefix, "\" is not a prefix such as 10.10.0.0/24 or fd00::/8"));
}

bool InPrefixes(const std::vector<std::string>& prefixes, absl::string_view address) {
  const std::optional<Prefix> wanted = Parse(address);
  for (const std::string& text : prefixes) {
    const std::optional<Prefix> prefix = Parse(text);
    if (wanted.has_value() && prefix.has_value() && Holds(*prefix, *wanted)) return true;
  }
  return false;
}

}  // namespace netsentinel::simulator
