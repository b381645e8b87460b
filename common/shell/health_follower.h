#pragma once

#include "common/http/health.h"
#include "common/rpc/grpc_server.h"

namespace netsentinel::shell {

// Lets grpc.health.v1 of a server answer what /readyz answers, as long as this lives. Both must
// outlive it; one for each process.
class HealthFollower {
 public:
  HealthFollower(http::Readiness& readiness, rpc::Server& server) : readiness_(readiness) {
    readiness_.Watch([&server](bool ready) { server.SetServing(ready); });
  }
  ~HealthFollower() { readiness_.Watch(nullptr); }
  HealthFollower(const HealthFollower&) = delete;
  HealthFollower& operator=(const HealthFollower&) = delete;

 private:
  http::Readiness& readiness_;
};

}  // namespace netsentinel::shell
