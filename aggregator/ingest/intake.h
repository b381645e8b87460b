#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "aggregator/ingest/messages.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"

// What received messages may take before the engine has dealt with them.
namespace netsentinel::ingest {

struct IntakeLimits {
  // Of all streams together. A part of it, as large as a stream may be, is kept so that what was
  // begun can be finished: where the rest is full, no stream is read further until something has
  // been dealt with, except those in the middle of a snapshot, one at a time, the oldest snapshot
  // first. The collectors' data waits on their side. A stream of which nothing is kept may always
  // bring one message, and so may each that was let on while there was room.
  std::uint64_t total_bytes = std::uint64_t{256} << 20;
  // Of one stream, whatever it sends: closed beyond it. The largest snapshot and the credit fit.
  std::uint64_t stream_bytes = std::uint64_t{80} << 20;
  // What the welcome allows a stream to have under way; one snapshot may be larger.
  std::uint64_t credit_bytes = std::uint64_t{8} << 20;
  // Streams of one certificate's name; a collector that comes back leaves dead ones behind for a
  // while. Without certificates all have one name.
  std::size_t streams_per_identity = 16;
  std::size_t streams_without_identity = 256;
  // Messages waiting to be read by the peer after which the stream is closed.
  std::size_t outgoing_max = 65'536;
};

// The bytes kept of all streams. Thread-safe.
class IntakeBudget {
 public:
  // Names a stream; never followed.
  using Who = const void*;

  explicit IntakeBudget(const IntakeLimits& limits);

  void Take(std::uint64_t bytes);
  // Calls what waits, when there is room again.
  void Give(std::uint64_t bytes);
  // How old a snapshot is that begins now: less is older.
  std::uint64_t NextAge();
  // False: go on. Else `resume` is called once, later, from whoever gives. `half_since` is the age
  // of the snapshot that the stream is in the middle of, if it is.
  bool WaitForRoom(Who who, std::optional<std::uint64_t> half_since, std::function<void()> resume);
  // The stream has finished what it was read on for, and that has been dealt with.
  void Finished(Who who);
  // The stream is gone: it waits no more.
  void Leave(Who who);
  std::uint64_t held() const;

 private:
  struct Waiting {
    Who who = nullptr;
    std::optional<std::uint64_t> half_since;
    std::function<void()> resume;
  };
  // Whoever is next: as many as have room, begun snapshots first, or the one that is finished.
  std::vector<Waiting> Next() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::uint64_t open_bytes_;  // up to here everybody is read
  mutable base::Mutex mutex_;
  std::uint64_t held_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t newest_age_ ABSL_GUARDED_BY(mutex_) = 0;
  Who finishing_ ABSL_GUARDED_BY(mutex_) = nullptr;  // read on beyond open_bytes_
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
};

// How many streams each identity has open. Thread-safe.
class StreamCounts {
 public:
  explicit StreamCounts(const IntakeLimits& limits) : limits_(limits) {}

  // kResourceExhausted when the identity has as many as it may. What is given counts until it is
  // destroyed, and must not outlive this.
  absl::StatusOr<std::shared_ptr<const void>> Open(const base::CollectorId& identity);

 private:
  const IntakeLimits limits_;
  base::Mutex mutex_;
  std::map<base::CollectorId, std::size_t> open_ ABSL_GUARDED_BY(mutex_);
};

// One stream's bytes: its own limits, and its part of the budget. Thread-safe.
class StreamIntake : public std::enable_shared_from_this<StreamIntake> {
 public:
  StreamIntake(const IntakeLimits& limits, std::shared_ptr<IntakeBudget> budget)
      : limits_(limits), budget_(std::move(budget)) {}

  // Counts a message of `bytes` on the wire until what is returned goes. kResourceExhausted when
  // the stream does not keep to its limits and is to be closed.
  struct Counted {
    absl::Status status;
    std::shared_ptr<const void> hold;
  };
  Counted Count(const CollectorMessage& message, std::uint64_t bytes);
  // As IntakeBudget's; never waits for room that only this stream could need.
  bool WaitForRoom(std::function<void()> resume);
  // Nothing more is read. What is kept counts on.
  void Close();

 private:
  struct Hold;
  struct Snapshot {
    base::RouterId router;
    counters::Menu menu = counters::Menu::kSimple;
    std::uint64_t sequence = 0;
    std::uint64_t bytes = 0;
    std::uint64_t age = 0;
    bool half = false;  // its last part has not come
  };

  const IntakeLimits limits_;
  const std::shared_ptr<IntakeBudget> budget_;
  base::Mutex mutex_;
  std::uint64_t held_ ABSL_GUARDED_BY(mutex_) = 0;            // with what a message takes itself
  std::uint64_t snapshot_bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // of frames, on the wire
  Snapshot newest_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::ingest
