#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <list>
#include <map>

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace netsentinel::poll {

// How many sessions with routers this process may hold at once, since each takes a descriptor.
// Where there are more routers than that they take turns: whoever waits gets the next session that
// is free, the longest waiting first; and once one has waited for a whole turn, of those that hold
// a session the one that has held it longest, and for a turn at least, gives it up after its next
// reading. So every router is read, with gaps of about a turn. Whoever does not use its session for
// now (a router that cannot be reached) holds none. One thread.
class SessionBudget {
 public:
  static constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();
  static constexpr absl::Duration kTurn = absl::Minutes(2);

  // Names who holds or waits.
  using Holder = const void*;

  explicit SessionBudget(const base::Clock& clock, std::size_t sessions = kUnlimited,
                         absl::Duration turn = kTurn)
      : clock_(clock), sessions_(sessions), turn_(turn) {}

  // True when the holder has a session's right, from now on. Otherwise it waits; `wake` is called
  // from within another's Release once it has it. Call Release to wait no longer.
  bool Take(Holder holder, std::function<void()> wake);
  // Gives the right or the place among the waiting back. Idempotent.
  void Release(Holder holder);
  // Whether the holder should give its session up for others that have waited long.
  bool ShouldYield(Holder holder) const;

  std::size_t sessions() const { return sessions_; }
  std::size_t held() const { return held_.size(); }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiter {
    Holder holder;
    absl::Duration since;
    std::function<void()> wake;
  };

  const base::Clock& clock_;
  const std::size_t sessions_;
  const absl::Duration turn_;
  std::map<Holder, absl::Duration> held_;  // and since when
  std::list<Waiter> waiting_;
};

}  // namespace netsentinel::poll
