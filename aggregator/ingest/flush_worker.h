#pragma once

#include <condition_variable>
#include <optional>
#include <thread>

#include "absl/status/status.h"

#include "aggregator/accounting/book.h"
#include "aggregator/store/store.h"
#include "common/base/mutex.h"

namespace netsentinel::ingest {

// Writes flushes on a thread and a store connection of its own, so that acknowledgements do not
// wait for them. One flush at a time. Calls belong to the engine's thread.
class FlushWorker {
 public:
  // `store` is this worker's alone.
  explicit FlushWorker(store::Store& store);
  FlushWorker(const FlushWorker&) = delete;
  FlushWorker& operator=(const FlushWorker&) = delete;
  // Waits for the flush under way.
  ~FlushWorker();

  bool busy() const { return busy_; }
  // Only when not busy.
  void Start(store::Fence fence, accounting::StagedFlush flush);

  struct Outcome {
    absl::Status status;
    accounting::StagedFlush flush;
  };
  // The finished flush, if there is one; waits up to `wait` for the one under way.
  std::optional<Outcome> Take(absl::Duration wait);

 private:
  struct Job {
    store::Fence fence;
    accounting::StagedFlush flush;
  };
  void Loop();

  store::Store& store_;
  bool busy_ = false;  // the engine's thread
  base::Mutex mutex_;
  std::condition_variable changed_;
  std::optional<Job> job_ ABSL_GUARDED_BY(mutex_);
  std::optional<Outcome> outcome_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace netsentinel::ingest
