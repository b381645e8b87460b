#include "common/config/shared_sections.h"

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::config {
namespace {

TlsFiles ReadTlsFiles(Section& section) {
  Section tls = section.RequiredSection("tls");
  // The missing section is reported already.
  if (!tls.present()) return {};
  return {tls.RequiredPath("ca"), tls.RequiredPath("cert"), tls.RequiredPath("key"),
          tls.OptionalPath("crl", "")};
}

void RefuseInsecure(Section& section, absl::string_view host) {
  section.Fail(
      "insecure",
      absl::StrCat("plaintext is allowed on a loopback address only, and ", host,
                   " is not a loopback address"),
      "tls: {ca, cert, key}",
      "make certificates with `netsentinelctl certs init` and `netsentinelctl certs issue --role "
      "ROLE "
      "--name NAME`");
}

}  // namespace

Security ReadSecurity(Section& section, absl::string_view host) {
  Security security;
  security.insecure = section.OptionalBool("insecure", false);
  if (!security.insecure) {
    security.tls = ReadTlsFiles(section);
    return security;
  }
  if (section.OptionalSection("tls").present()) {
    section.Fail("insecure", "is true beside tls", "one of the two", "remove `insecure: true`");
  }
  if (!IsLoopback(host)) RefuseInsecure(section, host);
  return security;
}

Security ReadSecurityOr(Section& section, absl::string_view host, const Security& fallback) {
  if (section.has("insecure") || section.has("tls")) return ReadSecurity(section, host);
  section.OptionalBool("insecure", false);
  section.OptionalSection("tls");
  if (fallback.insecure && !IsLoopback(host)) RefuseInsecure(section, host);
  return fallback;
}

std::optional<Address> ReadListenAddress(Section& listen, absl::string_view key, bool required) {
  std::optional<Address> address;
  if (required) {
    address = listen.RequiredAddress(key);
  } else {
    address = listen.OptionalAddress(key);
  }
  if (!address.has_value() || address->host.empty()) return address;
  if (!IsIpLiteral(address->host) && !IsLoopback(address->host)) {
    listen.Fail(key, absl::StrCat("\"", address->host, "\" is a host name"),
                "an IP address to listen on",
                absl::StrCat("write 127.0.0.1:", address->port, " for this host only, 0.0.0.0:",
                             address->port, " or [::]:", address->port, " for all networks"));
  }
  return address;
}

Listen ReadListen(Section& root) {
  Section section = root.RequiredSection("listen");
  Listen listen;
  listen.max_connection_age = section.OptionalDuration("max_connection_age", absl::Hours(1),
                                                       {absl::Seconds(1), absl::Hours(24 * 365)});
  listen.max_connections =
      static_cast<std::size_t>(section.OptionalInteger("max_connections", 4096, {16, 100'000}));
  listen.max_connections_per_name = static_cast<std::size_t>(
      section.OptionalInteger("max_connections_per_name", 64, {2, 100'000}));
  if (!section.present()) return listen;
  listen.grpc = ReadListenAddress(section, "grpc", true).value_or(Address());
  listen.http = ReadListenAddress(section, "http", true).value_or(Address());
  return listen;
}

Peer ReadPeer(Section& section) {
  Peer peer;
  peer.target = section.RequiredTarget("target");
  const absl::StatusOr<Address> address = ParseTarget(peer.target);
  // A target that could not be read is reported already; do not report its host as well.
  peer.security = ReadSecurity(section, address.ok() ? address->host : "localhost");
  peer.environment_proxy = section.OptionalBool("environment_proxy", false);
  return peer;
}

}  // namespace netsentinel::config
