#pragma once

#include <utility>

#include "common/base/clock.h"
#include "common/log/capturing_logger.h"
#include "common/metrics/registry.h"
#include "common/rpc/grpc_peer.h"

namespace netsentinel::test {

// An authority for services whose functions a test calls itself, without a connection: the caller
// is local, as on an insecure port.
class LocalCaller {
 public:
  explicit LocalCaller(const base::Clock& clock,
                       rpc::PeerIdentity who = {rpc::Role::kLocal, "", false})
      : authority_(clock, logger_, metrics_) {
    authority_.peers().Put("", {std::move(who), "in-process"});
  }
  const rpc::PeerAuthority& authority() const { return authority_; }

 private:
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  rpc::PeerAuthority authority_;
};

}  // namespace netsentinel::test
