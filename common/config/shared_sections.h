#pragma once

#include <optional>
#include <string>

#include "absl/time/time.h"

#include "common/config/address.h"
#include "common/config/section.h"

namespace netsentinel::config {

// The files of one end of a mutual TLS connection (PEM).
struct TlsFiles {
  std::string ca;    // the authority that the other end's certificate must come from
  std::string cert;  // this end's certificate, its chain behind it
  std::string key;   // its private key; readable by its owner only
  // The revocation lists of the authority; empty: none is looked at.
  std::string crl = {};

  bool operator==(const TlsFiles&) const = default;
};

// How a gRPC connection is protected: mutual TLS, or nothing at all on a loopback address.
struct Security {
  bool insecure = false;
  TlsFiles tls = {};  // when not insecure

  bool operator==(const Security&) const = default;
};

// Reads `tls: {ca, cert, key, crl}` (crl may be left out) or `insecure: true` of `section`. `host`
// is what is listened on or connected to: anything but loopback refuses insecure. Neither, or both,
// is reported.
Security ReadSecurity(Section& section, absl::string_view host);
// As ReadSecurity, but with neither key the answer is `fallback`: for a listener that shares the
// files of another section. A fallback that is insecure must be on loopback here too.
Security ReadSecurityOr(Section& section, absl::string_view host, const Security& fallback);

// `listen: {grpc: "HOST:PORT", http: "HOST:PORT", max_connection_age: 1h, max_connections: 4096,
// max_connections_per_name: 64}`. The host must be an IP address or localhost.
struct Listen {
  Address grpc;
  Address http;
  absl::Duration max_connection_age;  // of gRPC connections; 1 h unless given
  std::size_t max_connections = 4096;
  std::size_t max_connections_per_name = 64;  // of one certificate's name
};
Listen ReadListen(Section& root);
// One more key of the listen section, such as `web`.
std::optional<Address> ReadListenAddress(Section& listen, absl::string_view key, bool required);

// A gRPC server to call: `{target: "dns:///host:port", tls: {…}}` or with `insecure: true`.
struct Peer {
  std::string target;
  Security security;
  // Go through the proxy that http_proxy and its like name; else the environment's proxy is not
  // used.
  bool environment_proxy = false;

  bool operator==(const Peer&) const = default;
};
Peer ReadPeer(Section& section);

}  // namespace netsentinel::config
