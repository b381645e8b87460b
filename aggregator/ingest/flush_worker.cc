#include "aggregator/ingest/flush_worker.h"

#include <utility>

#include "aggregator/ingest/store_records.h"
#include "common/base/check.h"

namespace netsentinel::ingest {

FlushWorker::FlushWorker(store::Store& store) : store_(store), thread_([this] { Loop(); }) {}

FlushWorker::~FlushWorker() {
  {
    base::MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void FlushWorker::Start(store::Fence fence, accounting::StagedFlush flush) {
  NS_CHECK(!busy_, "a flush is under way");
  busy_ = true;
  {
    base::MutexLock lock(mutex_);
    job_ = Job{.fence = fence, .flush = std::move(flush)};
  }
  changed_.notify_all();
}

std::optional<FlushWorker::Outcome> FlushWorker::Take(absl::Duration wait) {
  if (!busy_) return std::nullopt;
  base::MutexLock lock(mutex_);
  changed_.wait_for(lock.native(), absl::ToChronoMicroseconds(wait),
                    [this] { return outcome_.has_value(); });
  if (!outcome_.has_value()) return std::nullopt;
  busy_ = false;
  return std::exchange(outcome_, std::nullopt);
}

void FlushWorker::Loop() {
  for (;;) {
    Job job;
    {
      base::MutexLock lock(mutex_);
      changed_.wait(lock.native(), [this] { return job_.has_value() || stopping_; });
      if (!job_.has_value()) return;
      job = *std::exchange(job_, std::nullopt);
    }
    absl::Status status = store_.Flush(job.fence, ToBatch(job.flush));
    if (status.ok() && !job.flush.events.empty()) {
      // Events tell, they do not count: losing one to an outage changes no figure.
      store_.AppendEvents(job.fence, job.flush.events).IgnoreError();
    }
    {
      base::MutexLock lock(mutex_);
      outcome_ = Outcome{.status = std::move(status), .flush = std::move(job.flush)};
    }
    changed_.notify_all();
  }
}

}  // namespace netsentinel::ingest
