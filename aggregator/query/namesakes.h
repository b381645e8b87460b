#pragma once

#include <vector>

#include "absl/status/status.h"

#include "aggregator/query/ranking.h"

namespace netsentinel::query {

// `wish` has no usage among `known`: kNotFound when it has no router and others of its name at its
// site have one, naming their routers, since theirs is likely to have been left out. Pure.
absl::Status CheckNamesakes(const accounting::SubscriberKey& wish,
                            const std::vector<SubscriberSum>& known);

}  // namespace netsentinel::query
