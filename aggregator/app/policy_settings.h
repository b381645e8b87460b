#pragma once

#include "aggregator/app/settings.h"

namespace netsentinel::app {

// Reads sites, routers, map and quota into policy and catalog.
void ReadPolicy(config::Section& root, AggregatorSettings& settings);

}  // namespace netsentinel::app
