#pragma once

#include <map>
#include <string>

#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/config/shared_sections.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"

namespace netsentinel::shell {

// Shows when the certificates of a process end, as
// netsentinel_certificate_expiry_timestamp_seconds{file}, and warns in the log from 30 days before,
// once a day for each file. Shows too how many certificates their revocation lists refuse, as
// netsentinel_revoked_certificates{file}, and warns when a certificate and its key do not fit. A
// file is read anew at each look, since it may be replaced while the process runs; one that cannot
// be read keeps its last figure and is warned of. Thread-safe; the three must outlive it.
class CertificateWatch {
 public:
  CertificateWatch(const base::Clock& clock, log::Logger& logger, metrics::Registry& metrics)
      : clock_(clock), logger_(logger), metrics_(metrics) {}

  // Watches the certificate and the authority of a connection from now on, of each file the first
  // certificate, and its revocation list; nothing when the connection is insecure.
  void Add(const config::Security& security);
  // Reads the files, at most once every 10 s however often it is called.
  void Look();

 private:
  struct File {
    metrics::Gauge expiry;
    absl::Duration quiet_until;  // no warning before this monotonic time
  };
  struct List {
    std::string ca;
    metrics::Gauge revoked;
    absl::Duration quiet_until;
  };
  // A certificate's key, and when it may be warned of again.
  struct Pair {
    std::string key;
    absl::Duration quiet_until;
  };
  void LookAtPair(const std::string& path, Pair& pair) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookAt(const std::string& path, File& file) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookAtList(const std::string& path, List& list) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const base::Clock& clock_;
  log::Logger& logger_;
  metrics::Registry& metrics_;
  base::Mutex mutex_;
  std::map<std::string, File> files_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Pair> pairs_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, List> lists_ ABSL_GUARDED_BY(mutex_);
  absl::Duration next_look_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::shell
