#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "collector/spool/pending_readings.h"
#include "collector/spool/spool.h"
#include "common/base/backoff.h"
#include "common/log/logger.h"

namespace netsentinel::spool {

// The spool and what to do while it cannot be written, or while one menu has used up its room in
// it: readings stay in memory (PendingReadings), writing is tried again with growing pauses, an
// alarm is logged when it begins and when it ends. Menus that still have room are written all the
// while. Nothing in memory is ever sent: what travels has been on disk. One thread.
class SpoolKeeper {
 public:
  SpoolKeeper(SpoolOptions options, const base::Clock& clock, base::RandomSource& random,
              log::Logger& logger, PendingLimits limits = {});

  // Boundary instants of a router, which cut what stays in memory.
  void SetBoundaries(const base::RouterId& router, std::vector<std::int64_t> boundaries_us) {
    pending_.SetBoundaries(router, std::move(boundaries_us));
  }

  // Opens the spool; call once. An error that waiting cannot mend (no folder, no permission, a
  // newer format, in use by another process) is returned; else the keeper goes on without a spool
  // and tries again.
  absl::Status Start();
  // Writes the reading, or keeps it in memory behind those of its menu that wait there.
  void Take(NewRow row);
  void Take(std::vector<NewRow> rows);
  // Tries again when it is time, and trims now and then. True when readings went from memory to
  // disk. Call it about once a second.
  bool Tick();

  // Null while the file cannot be opened.
  Spool* spool() { return spool_.get(); }
  // For a failure met while using spool(): closes the file, so that it is opened afresh.
  void Fail(const absl::Status& status);
  // OK, or why readings stay in memory, since when, and what to do.
  const absl::Status& health() const { return health_; }
  const PendingReadings& pending() const { return pending_; }

 private:
  void WritePending();
  // Why nothing more of the menu goes to disk now; OK when it all went. `disk_full` where no menu's
  // would.
  absl::Status WritePending(const MenuKey& key, bool& disk_full);
  void KeepLeasesToTheirSpool();
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
  // Of the spool that the leases of readings in memory were granted to.
  std::string spool_uuid_;
  bool wrote_pending_ = false;
  std::uint64_t lost_reported_ = 0;
  absl::Duration retry_at_;
  absl::Duration trim_at_;
};

}  // namespace netsentinel::spool
