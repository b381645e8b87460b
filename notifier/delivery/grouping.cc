#include "notifier/delivery/grouping.h"

#include <algorithm>

namespace netsentinel::delivery {

GroupPlan PlanGroup(const GroupState& state, const GroupPolicy& policy, absl::Time now) {
  // A window that ends further away than it is long was opened before the clock stepped back.
  const bool open =
      state.in_window && state.window_end > now && state.window_end <= now + policy.window;
  if (open) return {.step = GroupStep::kWait, .look_again = state.window_end};
  if (state.pending == 0) {
    return {.step = state.in_window ? GroupStep::kClose : GroupStep::kWait};
  }
  const absl::Time hold_end = state.last_made + policy.longest_hold;
  if (state.last_unsent && now < hold_end && state.last_made <= now) {
    return {.step = GroupStep::kWait, .look_again = std::min(hold_end, now + policy.window)};
  }
  return {.step = state.in_window ? GroupStep::kDigest : GroupStep::kFirst};
}

}  // namespace netsentinel::delivery
