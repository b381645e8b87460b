#pragma once

#include <condition_variable>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"

#include "common/base/backoff.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "notifier/audit/audit_entry.h"
#include "notifier/audit/sqlite_audit_queue.h"

namespace netsentinel::audit {

// Where entries go. Thread-safe.
class AuditSink {
 public:
  virtual ~AuditSink() = default;
  // OK when all are stored for good, in the aggregator's log; entries that are there already do no
  // harm. kInvalidArgument when one of them will never be taken. Anything else may be tried again.
  virtual absl::Status Record(const std::vector<AuditEntry>& entries) = 0;
};

// All of it outlives the sender.
struct AuditSenderParts {
  SqliteAuditQueue& queue;
  AuditSink& sink;
  base::RandomSource& random;
  log::Logger& logger;
  http::Readiness& readiness;
  http::Liveness::Pulse& pulse;
};

// Hands entries over, oldest first, at most 100 a call, and tries again with backoff, up to a
// minute. While some wait the readiness condition "audit" says so.
class AuditSender {
 public:
  explicit AuditSender(AuditSenderParts parts, base::BackoffPolicy backoff = {});

  // Until the stop. One thread.
  void Run(const std::stop_token& stop);
  // There may be entries. Any thread.
  void Wake();

 private:
  // OK when nothing waits any more.
  absl::Status SendAll(const std::stop_token& stop);
  absl::Status SendOneByOne(const std::vector<AuditEntry>& entries);
  void Wait(absl::Duration duration, const std::stop_token& stop);

  AuditSenderParts parts_;
  base::Backoff backoff_;
  bool failing_ = false;
  base::Mutex mutex_;
  std::condition_variable_any changed_;
  bool awake_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace netsentinel::audit
