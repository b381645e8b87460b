#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::config {

// Where something listens or is reached.
struct Address {
  std::string host;  // an IPv4 or IPv6 literal without brackets, or a DNS name
  std::uint16_t port = 0;

  bool operator==(const Address&) const = default;
};

// "127.0.0.1:9101", "[::1]:9101", "host.example:25". Port 0 lets the kernel choose.
absl::StatusOr<Address> ParseAddress(absl::string_view text);

// The inverse: brackets around IPv6.
std::string FormatAddress(const Address& address);

// 127.0.0.0/8, ::1 or "localhost".
bool IsLoopback(absl::string_view host);

// True for an IPv4 or IPv6 literal.
bool IsIpLiteral(absl::string_view host);

// Checks a gRPC target: "dns:///host:port", "ipv4:a.b.c.d:port", "ipv6:[…]:port" or "host:port",
// and gives its host and port.
absl::StatusOr<Address> ParseTarget(absl::string_view text);

}  // namespace netsentinel::config
