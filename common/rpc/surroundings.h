#pragma once

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"

namespace netsentinel::rpc {

// What a server needs of the process around it. All of it outlives the server and is thread-safe.
struct Surroundings {
  const base::Clock& clock;
  base::RandomSource& random;
  log::Logger& logger;
  metrics::Registry& metrics;
  http::Readiness& readiness;
  http::Liveness& liveness;
};

}  // namespace netsentinel::rpc
