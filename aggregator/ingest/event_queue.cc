#include "aggregator/ingest/event_queue.h"

#include <utility>

namespace netsentinel::ingest {

void EventQueue::Post(StreamEvent event) {
  {
    base::MutexLock lock(mutex_);
    events_.push_back(std::move(event));
  }
  changed_.notify_one();
}

std::vector<StreamEvent> EventQueue::TakeAll(absl::Duration timeout) {
  base::MutexLock lock(mutex_);
  changed_.wait_for(lock.native(), absl::ToChronoMicroseconds(timeout),
                    [this] { return !events_.empty() || woken_; });
  woken_ = false;
  return std::exchange(events_, {});
}

void EventQueue::Wake() {
  {
    base::MutexLock lock(mutex_);
    woken_ = true;
  }
  changed_.notify_one();
}

}  // namespace netsentinel::ingest
