#pragma once

#include "absl/time/time.h"

#include "notifier/channel/channel.h"

namespace netsentinel::delivery {

struct RetryPolicy {
  // 1, 2, 4 … 30 minutes for what may be gone in a while.
  absl::Duration first = absl::Minutes(1);
  absl::Duration maximum = absl::Minutes(30);
  // For what waiting may help and insisting does not.
  absl::Duration slow = absl::Minutes(15);
  // A delivery that the server has put off for longer, while it took mails of others, is parked:
  // RFC 5321 section 4.5.4.1 says four to five days.
  absl::Duration give_up = absl::Hours(5 * 24);
  // Refusals of an address that end a delivery, `slow` apart: a server whose directory is away, or
  // that refuses whom it does not know yet, says the same at first.
  int refusals = 3;
  // While the channel is down: 5, 10, 20 … 300 seconds.
  absl::Duration channel_first = absl::Seconds(5);
  absl::Duration channel_maximum = absl::Minutes(5);
};

enum class Step { kDone, kTryAgain, kPark };

struct NextStep {
  Step step = Step::kDone;
  // With kTryAgain: how long this delivery waits.
  absl::Duration delay = absl::ZeroDuration();
  // How long the whole channel rests; zero: it goes on.
  absl::Duration channel_rest = absl::ZeroDuration();
  // Whether the attempt counts for this delivery: it reached a transaction.
  bool counts = true;

  bool operator==(const NextStep&) const = default;
};

// What happened to a delivery and its channel so far.
struct AttemptHistory {
  // Attempts of this delivery that reached a transaction, and this one.
  int attempts = 1;
  // Of the time since the first attempt that reached a transaction: how much mails of others passed
  // in.
  absl::Duration passing = absl::ZeroDuration();
  // Whether mails to somebody else passed in the last day.
  bool others_pass = true;
  // Times in a row that the channel was down or misconfigured, this one included.
  int channel_failures = 0;
};

// What follows an attempt. Only an address that was called wrong `refusals` times while others'
// mails pass, or `give_up` in which mails of others passed, gives a delivery up; while nobody's
// pass, or the channel or its configuration is at fault, it waits for as long as that takes. Pure.
NextStep PlanNext(channel::Outcome outcome, const AttemptHistory& history,
                  const RetryPolicy& policy);

// How long a delivery waits whose attempt was cut off by the end of the process: not at all after
// the first, so that a restart loses no time; by the plan after more, so that a letter that ends
// the process does not do so forever.
absl::Duration PlanAfterCrash(int attempts, const RetryPolicy& policy);

}  // namespace netsentinel::delivery
