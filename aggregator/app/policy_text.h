#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "aggregator/ingest/engine.h"

namespace netsentinel::app {

// The policy as the store keeps it: YAML of sites, routers, map and quota, defaults left out. Two
// policies that mean the same have the same text. `text` and the overrides are not part of it.
std::string PolicyText(const ingest::EnginePolicy& policy);

// Reads such a text back; the result's `text` is the canonical one. kInvalidArgument for what is
// none, or no longer a policy this program takes.
absl::StatusOr<ingest::EnginePolicy> ParsePolicyText(absl::string_view text);

}  // namespace netsentinel::app
