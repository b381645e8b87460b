#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/civil_time.h"

#include "aggregator/accounting/evidence.h"
#include "common/base/bytes.h"
#include "common/base/ids.h"
#include "common/counters/snapshot.h"

// What the accounting core says happened. These are the records that the store keeps and the
// queries show; docs/accounting.md explains each.
namespace netsentinel::accounting {

// One queue's name in one menu of one router: what usage is kept under.
struct QueueKey {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::string name;  // raw bytes

  auto operator<=>(const QueueKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const QueueKey& key) {
    return H::combine(std::move(state), key.router, key.menu, key.name);
  }
};

// Whom bytes belong to. Without a mapping rule the name is scoped by its router; a rule that joins
// routers leaves `router` empty.
struct SubscriberKey {
  base::SiteId site;
  base::RouterId router;
  std::string name;  // raw bytes

  auto operator<=>(const SubscriberKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const SubscriberKey& key) {
    return H::combine(std::move(state), key.site, key.router, key.name);
  }
};

// Values are stored: never renumber.
enum class EpochReason : std::uint8_t {
  kFirstSight = 1,
  kBorn = 2,
  kReboot = 3,
  kReset = 4,
  kRecreated = 5,
  kReplaced = 6,
  kTimeline = 7,
};

// A stretch in which a counter only grew has begun.
struct EpochRecord {
  QueueKey queue;
  std::uint64_t row_id = 0;
  std::int64_t start_us = 0;
  EpochReason reason = EpochReason::kFirstSight;
};

// What happened that an operator may want to know. `kind` is a stable word.
struct EventRecord {
  std::int64_t at_us = 0;
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::string queue;  // raw name, empty when the event is the menu's or the router's
  std::string kind;
  std::string detail;
};

// A drop that the next reading will explain. Part of the durable state.
struct HoldRecord {
  QueueKey queue;
  std::int64_t since_us = 0;
  base::TrafficBytes before;  // O: the reading before the drop
  base::TrafficBytes held;    // H: the reading that was lower
  bool resolved = false;      // true takes the hold away
};

enum class Grade : std::uint8_t { kComplete = 1, kEstimated = 2, kBounded = 3, kPartial = 4 };

// The usage of one queue, for one subscriber, on one local day and segment of it. Every figure is
// absolute, so that writing a row twice changes nothing.
struct UsageRow {
  QueueKey queue;
  SubscriberKey subscriber;
  absl::CivilDay day;
  // 0 unless the site has cut times: the part of the day between two cuts.
  std::uint8_t segment = 0;

  base::TrafficBytes counted;  // the best figure
  // Of `counted`: may be no bytes at all.
  base::TrafficBytes doubt;
  // Beyond `counted`: at most so much passed unseen.
  base::TrafficBytes unseen;
  // Bytes of deltas that cross the begin (the end) of this row's span, the day or the segment of
  // it: what of their sure bytes lies on this side of the edge, in this span or beyond it, and what
  // they counted or may have hidden on the other side. A longer period in which the edge lies needs
  // neither; SumUsage says how a span's figures come out.
  base::TrafficBytes begin_inside;
  base::TrafficBytes begin_outside;
  base::TrafficBytes end_inside;
  base::TrafficBytes end_outside;
  std::uint64_t blind_us = 0;
  std::uint64_t observed_us = 0;
  std::int64_t first_reading_us = 0;
  std::int64_t last_reading_us = 0;
  std::uint32_t epochs = 0;  // epochs that began this day, first sight apart
  Grade grade = Grade::kComplete;
};

// How often one explanation was possible for a queue on a day, and the bytes it would have counted.
struct ExplanationTotal {
  Explanation explanation = Explanation::kWentOn;
  std::uint32_t steps = 0;
  base::TrafficBytes at_stake;

  bool operator==(const ExplanationTotal&) const = default;
};

// One step between readings that more than one thing explains, or that hid something.
struct DisputedStep {
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  base::TrafficBytes before;  // counters at the reading before the newest
  base::TrafficBytes now;     // and at the newest
  Explanation counted_as = Explanation::kWentOn;
  base::TrafficBytes counted;
  base::TrafficBytes doubt;
  base::TrafficBytes unseen;
  // What was possible and what each would have counted.
  std::vector<std::pair<Explanation, base::TrafficBytes>> possible;

  bool operator==(const DisputedStep&) const = default;
};

inline constexpr std::size_t kMostStepsKept = 8;

// Why a row's figures are what they are. Undisputed steps leave nothing here.
struct UsageEvidence {
  std::vector<ExplanationTotal> totals;  // ascending by explanation
  std::vector<DisputedStep> steps;       // the first kMostStepsKept, or fewer

  // At least so many further steps were disputed and are not told: beyond the first, or of a menu
  // and day with too many such rows.
  std::uint32_t StepsLeftOut() const {
    std::uint32_t most = 0;
    for (const ExplanationTotal& total : totals) most = std::max(most, total.steps);
    const auto kept = static_cast<std::uint32_t>(steps.size());
    return most - std::min(most, kept);
  }

  bool operator==(const UsageEvidence&) const = default;
};

}  // namespace netsentinel::accounting
