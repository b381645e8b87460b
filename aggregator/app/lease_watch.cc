#include "aggregator/app/lease_watch.h"

#include <condition_variable>
#include <mutex>
#include <stop_token>

#include "absl/strings/str_cat.h"

namespace netsentinel::app {
namespace {

constexpr char kCondition[] = "lease";
constexpr auto kInterval = std::chrono::milliseconds(500);

}  // namespace

LeaseWatch::LeaseWatch(http::Readiness& readiness, const base::Clock& clock, absl::Duration ttl)
    : readiness_(readiness), clock_(clock), ttl_(ttl), thread_([this](const std::stop_token& stop) {
        std::mutex mutex;
        std::condition_variable_any changed;
        std::unique_lock<std::mutex> lock(mutex);
        while (!stop.stop_requested()) {
          Look();
          changed.wait_for(lock, stop, kInterval, [] { return false; });
        }
      }) {}

LeaseWatch::~LeaseWatch() {
  thread_.request_stop();
  thread_.join();
}

void LeaseWatch::Heard() {
  {
    base::MutexLock lock(mutex_);
    heard_ = clock_.MonotonicNow();
  }
  Look();
}

void LeaseWatch::Rest() {
  {
    base::MutexLock lock(mutex_);
    heard_.reset();
  }
  Look();
}

void LeaseWatch::Look() {
  // One at a time, so that the last word is the newest.
  base::MutexLock lock(mutex_);
  const absl::Duration silence =
      heard_.has_value() ? clock_.MonotonicNow() - *heard_ : absl::ZeroDuration();
  if (silence <= ttl_ / 3 + kPatience) {
    readiness_.Ready(kCondition);
    return;
  }
  readiness_.NotReady(
      kCondition,
      absl::StrCat("this aggregator's lease could not be written for ",
                   absl::FormatDuration(absl::Trunc(silence, absl::Seconds(1))),
                   ": its row in the table lease is locked, the database hangs, or this host is "
                   "overloaded; nothing is acknowledged meanwhile; look for a session in the "
                   "database that holds a lock"));
}

}  // namespace netsentinel::app
