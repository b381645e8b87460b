#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "aggregator/store/store.h"

namespace netsentinel::outbox {

// What the notifier said of breaches offered to it.
struct AlertReceipt {
  std::vector<std::string> accepted_ids;                          // durable at the notifier
  std::vector<std::pair<std::string, std::string>> rejected_ids;  // id, reason: never deliverable
};

// Where breaches go.
class AlertSink {
 public:
  virtual ~AlertSink() = default;
  // Blocks up to `deadline`. An error means nothing is known of any of them: offer them again,
  // after kResourceExhausted fewer at once.
  virtual absl::StatusOr<AlertReceipt> Deliver(absl::Span<const store::OutboxClaim> breaches,
                                               absl::Duration deadline) = 0;
  // Ends the delivery under way, if there is one, and refuses every later one. Any thread.
  virtual void Cancel() = 0;
};

}  // namespace netsentinel::outbox
