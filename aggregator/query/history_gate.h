#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/mutex.h"

namespace netsentinel::query {

// How many answers are made from the store's history at a time: each holds all rows of its span in
// memory until it is made. Thread-safe; outlives its passes.
class HistoryGate {
 public:
  // The right to make one answer, until it is destroyed.
  using Pass = std::shared_ptr<void>;

  // At most `answers_max` at a time; one that must wait longer than `wait_max` is refused.
  explicit HistoryGate(std::size_t answers_max = 1, absl::Duration wait_max = absl::Seconds(10))
      : answers_max_(answers_max), wait_max_(wait_max) {}

  // Waits for a pass. kResourceExhausted when none was free in time; kCancelled when `gone` says
  // that nobody waits for the answer any more.
  absl::StatusOr<Pass> Enter(const std::function<bool()>& gone);

 private:
  void Leave();

  const std::size_t answers_max_;
  const absl::Duration wait_max_;
  base::Mutex mutex_;
  std::condition_variable changed_;
  std::size_t inside_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace netsentinel::query
