#pragma once

#include "absl/strings/string_view.h"

#include "tools/simulator/engine.h"

namespace netsentinel::simulator {

enum class PropertyResult { kSet, kUnknown, kBadValue };

// One `=key=value` of an add or set of a queue menu, as the router reads it: rates with suffixes,
// pairs for simple queues, single values for trees.
PropertyResult SetProperty(Menu menu, absl::string_view key, absl::string_view value,
                           QueueSpec& spec);

}  // namespace netsentinel::simulator
