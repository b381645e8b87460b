#include "notifier/delivery/retry_plan.h"

#include <algorithm>

namespace netsentinel::delivery {
namespace {

// first · 2ⁿ, at most `maximum`.
absl::Duration Doubled(absl::Duration first, absl::Duration maximum, int times) {
  absl::Duration delay = first;
  for (int i = 0; i < times && delay < maximum; ++i) delay *= 2;
  return std::min(delay, maximum);
}

}  // namespace

NextStep PlanNext(channel::Outcome outcome, const AttemptHistory& history,
                  const RetryPolicy& policy) {
  NextStep next{.step = Step::kTryAgain};
  switch (outcome) {
    case channel::Outcome::kDelivered:
      return {.step = Step::kDone};
    case channel::Outcome::kRejected:
      if (history.others_pass && history.attempts >= policy.refusals) return {.step = Step::kPark};
      next.delay = policy.slow;
      return next;
    case channel::Outcome::kRetry:
      next.delay = Doubled(policy.first, policy.maximum, history.attempts - 1);
      break;
    case channel::Outcome::kRetrySlowly:
    case channel::Outcome::kNotPermitted:
      next.delay = policy.slow;
      break;
    case channel::Outcome::kChannelDown:
      next.channel_rest = Doubled(policy.channel_first, policy.channel_maximum,
                                  std::max(0, history.channel_failures - 1));
      next.counts = false;
      return next;
    case channel::Outcome::kMisconfigured:
      next.channel_rest = policy.slow;
      next.counts = false;
      return next;
  }
  if (history.passing >= policy.give_up) next.step = Step::kPark;
  return next;
}

absl::Duration PlanAfterCrash(int attempts, const RetryPolicy& policy) {
  if (attempts <= 1) return absl::ZeroDuration();
  return Doubled(policy.first, policy.maximum, attempts - 2);
}

}  // namespace netsentinel::delivery
