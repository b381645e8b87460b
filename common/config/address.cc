#include "common/config/address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include <arpa/inet.h>
#include <netinet/in.h>

#include "common/base/status_macros.h"

namespace netsentinel::config {
namespace {

bool IsIpv4(absl::string_view host) {
  in_addr address{};
  return inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

bool IsIpv6(absl::string_view host) {
  in6_addr address{};
  return inet_pton(AF_INET6, std::string(host).c_str(), &address) == 1;
}

bool IsDnsName(absl::string_view host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.front() == '-') return false;
  bool digits_only = true;
  for (const char c : host) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '-' && c != '.' && c != '_') {
      return false;
    }
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c)) && c != '.') digits_only = false;
  }
  // "10.0.0" or "1.2.3.400": meant as an address, and wrong.
  return !digits_only;
}

absl::StatusOr<std::uint16_t> ParsePort(absl::string_view text) {
  std::uint32_t port = 0;
  if (text.empty() || text.size() > 5 ||
      !absl::ascii_isdigit(static_cast<unsigned char>(text[0])) || !absl::SimpleAtoi(text, &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("port \"", text, "\" is not between 0 and 65535"));
  }
  return static_cast<std::uint16_t>(port);
}

}  // namespace

absl::StatusOr<Address> ParseAddress(absl::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" has no port"));
  }
  absl::string_view host = text.substr(0, colon);
  NS_ASSIGN_OR_RETURN(const std::uint16_t port, ParsePort(text.substr(colon + 1)));
  if (absl::ConsumePrefix(&host, "[")) {
    if (!absl::ConsumeSuffix(&host, "]") || !IsIpv6(host)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" has no IPv6 address between its brackets"));
    }
    return Address{std::string(host), port};
  }
  if (host.find(':') != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" needs brackets around its IPv6 address"));
  }
  if (!IsIpv4(host) && !IsDnsName(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", host, "\" is neither an IP address nor a host name"));
  }
  return Address{std::string(host), port};
}

std::string FormatAddress(const Address& address) {
  if (absl::StrContains(address.host, ":"))
    return absl::StrCat("[", address.host, "]:", address.port);
  return absl::StrCat(address.host, ":", address.port);
}

bool IsLoopback(absl::string_view host) {
  if (absl::EqualsIgnoreCase(host, "localhost") || host == "::1") return true;
  return IsIpv4(host) && absl::StartsWith(host, "127.");
}

bool IsIpLiteral(absl::string_view host) { return IsIpv4(host) || IsIpv6(host); }

absl::StatusOr<Address> ParseTarget(absl::string_view text) {
  absl::string_view rest = text;
  if (!absl::ConsumePrefix(&rest, "dns:///") && !absl::ConsumePrefix(&rest, "ipv4:") &&
      !absl::ConsumePrefix(&rest, "ipv6:") && absl::StrContains(rest, "/")) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a known target"));
  }
  NS_ASSIGN_OR_RETURN(Address address, ParseAddress(rest));
  if (address.port == 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" needs a port above 0"));
  }
  return address;
}

}  // namespace netsentinel::config
