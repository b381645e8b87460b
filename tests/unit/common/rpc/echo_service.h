#pragma once

#include <utility>
#include <vector>

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "common/base/mutex.h"
#include "common/rpc/grpc_peer.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/collector.grpc.pb.h"

namespace netsentinel::rpc {

// A service of the callback API that admits one role and remembers who called.
class EchoService final : public v1::CollectorService::CallbackService {
 public:
  EchoService(PeerAuthority authority, Role allowed)
      : authority_(std::move(authority)), allowed_(allowed) {}

  grpc::ServerUnaryReactor* ListRouterStates(grpc::CallbackServerContext* context,
                                             const v1::ListRouterStatesRequest*,
                                             v1::ListRouterStatesResponse*) override {
    const auto peer = authority_.RequireRole(*context, {allowed_});
    if (peer.ok()) {
      base::MutexLock lock(mutex_);
      callers_.push_back(*peer);
    }
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(ToGrpc(peer.status()));
    return reactor;
  }

  std::vector<PeerIdentity> callers() const {
    base::MutexLock lock(mutex_);
    return callers_;
  }

 private:
  const PeerAuthority authority_;
  const Role allowed_;
  mutable base::Mutex mutex_;
  std::vector<PeerIdentity> callers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::rpc
