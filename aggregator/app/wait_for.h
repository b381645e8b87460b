#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "absl/time/time.h"

namespace netsentinel::app {

// Waits for so long, but not past a stop.
inline void WaitFor(const std::stop_token& stop, absl::Duration duration) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait_for(lock, stop, absl::ToChronoMilliseconds(duration), [] { return false; });
}

}  // namespace netsentinel::app
