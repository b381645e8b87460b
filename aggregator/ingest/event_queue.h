#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <variant>
#include <vector>

#include "absl/time/time.h"

#include "aggregator/ingest/messages.h"
#include "common/base/mutex.h"

namespace netsentinel::ingest {

// A stream's number within this process; never reused.
using StreamId = std::uint64_t;

struct StreamOpened {
  std::shared_ptr<StreamSink> sink;
  // Collector named by the certificate.
  base::CollectorId identity;
};
struct StreamClosed {};

struct StreamEvent {
  StreamId stream = 0;
  std::variant<StreamOpened, CollectorMessage, StreamClosed> what;
  // Released when the event has been dealt with: how a stream's window counts what it posted.
  std::shared_ptr<const void> hold;
};

// Hands the streams' events to the engine's thread. Its size is bounded by the streams' windows:
// a stream may post only what its window allows. Thread-safe.
class EventQueue {
 public:
  void Post(StreamEvent event);
  // Everything there is, waiting up to `timeout` for the first. Empty after the timeout or Wake().
  std::vector<StreamEvent> TakeAll(absl::Duration timeout);
  // Ends a wait early.
  void Wake();

 private:
  base::Mutex mutex_;
  std::condition_variable changed_;
  std::vector<StreamEvent> events_ ABSL_GUARDED_BY(mutex_);
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace netsentinel::ingest
