#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "tools/simulator/arguments.h"
#include "tools/simulator/router.h"

namespace netsentinel::simulator {

// What an action wants beyond the state of its router.
struct ActionResult {
  // All connections of the router end with an EOF.
  bool cut_connections = false;
  // Members of a JSON object that answer the caller, for example `"rows":[…]`; empty for none.
  std::string json;
};

// Fails on an unknown verb or key. Whether the action can be done shows only when it is.
absl::Status CheckAction(absl::string_view verb, const Arguments& arguments);

// Does one thing to a router: what events of a scenario and lines on the control channel share.
// docs/simulator.md lists the verbs and their keys. Advances the router to `now_us` first, so that
// traffic until then counts under the old state. Fails without an effect on an unknown verb or
// key, a value that does not fit, or a queue or user that does not exist.
absl::StatusOr<ActionResult> ApplyAction(Router& router, absl::string_view verb,
                                         const Arguments& arguments, std::int64_t now_us);

}  // namespace netsentinel::simulator
