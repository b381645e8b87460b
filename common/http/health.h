#pragma once

#include <list>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace netsentinel::http {

// What must hold before this process can do its work, by name, each with a sentence while it does
// not. Thread-safe.
class Readiness {
 public:
  // `sentence` says what is wrong and what happens next: "cannot reach 10.0.0.5:3306: connection
  // refused; trying again every 5 s". Also declares the condition.
  void NotReady(absl::string_view condition, absl::string_view sentence);
  void Ready(absl::string_view condition);

  bool ready() const;
  // One line a condition that does not hold, "store: not ready: …"; "ready" when all hold.
  std::string Text() const;

 private:
  mutable base::Mutex mutex_;
  std::map<std::string, std::string> conditions_ ABSL_GUARDED_BY(mutex_);  // empty: holds
};

// Whether loops that must turn are turning: a process that hangs is restarted by whoever watches
// /healthz or the systemd watchdog. Thread-safe.
class Liveness {
 public:
  // One loop. Thread-safe; lives as long as its Liveness.
  class Pulse {
   public:
    // Says that the loop turns. Cheap.
    void Beat();
    // Says that the loop is over and no longer expected to turn.
    void Stop();

   private:
    friend class Liveness;
    Pulse(Liveness& owner, absl::string_view name, absl::Duration max_silence)
        : owner_(owner), name_(name), max_silence_(max_silence) {}
    Liveness& owner_;
    const std::string name_;
    const absl::Duration max_silence_;
    absl::Duration last_;
    bool stopped_ = false;
  };

  // `clock` must outlive it.
  explicit Liveness(const base::Clock& clock) : clock_(clock) {}
  // A loop that promises to turn at least every `max_silence` from now on.
  Pulse& AddPulse(absl::string_view name, absl::Duration max_silence);

  bool alive() const;
  // One line an overdue loop; "alive" when there is none.
  std::string Text() const;

 private:
  std::vector<std::string> Overdue() const;

  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::list<Pulse> pulses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::http
