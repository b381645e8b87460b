#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>

#include "absl/status/status.h"

#include "aggregator/query/store_slot.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/log/logger.h"

namespace netsentinel::app {

// Writes into the audit log that the configuration was read again and what came of it, on a thread
// of its own: the store may be away. A standby writes it once it is the active one. What is not
// written when the process ends stands in its log only. Thread-safe.
class ReloadLog {
 public:
  // Waiting entries; of more the oldest are left out.
  static constexpr std::size_t kMostWaiting = 100;

  // All of it outlives this. `fence`: as query::AuditParts.
  ReloadLog(query::StoreSlot& store, std::function<std::optional<store::Fence>()> fence,
            const base::Clock& clock, base::RandomSource& random, log::Logger& logger);
  ~ReloadLog();
  ReloadLog(const ReloadLog&) = delete;
  ReloadLog& operator=(const ReloadLog&) = delete;

  // Not OK: it was refused, and why. Does not wait.
  void Note(const absl::Status& outcome);

 private:
  void Run(const std::stop_token& stop);
  bool Write(const store::AuditRow& row);

  query::StoreSlot& store_;
  const std::function<std::optional<store::Fence>()> fence_;
  const base::Clock& clock_;
  base::RandomSource& random_;
  log::Logger& logger_;
  base::Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<store::AuditRow> rows_ ABSL_GUARDED_BY(mutex_);
  std::jthread thread_;
};

}  // namespace netsentinel::app
