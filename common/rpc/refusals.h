#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"

namespace netsentinel::rpc {

// Who was refused.
struct Refusal {
  std::string reason;   // a word of ours, the metric's label: "role", "revoked"
  std::string address;  // "10.0.0.7:51234"; empty when not known
  std::string name;     // "viewer eve"; empty when no certificate was shown
  std::string words;    // what happened, for the log
};

// Keeps a trace of every refused connection and call: each is counted in
// netsentinel_grpc_refused_total{reason}, and logged as rpc.refused. Logged is the first of a
// (reason, host, name), then one every 10 s with the number of those in between (more_like_it); at
// most 20 lines a second, and the next one says how many others were left out (others_untold).
// Thread-safe; the three must outlive it.
class Refusals {
 public:
  Refusals(const base::Clock& clock, log::Logger& logger, metrics::Registry& metrics)
      : clock_(clock), logger_(logger), metrics_(metrics) {}

  void Refuse(const Refusal& refusal);
  // Counts only: for what happens every day, such as a port scan that leaves without a byte.
  void Count(absl::string_view reason);

 private:
  static constexpr std::size_t kMaxKeys = 512;
  static constexpr absl::Duration kQuiet = absl::Seconds(10);
  static constexpr int kLinesPerSecond = 20;

  struct Trace {
    absl::Duration quiet_until;
    std::uint64_t suppressed = 0;
  };
  // Lines that were held back before one that is written.
  struct HeldBack {
    std::uint64_t like_it = 0;  // of the same reason, host and name
    std::uint64_t others = 0;   // of which nothing else is told
  };
  // Nothing: hold this one back as well.
  std::optional<HeldBack> MayLog(const std::string& key);

  const base::Clock& clock_;
  log::Logger& logger_;
  metrics::Registry& metrics_;
  base::Mutex mutex_;
  std::map<std::string, Trace> traces_ ABSL_GUARDED_BY(mutex_);
  absl::Duration window_ ABSL_GUARDED_BY(mutex_);
  int in_window_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t untraced_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace netsentinel::rpc
