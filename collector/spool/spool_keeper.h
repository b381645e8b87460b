#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "collector/spool/pending_readings.h"
#include "collector/spool/spool.h"
#include "common/base/backoff.h"
#include "common/log/logger.h"

namespace netsentinel::spool {

// The spool and what to do while it cannot be written: readings stay in memory (PendingReadings),
// writing is tried again with growing pauses, an alarm is logged when it begins and when it ends.
// Nothing in memory is ever sent: what travels has been on disk. One thread.
class SpoolKeeper {
 public:
  SpoolKeeper(SpoolOptions options, const base::Clock& clock, base::RandomSource& random,
              log::Logger& logger, PendingLimits limits = {});

  // Opens the spool; call once. An error that waiting cannot mend (no folder, no permission, a
  // newer format, in use by another process) is returned; else the keeper goes on without a spool
  // and tries again.
  absl::Status Start();
  // Writes the reading, together with those that wait; or keeps it in memory.
  void Take(NewRow row);
  void Take(std::vector<NewRow> rows);
  // Tries again when it is time, and trims now and then. Call it about once a second.
  void Tick();

  // Null while the file cannot be opened.
  Spool* spool() { return spool_.get(); }
  // For a failure met while using spool(): closes the file, so that it is opened afresh.
  void Fail(const absl::Status& status);
  // OK, or why readings stay in memory, since when, and what to do.
  const absl::Status& health() const { return health_; }
  const PendingReadings& pending() const { return pending_; }

 private:
  void WritePending();
  void Open();
  void Report(const absl::Status& status);
  void LogIncidents();

  const SpoolOptions options_;
  const base::Clock& clock_;
  base::RandomSource& random_;
  log::Logger& logger_;
  std::unique_ptr<Spool> spool_;
  PendingReadings pending_;
  absl::Status health_;
  base::Backoff backoff_;
  absl::Duration retry_at_;
  absl::Duration trim_at_;
};

}  // namespace netsentinel::spool
