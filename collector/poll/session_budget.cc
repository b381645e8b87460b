#include "collector/poll/session_budget.h"

#include <algorithm>
#include <utility>

namespace netsentinel::poll {

bool SessionBudget::Take(Holder holder, std::function<void()> wake) {
  if (held_.contains(holder)) return true;
  if (held_.size() < sessions_) {
    Release(holder);
    held_.emplace(holder, clock_.MonotonicNow());
    return true;
  }
  const bool waits = std::any_of(waiting_.begin(), waiting_.end(), [holder](const Waiter& waiter) {
    return waiter.holder == holder;
  });
  if (!waits) waiting_.push_back({holder, clock_.MonotonicNow(), std::move(wake)});
  return false;
}

void SessionBudget::Release(Holder holder) {
  waiting_.remove_if([holder](const Waiter& waiter) { return waiter.holder == holder; });
  held_.erase(holder);
  while (!waiting_.empty() && held_.size() < sessions_) {
    const Waiter next = std::move(waiting_.front());
    waiting_.pop_front();
    held_.emplace(next.holder, clock_.MonotonicNow());
    next.wake();
  }
}

bool SessionBudget::ShouldYield(Holder holder) const {
  const absl::Duration a_turn_ago = clock_.MonotonicNow() - turn_;
  const auto mine = held_.find(holder);
  if (mine == held_.end() || mine->second > a_turn_ago) return false;
  const auto wanted =
      std::count_if(waiting_.begin(), waiting_.end(),
                    [a_turn_ago](const Waiter& waiter) { return waiter.since <= a_turn_ago; });
  if (wanted == 0) return false;
  const auto longer = std::count_if(held_.begin(), held_.end(), [&mine](const auto& other) {
    return other.second < mine->second;
  });
  return longer < wanted;
}

}  // namespace netsentinel::poll
