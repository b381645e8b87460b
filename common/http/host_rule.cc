#include "common/http/host_rule.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include <boost/asio/ip/address.hpp>
#include <boost/system/error_code.hpp>

namespace netsentinel::http {
namespace {

namespace ip = boost::asio::ip;

bool IsPort(absl::string_view text) {
  return text.size() <= 5 && std::all_of(text.begin(), text.end(),
                                         [](unsigned char c) { return absl::ascii_isdigit(c); });
}

ip::address Parsed(absl::string_view text, boost::system::error_code& error) {
  const ip::address address = ip::make_address(std::string(text), error);
  if (!error && address.is_v6() && address.to_v6().is_v4_mapped()) {
    return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  }
  return address;
}

}  // namespace

std::string HostPart(absl::string_view host) {
  absl::string_view name = host;
  absl::string_view port;
  if (!host.empty() && host.front() == '[') {
    const std::size_t end = host.find(']');
    if (end == absl::string_view::npos) return "";
    name = host.substr(1, end - 1);
    const absl::string_view rest = host.substr(end + 1);
    if (!rest.empty() && rest.front() != ':') return "";
    port = rest.empty() ? rest : rest.substr(1);
  } else if (const std::size_t colon = host.find(':'); colon != absl::string_view::npos) {
    name = host.substr(0, colon);
    port = host.substr(colon + 1);
  }
  if (!IsPort(port)) return "";
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return absl::AsciiStrToLower(name);
}

bool AsksForUs(absl::string_view host, absl::string_view own_address,
               absl::Span<const std::string> names) {
  const std::string name = HostPart(host);
  if (name.empty()) return false;
  if (name == "localhost") return true;
  for (const std::string& known : names) {
    if (HostPart(known) == name) return true;
  }
  boost::system::error_code error;
  const ip::address asked = Parsed(name, error);
  if (error) return false;
  if (asked.is_loopback()) return true;
  const ip::address own = Parsed(own_address, error);
  return !error && asked == own;
}

}  // namespace netsentinel::http
