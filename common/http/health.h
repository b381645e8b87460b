#pragma once

#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace netsentinel::http {

// What must hold before this process can do its work, by name, each with a sentence while it does
// not. An advisory condition is shown in the same way and does not make the process unready: others
// that must not stop relying on it while something behind it is away. Thread-safe.
class Readiness {
 public:
  // `sentence` says what is wrong and what happens next: "cannot reach 10.0.0.5:3306: connection
  // refused; trying again every 5 s". Also declares the condition.
  void NotReady(absl::string_view condition, absl::string_view sentence);
  void Ready(absl::string_view condition);
  // Makes the condition an advisory one, for good; it holds unless something else was said of it.
  void MakeAdvisory(absl::string_view condition);

  // Every condition holds that is not an advisory one.
  bool ready() const;
  // "ready" first when it is so; then one line a condition that does not hold: "store: not ready:
  // …", or "notifier: waiting: …" for an advisory one.
  std::string Text() const;
  // Every condition declared so far, and whether it holds.
  std::vector<std::pair<std::string, bool>> Conditions() const;
  // Called now and at every change of ready(), one call at a time and with this object locked: must
  // be quick and must not call back. One watcher; an empty one ends it, and no call is under way
  // any more when this returns.
  void Watch(std::function<void(bool ready)> watcher);

 private:
  struct Condition {
    std::string sentence;  // empty: holds
    bool advisory = false;
  };
  bool AllHold() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Tell() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable base::Mutex mutex_;
  std::map<std::string, Condition> conditions_ ABSL_GUARDED_BY(mutex_);
  std::function<void(bool)> watcher_ ABSL_GUARDED_BY(mutex_);
  bool told_ ABSL_GUARDED_BY(mutex_) = true;
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
    // Says that the loop is not expected to turn, until the next beat: it is over, or does
    // something that may rightly take any time.
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
  // Every loop that is expected to turn, and how long ago it did.
  std::vector<std::pair<std::string, absl::Duration>> Loops() const;

 private:
  std::vector<std::string> Overdue() const;

  const base::Clock& clock_;
  mutable base::Mutex mutex_;
  std::list<Pulse> pulses_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::http
