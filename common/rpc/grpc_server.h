#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "common/config/address.h"
#include "common/config/shared_sections.h"
#include "common/rpc/admission.h"
#include "common/rpc/grpc_peer.h"
#include "common/rpc/surroundings.h"

namespace grpc {
class Service;
}  // namespace grpc

namespace netsentinel::rpc {

struct ServerOptions {
  config::Address address;  // port 0: the kernel chooses
  config::Security security;
  // Whose certificates may connect at all; what a call needs beyond that is the services' business.
  std::vector<Role> admits = {};
  absl::Duration certificate_refresh = absl::Seconds(10);
  // Connections are asked to leave after this time, and cut after the grace: so that load moves to
  // new servers and a withdrawn authority ends somewhere.
  absl::Duration max_connection_age = absl::Hours(1);
  absl::Duration max_connection_age_grace = absl::Seconds(30);
  Admission::Limits connections = {};
  int max_receive_bytes = 4 << 20;  // a larger message ends its call with kResourceExhausted
  int max_metadata_bytes = 8192;
  int max_concurrent_streams = 256;                         // for each connection
  std::size_t memory_quota_bytes = std::size_t{512} << 20;  // for reading and writing, all calls
};

// The options that listen has keys for.
ServerOptions FromListen(const config::Listen& listen, const config::Security& security);

// A gRPC server behind a front of our own (AsioFront): mutual TLS 1.3 and the identity of the
// caller before HTTP/2, limits on connections and frames; grpc.health.v1 for everybody who may
// connect, reflection for people (viewer, operator, admin), and keepalive (10 s, 5 s).
class Server {
 public:
  // `services` must outlive the server; they ask `authority` who calls. Fails with
  // kFailedPrecondition when a TLS file is not usable or insecure is asked for off loopback, with
  // kUnavailable when the address is not free.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const PeerAuthority& authority,
                                                       absl::Span<grpc::Service* const> services,
                                                       const Surroundings& around);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  // What grpc.health.v1 answers for the whole server (and for `service` when given). Starts as
  // serving.
  void SetServing(bool serving, const std::string& service = "");
  // Takes no more calls, lets those under way finish for at most `grace`, then cancels them.
  // Returns when all have ended. Idempotent; thread-safe.
  void Shutdown(absl::Duration grace);

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netsentinel::rpc
