#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/config/address.h"
#include "common/config/shared_sections.h"
#include "common/rpc/admission.h"
#include "common/rpc/grpc_peer.h"
#include "common/rpc/surroundings.h"

namespace netsentinel::rpc {

struct FrontOptions {
  config::Address address;  // port 0: the kernel chooses
  config::Security security;
  absl::Duration certificate_refresh = absl::Seconds(10);
  // From the first byte to the first frame of HTTP/2.
  absl::Duration opening_time = absl::Seconds(10);
  absl::Duration pulse_every = absl::Seconds(5);
  // Certificates of other roles are refused before HTTP/2.
  std::vector<Role> admits = {};
  Admission::Limits limits = {};
};

// Stands between the network and gRPC: accepts, shakes hands (TLS 1.3, client certificates), knows
// who it is and whether it may be here, and only then hands one end of an in-process socket to
// gRPC. It carries the bytes of both directions afterwards, and holds those of the peer against
// http2::FrameFilter. Who is behind a connection stands in the authority's table, under the token
// that gRPC sees as the peer's address.
//
// Threads: one for the door (accepting, handshakes, certificates, the pulse), and one for each
// core, at most four, that carry bytes. A flood of handshakes does not slow down those who are
// inside.
//
// `netsentinel_grpc_connections{state}` counts newcomers and peers; refusals go to the authority.
// The condition `certificates` of /readyz (shown only) says when files cannot be taken over, the
// loop `grpc` of /healthz turns while the port answers a TLS handshake, every thread that carries
// bytes turns, and gRPC behind it speaks HTTP/2.
class AsioFront {
 public:
  // Takes a connected socket that does not block, and owns it.
  using Handover = std::function<void(int fd)>;

  // kFailedPrecondition when a TLS file is not usable, kUnavailable when the address is not free.
  // `handover` is called on the door's thread.
  static absl::StatusOr<std::unique_ptr<AsioFront>> Start(const FrontOptions& options,
                                                          const PeerAuthority& authority,
                                                          Handover handover,
                                                          const Surroundings& around);
  ~AsioFront();
  AsioFront(const AsioFront&) = delete;
  AsioFront& operator=(const AsioFront&) = delete;

  std::uint16_t port() const;
  // Closes the port; connections go on. The pulse ends.
  void StopAccepting();
  // Brings out what gRPC has still sent, for at most 2 s, and closes everything. Idempotent.
  void Stop();

 private:
  class Impl;
  explicit AsioFront(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace netsentinel::rpc
