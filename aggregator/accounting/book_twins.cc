#include "aggregator/accounting/book_twins.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"
#include "common/base/display_name.h"
#include "common/counters/matching.h"

namespace netsentinel::accounting {
namespace {

using counters::QueueReading;
using counters::SnapshotHeader;

// An entry that has not been read for so many of its intervals does not silence a new one.
constexpr std::int64_t kSilentIntervals = 3;

// A menu of another entry that shows the same device: as it is once what was staged before this
// snapshot is taken in.
struct Other {
  const MenuBook* menu = nullptr;
  const SnapshotHeader* last = nullptr;
  const TwinMark* twin = nullptr;
  const MenuState* state = nullptr;
  const std::vector<Staged::Moved>* moved = nullptr;  // on top of the state
};

ReadingsByName ReadingsOf(const MenuState& state, const std::vector<Staged::Moved>* moved) {
  std::vector<QueueReading> rows = state.rows;
  if (moved != nullptr) {
    for (const Staged::Moved& row : *moved) rows[row.row] = row.reading;
  }
  ReadingsByName readings;
  readings.reserve(rows.size());
  for (const QueueReading& row : rows) {
    const counters::QueueDescriptor* descriptor = state.dictionary.Find(row.descriptor);
    if (row.descriptor == kNoRow || descriptor == nullptr) continue;
    readings.try_emplace(descriptor->name, NamedReading{descriptor->row_id, row});
  }
  return readings;
}

std::int64_t UptimeUs(const SnapshotHeader& header) {
  return static_cast<std::int64_t>(header.router_uptime_s) * kSecondUs;
}

// Two readings no further apart than this may have been taken in either order: requests last, and
// clocks of two hosts differ.
std::int64_t OrderSlackUs(const SnapshotHeader& a, const SnapshotHeader& b) {
  const bool one_host = !a.host_boot_id.empty() && a.host_boot_id == b.host_boot_id;
  return ((a.end_us - a.begin_us) + (b.end_us - b.begin_us)) / 2 + (one_host ? 0 : 3 * kSecondUs);
}

bool IsLater(const SnapshotHeader& a, const SnapshotHeader& b) {
  return a.attribution_us - b.attribution_us > OrderSlackUs(a, b);
}

// Whether both started at one instant, as well as clocks can tell.
bool OneBoot(const SnapshotHeader& a, const SnapshotHeader& b) {
  const bool one_host = !a.host_boot_id.empty() && a.host_boot_id == b.host_boot_id;
  const std::int64_t began_a = (one_host ? a.end_us : a.attribution_us) - UptimeUs(a);
  const std::int64_t began_b = (one_host ? b.end_us : b.attribution_us) - UptimeUs(b);
  const std::int64_t apart = std::abs(a.attribution_us - b.attribution_us);
  const std::int64_t slack =
      3 * kSecondUs + (a.end_us - a.begin_us) + (b.end_us - b.begin_us) + apart / 5000;
  return std::abs(began_a - began_b) <= slack;
}

// Whether readings of the other entry lie between this one's before and now, row by row: counters
// of one machine can do nothing else. A row that fell meanwhile says nothing. Nothing where there
// is nothing to compare.
std::optional<bool> CountersAgree(const MenuState& state, const SnapshotHeader& now,
                                  const ReadingsByName& fresh, const Other& other) {
  const ReadingsByName theirs = ReadingsOf(*other.state, other.moved);
  // A reading before a restart bounds nothing after it, whether or not a counter has overtaken it.
  const bool restarted = state.last.has_value() && !OneBoot(*state.last, now);
  const ReadingsByName before = restarted ? ReadingsByName() : ReadingsOf(state, nullptr);
  const bool they_are_later = IsLater(*other.last, now);
  const bool they_are_earlier = IsLater(now, *other.last);
  const bool they_follow = state.last.has_value() && IsLater(*other.last, *state.last);
  std::optional<bool> agree;
  for (const auto& [name, row] : fresh) {
    const auto their = theirs.find(name);
    if (their == theirs.end() || their->second.row_id != row.row_id) continue;
    // A queue that was made anew has another `.id`: what the old one had bounds nothing.
    auto mine = before.find(name);
    if (mine != before.end() && mine->second.row_id != row.row_id) mine = before.end();
    if (mine != before.end() && !counters::NoWitnessFell(mine->second.reading, row.reading)) {
      continue;
    }
    const QueueReading& reading = their->second.reading;
    const bool good = (!they_are_later || counters::NoWitnessFell(row.reading, reading)) &&
                      (!they_are_earlier || counters::NoWitnessFell(reading, row.reading));
    const bool follows = !they_follow || mine == before.end() ||
                         counters::NoWitnessFell(mine->second.reading, reading);
    if (!good || !follows) return false;
    agree = true;
  }
  return agree;
}

enum class Kinship { kNone, kTwin, kClone };

Kinship KinshipOf(const MenuChange& change, const SnapshotHeader& now, const MenuState& state,
                  const ReadingsByName& fresh, const Other& other) {
  const base::RouterId& name = other.menu->router->settings.id;
  const TwinMark& mark = change.menu->twin;
  const bool first = !state.last.has_value();
  const bool known_twin = (!mark.clone && mark.of == name) ||
                          (!other.twin->clone && other.twin->of == change.router->settings.id);
  if (!OneBoot(now, *other.last)) {
    // One of the two has not seen the restart yet, or may not have: a first snapshot that waits
    // for the other's next one loses nothing, it only takes a baseline.
    const std::int64_t newer = std::max(now.attribution_us - UptimeUs(now),
                                        other.last->attribution_us - UptimeUs(*other.last));
    const std::int64_t older_reading = std::min(now.attribution_us, other.last->attribution_us);
    if ((known_twin || first) && older_reading <= newer + 3 * kSecondUs) {
      return Kinship::kTwin;
    }
    return Kinship::kClone;
  }
  const std::optional<bool> agree = CountersAgree(state, now, fresh, other);
  if (!agree.has_value()) return known_twin ? Kinship::kTwin : Kinship::kNone;
  return *agree ? Kinship::kTwin : Kinship::kClone;
}

// The menus of other entries that show the device, in the order of their names.
std::vector<Other> OthersOf(const MenuChange& change, const std::string& key,
                            const DeviceIndex& index, const ChangeIndex& staged) {
  std::vector<Other> others;
  if (const auto found = index.find(key); found != index.end()) {
    for (const MenuBook* menu : found->second) {
      if (menu->router == change.router || menu->menu != change.menu->menu) continue;
      for (const auto& device : menu->devices) {
        if (device->device_key != key || !device->state.last.has_value()) continue;
        others.push_back({menu, &*device->state.last, &menu->twin, &device->state, nullptr});
      }
    }
  }
  if (const auto found = staged.find(key); found != staged.end()) {
    for (MenuChange* earlier : found->second) {
      if (earlier->router == change.router || earlier->menu->menu != change.menu->menu) continue;
      if (earlier->staged.pending) continue;
      std::erase_if(others, [&](const Other& other) { return other.menu == earlier->menu; });
      const Staged& theirs = earlier->staged;
      const bool whole = theirs.replacement != nullptr;
      others.push_back({earlier->menu, &theirs.header, &earlier->twin,
                        whole ? theirs.replacement.get() : &earlier->target().state,
                        whole ? nullptr : &theirs.moved});
    }
  }
  std::sort(others.begin(), others.end(), [](const Other& a, const Other& b) {
    return a.menu->router->settings.id < b.menu->router->settings.id;
  });
  return others;
}

ReadingsByName ReadingsOf(const counters::Snapshot& snapshot, const MenuState& state,
                          const counters::AddedDescriptors& added) {
  ReadingsByName readings;
  readings.reserve(snapshot.readings.size());
  for (const QueueReading& reading : snapshot.readings) {
    const counters::QueueDescriptor* descriptor = state.dictionary.Find(reading.descriptor);
    if (descriptor == nullptr && !added.empty()) {
      const std::size_t at = reading.descriptor - added.front().first;
      if (at < added.size()) descriptor = &added[at].second;
    }
    if (descriptor == nullptr) continue;
    readings.try_emplace(descriptor->name, NamedReading{descriptor->row_id, reading});
  }
  return readings;
}

// A silent step leaves no bytes behind; the state goes on, so that it is known from where to count.
void Silence(Effects& effects, std::int64_t base_us, bool was_silent) {
  effects.deltas.clear();
  effects.epochs.clear();
  effects.epoch_queues.clear();
  if (was_silent) {
    effects.doubts.clear();
    return;
  }
  // What was in dispute from before counts here still, as far as it goes.
  std::erase_if(effects.doubts, [base_us](const Doubt& doubt) { return doubt.from_us >= base_us; });
  for (Doubt& doubt : effects.doubts) doubt.doubt = doubt.counted;
}

}  // namespace

// What the queues moved after the other entry's last reading until this one's own, that of `state`:
// both read the same counters, so it is known to the byte.
void Book::Impl::TakeOver(const MenuChange& change, const MenuState& state,
                          const SnapshotHeader& from, const ReadingsByName& theirs,
                          Effects& effects) {
  const std::int64_t to_us = state.last->attribution_us;
  const MenuSettings settings = PlaceOf(*change.router, *change.menu).settings;
  std::vector<std::optional<base::TrafficBytes>> moved(state.rows.size());
  for (std::size_t row = 0; row < state.rows.size(); ++row) {
    const QueueReading& mine = state.rows[row];
    if (mine.descriptor == kNoRow) continue;
    // Where only queues without a parent count, what the others moved is in their parents' bytes.
    if (settings.parents == ParentsMode::kRoots && state.slots[row].parent != kNoRow) continue;
    const counters::QueueDescriptor& descriptor = *state.dictionary.Find(mine.descriptor);
    const auto their = theirs.find(descriptor.name);
    if (their != theirs.end() && their->second.row_id == descriptor.row_id &&
        counters::NoWitnessFell(their->second.reading, mine)) {
      moved[row] = {mine.upload - their->second.reading.upload,
                    mine.download - their->second.reading.download};
      continue;
    }
    Doubt unseen;
    unseen.descriptor = mine.descriptor;
    unseen.from_us = unseen.observed_since_us = unseen.watched_since_us = from.attribution_us;
    unseen.to_us = to_us;
    unseen.blind_from_us = from.attribution_us;
    unseen.blind_to_us = to_us;
    const std::uint64_t line = CeilingBytes(settings.line_rate_bps, to_us - from.attribution_us);
    unseen.unseen = {change.menu->menu == counters::Menu::kTree ? 0 : line, line};
    effects.doubts.push_back(std::move(unseen));
  }
  std::vector<base::TrafficBytes> children(state.rows.size());
  if (settings.parents == ParentsMode::kResidue) {
    for (std::size_t row = 0; row < state.rows.size(); ++row) {
      const std::uint32_t parent = state.slots[row].parent;
      if (moved[row].has_value() && parent != kNoRow) children[parent] += *moved[row];
    }
  }
  for (std::size_t row = 0; row < state.rows.size(); ++row) {
    if (!moved[row].has_value()) continue;
    base::TrafficBytes own = *moved[row];
    own.upload -= std::min(own.upload, children[row].upload);
    own.download -= std::min(own.download, children[row].download);
    if (own.zero()) continue;
    Delta delta;
    delta.descriptor = state.rows[row].descriptor;
    delta.from_us = delta.observed_since_us = from.attribution_us;
    delta.to_us = to_us;
    delta.bytes = own;
    effects.deltas.push_back(delta);
  }
}

void Book::Impl::JudgeTwins(MenuChange& change, const counters::Snapshot& snapshot,
                            const ChangeIndex& staged, std::vector<EventRecord>& events) {
  const bool same_device = change.device != nullptr && change.device == change.menu->current;
  const TwinMark before = same_device ? change.menu->twin : TwinMark();
  change.twin = change.staged.pending ? before : TwinMark();
  const std::string key = snapshot.header.device.Key();
  if (key.empty() || change.staged.pending) return;
  const std::vector<Other> others = OthersOf(change, key, menus_of_device, staged);
  if (others.empty()) return;
  const MenuState& state = change.target().state;
  const SnapshotHeader& now = change.staged.header;
  const std::int64_t base_us = state.last.has_value() ? state.last->attribution_us : 0;
  const ReadingsByName fresh = ReadingsOf(snapshot, state, change.added);
  const Other* owner = nullptr;
  for (const Other& other : others) {
    const base::RouterId& name = other.menu->router->settings.id;
    const Kinship kin = KinshipOf(change, now, state, fresh, other);
    if (kin == Kinship::kClone && change.twin.of.empty()) {
      change.twin = {.silent = false, .clone = true, .of = name};
    }
    if (kin != Kinship::kTwin) continue;
    // Known from here on, even by a reading that has nothing to compare.
    if (change.twin.clone || change.twin.of.empty()) {
      change.twin = {.silent = false, .clone = false, .of = name};
    }
    if (other.twin->silent) continue;
    const std::int64_t theirs_us = other.last->attribution_us;
    bool counts_there = (state.last.has_value() && !IsLater(*state.last, *other.last)) ||
                        (before.silent && !state.disputes.empty());
    if (!state.last.has_value()) {
      const absl::Duration interval = other.menu->router->settings.poll_interval;
      counts_there =
          theirs_us + kSilentIntervals * absl::ToInt64Microseconds(interval) + 5 * kSecondUs >=
          now.attribution_us;
    }
    if (counts_there) {
      change.twin = {.silent = true, .clone = false, .of = name};
      break;
    }
    if (owner == nullptr || owner->last->attribution_us < theirs_us) owner = &other;
  }
  const auto tell = [&](absl::string_view kind, std::string detail) {
    events.push_back({now.attribution_us, change.router->settings.id, change.menu->menu, "",
                      std::string(kind), std::move(detail)});
  };
  const auto named = [](const base::RouterId& id) {
    return absl::StrCat("router \"", id.value(), "\"");
  };
  if (change.twin.silent) {
    Silence(change.staged.effects, base_us, before.silent);
    if (before.silent && before.of == change.twin.of) return;
    tell("device_twice",
         absl::StrCat("device ", base::DisplayName(key), " is read as ", named(change.twin.of),
                      " as well: it counts there, and here only once nobody reads it there; take"
                      " one of the two out of routers:"));
    return;
  }
  const bool first = !state.last.has_value();
  if ((before.silent || first) && owner != nullptr) {
    TakeOver(change, first ? *change.staged.replacement : state, *owner->last,
             ReadingsOf(*owner->state, owner->moved), change.staged.effects);
    tell("device_taken_over",
         absl::StrCat("device ", base::DisplayName(key), " is not read as ",
                      named(owner->menu->router->settings.id),
                      " any more: it counts here from its last reading there"));
  }
  if (change.twin.clone && !before.clone) {
    tell("device_cloned",
         absl::StrCat(named(change.twin.of), " shows the same device ", base::DisplayName(key),
                      " and is another machine, which started at another time or counts otherwise:"
                      " both count; give one of them its own license or serial number"));
  }
}

void Book::Impl::IndexDevice(MenuBook& menu, const std::string& device_key) {
  if (device_key.empty()) return;
  std::vector<MenuBook*>& menus = menus_of_device[device_key];
  if (std::find(menus.begin(), menus.end(), &menu) == menus.end()) menus.push_back(&menu);
}

void Book::Impl::UnindexDevice(const MenuBook& menu, const std::string& device_key) {
  const auto found = menus_of_device.find(device_key);
  if (found == menus_of_device.end()) return;
  std::erase(found->second, &menu);
  if (found->second.empty()) menus_of_device.erase(found);
}

}  // namespace netsentinel::accounting
