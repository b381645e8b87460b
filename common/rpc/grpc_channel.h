#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/config/shared_sections.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace netsentinel::rpc {

struct ChannelOptions {
  config::Peer peer;
  absl::Duration certificate_refresh = absl::Seconds(10);
  // Checked against the server's certificate instead of the target's host; empty: the host.
  std::string server_name = {};
  absl::Duration max_reconnect_backoff = absl::Seconds(30);
  int max_receive_bytes = 4 << 20;
};

// A channel to one server, with mutual TLS 1.3 and keepalive (10 s, 5 s, also without calls). It
// connects by itself when first used, and again with backoff when the connection is lost.
// kFailedPrecondition when a TLS file is not usable or insecure is asked for off loopback.
absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options,
                                                           const base::Clock& clock);

}  // namespace netsentinel::rpc
