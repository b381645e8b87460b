#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "common/counters/snapshot.h"

namespace netsentinel::poll {

// What one reading tells of time. Instants in microseconds.
struct UptimeReading {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::string device_key;     // counters::DeviceIdentity::Key, may be empty
  std::int64_t begin_us = 0;  // CLOCK_BOOTTIME when it was asked for and complete
  std::int64_t end_us = 0;
  std::int64_t wall_us = 0;  // CLOCK_REALTIME when it was complete
  std::uint64_t uptime_s = 0;
};

// What a snapshot's header says of pauses.
struct PauseJudgement {
  std::int64_t host_paused_us = 0;
  bool decided = false;
  // A reading of another router that is due soon can still tell: Ask again, or GiveUp.
  bool waiting = false;
};

// Something that an operator should know of.
struct PauseNote {
  enum class Kind { kHostPaused, kRouterAhead, kUndecided };
  Kind kind = Kind::kUndecided;
  base::RouterId router;
  std::int64_t ahead_us = 0;  // about how much
  // In one sentence for the log.
  std::string text;
};

// Finds out when this host stood still without CLOCK_BOOTTIME noticing, as a hypervisor's pause or
// migration makes it: then the uptimes of all routers run ahead of it together. One router's uptime
// alone that ran ahead is that router's doing (a restored image, a clone, another machine).
//
// A pause it is when two devices ran ahead by the same amount in the same time, or when the wall
// clock moved ahead of CLOCK_BOOTTIME by as much. No pause when another device that was read before
// and after did not run ahead. Neither: not decided. A wall clock that steps alone says nothing.
//
// What is found only after a menu's snapshot went out undecided is never added to that menu's later
// snapshots: its time has passed. Pure; one thread.
class HostPauses {
 public:
  explicit HostPauses(std::function<void(const PauseNote&)> tell) : tell_(std::move(tell)) {}

  // Takes note of a reading; readings of a menu come in their order. The first of a menu is not
  // decided.
  PauseJudgement Observe(const UptimeReading& reading);
  // Of the menu's reading that waits.
  PauseJudgement Ask(const base::RouterId& router, counters::Menu menu);
  // Waiting ends: it goes out as not decided.
  PauseJudgement GiveUp(const base::RouterId& router, counters::Menu menu);
  // The router is not read any more for a while, or for good: others may read it meanwhile.
  void Forget(const base::RouterId& router);
  // Menus of routers that are remembered.
  std::size_t streams() const { return streams_.size(); }

 private:
  struct Range {
    std::int64_t low = 0;
    std::int64_t high = 0;
    std::int64_t middle() const { return low + (high - low) / 2; }
  };
  // An uptime that ran ahead by `by` within (from, to] of CLOCK_BOOTTIME.
  struct Ahead {
    base::RouterId router;
    std::string device_key;
    Range lead;  // of its device before
    Range by;
    std::int64_t from_us = 0;
    std::int64_t to_us = 0;
    std::int64_t wall_lead_us = 0;  // before
  };
  struct Stream {
    base::RouterId router;
    std::string device_key;
    Range lead;  // of the uptime and what was credited, over CLOCK_BOOTTIME
    Range newest_lead;
    std::int64_t begin_us = 0;
    std::int64_t end_us = 0;
    std::int64_t wall_lead_us = 0;  // of the wall clock over CLOCK_BOOTTIME
    std::int64_t steady_since_us = 0;
    std::int64_t paused_us = 0;
    std::optional<Ahead> ahead;  // not judged yet
  };
  struct Pause {
    Range length;
    std::int64_t from_us = 0;
    std::int64_t to_us = 0;
  };

  static bool SameDevice(const Ahead& ahead, const base::RouterId& router,
                         const std::string& device_key, const Range& lead);
  static bool Alike(const Range& a, const Range& b);
  static bool WallAgrees(const Ahead& ahead, std::int64_t wall_lead_us, std::int64_t end_us);
  PauseJudgement Judge(Stream& stream);
  PauseJudgement GiveUp(Stream& stream);
  // How long the known pauses say the time lasted that ran ahead.
  std::optional<std::int64_t> Known(const Ahead& ahead) const;
  // What another device's same step, not explained either, says of its length.
  std::optional<Range> Shared(const Ahead& ahead) const;
  bool Contradicted(const Ahead& ahead) const;
  bool MayStillTell(const Ahead& ahead) const;
  std::int64_t PausesWithin(std::int64_t from_us, std::int64_t to_us) const;
  void Found(const Ahead& ahead, Range length);
  PauseJudgement Credit(Stream& stream, std::int64_t us);
  // The stream's uptime is taken as it is from here on.
  static void StartOver(Stream& stream);
  void LookAtTheWall(const UptimeReading& reading);

  std::function<void(const PauseNote&)> tell_;
  std::map<std::pair<base::RouterId, counters::Menu>, Stream> streams_;
  std::vector<Pause> pauses_;       // the newest kRemembered
  std::vector<Ahead> unexplained_;  // went out undecided; the newest kRemembered
};

}  // namespace netsentinel::poll
