#pragma once

#include "common/http/health.h"
#include "common/io/os_random.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "common/metrics/registry.h"
#include "common/rpc/grpc_peer.h"
#include "common/rpc/surroundings.h"

namespace netsentinel::rpc {

// What a real process gives to its server.
struct ServerSurroundings {
  const io::SystemClock clock;
  io::OsRandom random;
  log::CapturingLogger logger;
  metrics::Registry metrics;
  http::Readiness readiness;
  http::Liveness liveness{clock};
  const PeerAuthority authority{clock, logger, metrics};

  Surroundings all() { return {clock, random, logger, metrics, readiness, liveness}; }
  double Refused(const char* reason) {
    return metrics.AddCounter("netsentinel_grpc_refused_total", "", {{"reason", reason}}).value();
  }
};

}  // namespace netsentinel::rpc
