#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/counters/snapshot.h"
#include "tools/simulator/queue.h"

namespace netsentinel::simulator {

using counters::Menu;

// Traffic of one queue instance in a stretch of time: the ground truth.
struct MovedRow {
  Menu menu = Menu::kSimple;
  std::uint64_t row_id = 0;
  std::uint64_t instance = 0;
  std::string name;
  // All traffic that entered at this queue, and the part of it that its counters do not show
  // (frozen, FastTrack).
  UpDown moved;
  UpDown uncounted;
  // The part of moved.down that went from one host of the target to another: both ends match, and
  // the router counts it as download whichever way it goes.
  std::uint64_t both = 0;
};

struct RebootOptions {
  // How long the router is away; its uptime is 0 at the end of that.
  std::int64_t down_us = 0;
  // Static rows get new ids, in order from the first. Dynamic rows always are new rows.
  bool renumber = false;
};

struct ReconnectOptions {
  bool reuse_id = false;
  // The new row is called <kind-user-1>, as when the old session still lingers.
  bool suffix = false;
};

struct EditOptions {
  // Present fields change.
  bool set_max_limit = false;
  UpDown max_limit;
  bool set_target = false;
  std::string target;
  bool set_comment = false;
  std::string comment;
  bool reset_counters = false;
};

// The queues of one router, their counters and its uptime. Pure: time comes in as microseconds of
// any steady clock, chance from the seed. One thread. `now_us` must not run backwards; a smaller
// one counts as the largest seen. Errors name the queue.
class Engine {
 public:
  // `uptime_s` is what the router shows at `now_us`.
  Engine(std::uint64_t seed, std::int64_t now_us, std::uint64_t uptime_s);

  // Fails on a duplicate or empty name, an unknown parent or, for a given id, one in use. `row_id`
  // 0 takes the next free id; /queue/tree begins at *1000000.
  absl::Status Add(Menu menu, const QueueSpec& spec, std::uint64_t row_id = 0);
  // Children of a removed queue become invalid and count nothing.
  absl::Status Remove(Menu menu, absl::string_view name);
  // The id stays, children follow.
  absl::Status Rename(Menu menu, absl::string_view name, absl::string_view to);
  // Removes and adds the same configuration again, with counters at 0.
  absl::Status Recreate(Menu menu, absl::string_view name, bool reuse_id);
  absl::Status SetDisabled(Menu menu, absl::string_view name, bool disabled);
  absl::Status Edit(Menu menu, absl::string_view name, const EditOptions& options);
  // The whole configuration anew, its name too; counters, traffic and session stay.
  absl::Status Configure(Menu menu, absl::string_view name, QueueSpec spec);
  absl::Status SetFrozen(Menu menu, absl::string_view name, bool frozen);
  absl::Status SetTraffic(Menu menu, absl::string_view name, const TrafficModel& traffic);
  absl::Status ResetCounters(Menu menu, absl::string_view name);
  void ResetAll(Menu menu);
  void FreezeAll(bool frozen);
  // While on, traffic passes simple queues and trees under `global` uncounted.
  void SetFastTrack(bool on) { fasttrack_ = on; }
  bool fasttrack() const { return fasttrack_; }
  // While paused, only Move moves bytes.
  void PauseTraffic(bool paused) { paused_ = paused; }

  // Counters to 0, dynamic rows made anew, uptime from 0 once the router is back.
  void Reboot(std::int64_t now_us, const RebootOptions& options);
  // Ends a session: its row goes, its configuration is kept for Connect.
  absl::Status Disconnect(absl::string_view user);
  // A new row for a user that was disconnected.
  absl::Status Connect(absl::string_view user, const ReconnectOptions& options);
  // Both at once.
  absl::Status Reconnect(absl::string_view user, const ReconnectOptions& options);

  // Lets the traffic models run until `now_us`. Call it before reading or changing anything.
  void AdvanceTo(std::int64_t now_us);
  // Exactly these bytes pass one queue now (and count in it and its parents), and `both` more
  // between two hosts of its target, which count as download. Fails on a disabled or invalid queue.
  // Not capped by max-limit.
  absl::Status Move(Menu menu, absl::string_view name, UpDown bytes, std::uint64_t both = 0);

  // Rows in the order of a print.
  const std::vector<Queue>& queues(Menu menu) const { return table(menu).rows; }
  const Queue* Find(Menu menu, absl::string_view name) const;
  // The same by the number in `.id`.
  const Queue* FindById(Menu menu, std::uint64_t row_id) const;
  // Whole seconds; 0 while the router is away.
  std::uint64_t UptimeSeconds(std::int64_t now_us) const;
  bool Away(std::int64_t now_us) const { return now_us < boot_us_; }
  std::uint64_t boot_count() const { return boot_count_; }

  // What moved since the last call, rows that vanished meanwhile included; rows without traffic
  // are left out.
  std::vector<MovedRow> TakeMoved();

 private:
  struct Table {
    std::vector<Queue> rows;
    absl::flat_hash_map<std::string, std::size_t> by_name;
    // Above every id ever given.
    std::uint64_t next_id = 1;
  };

  Table& table(Menu menu) { return menu == Menu::kSimple ? simple_ : tree_; }
  const Table& table(Menu menu) const { return menu == Menu::kSimple ? simple_ : tree_; }
  absl::StatusOr<Queue*> FindMutable(Menu menu, absl::string_view name);
  // The names and parents of a table after its rows changed.
  void Reindex(Menu menu);
  void RemoveRow(Menu menu, std::size_t index);
  void AppendRow(Menu menu, const QueueSpec& spec, std::uint64_t row_id);
  void RememberMoved(Menu menu, const Queue& queue);
  bool Counts(Menu menu, const Table& table, const Queue& queue) const;
  void Pass(Menu menu, Table& table, std::size_t index, UpDown bytes, bool whole_packets);
  std::size_t SessionRow(absl::string_view user) const;

  std::uint64_t seed_;
  std::int64_t now_us_;
  std::int64_t boot_us_;
  std::uint64_t boot_count_ = 0;
  std::uint64_t next_instance_ = 1;
  bool fasttrack_ = false;
  bool paused_ = false;
  Table simple_;
  Table tree_;
  std::map<std::string, Queue, std::less<>> ended_sessions_;
  std::vector<MovedRow> vanished_moved_;
};

}  // namespace netsentinel::simulator
