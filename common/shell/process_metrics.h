#pragma once

#include "common/base/clock.h"
#include "common/metrics/registry.h"

namespace netsentinel::shell {

// The usual process_* metrics (CPU, memory, descriptors, start) and netsentinel_build_info.
void AddProcessMetrics(metrics::Registry& registry, const base::Clock& clock);

}  // namespace netsentinel::shell
