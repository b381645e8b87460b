#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace netsentinel::delivery {

struct GroupPolicy {
  // Alerts of a site within this time after the last mail about it share the next one.
  absl::Duration window = absl::Seconds(60);
  // While no recipient has got the site's last mail, alerts gather for at most this long instead
  // of becoming mails that only wait.
  absl::Duration longest_hold = absl::Hours(1);
};

// The alerts of one site, as they stand.
struct GroupState {
  // Alerts that are in no mail yet.
  std::size_t pending = 0;
  // Whether a window is open or has just ended, and when it ends.
  bool in_window = false;
  absl::Time window_end = absl::InfinitePast();
  // The site's last mail has not been delivered or given up for any recipient.
  bool last_unsent = false;
  absl::Time last_made = absl::InfinitePast();
};

enum class GroupStep {
  // Nothing now; look again at `look_again`.
  kWait,
  // A mail about the first alert alone; the window opens.
  kFirst,
  // One mail about all of them; the window opens again.
  kDigest,
  // The window ended without an alert: the next one is a first one.
  kClose,
};

struct GroupPlan {
  GroupStep step = GroupStep::kWait;
  absl::Time look_again = absl::InfiniteFuture();
};

// The first alert goes at once, those within the window form one digest. Pure.
GroupPlan PlanGroup(const GroupState& state, const GroupPolicy& policy, absl::Time now);

}  // namespace netsentinel::delivery
