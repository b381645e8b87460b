#include "common/counters/merge.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/numeric/int128.h"
#include "absl/strings/string_view.h"

#include "common/counters/matching.h"

namespace netsentinel::counters {
namespace {

bool SameConditions(const SnapshotHeader& x, const SnapshotHeader& y) {
  return !y.host_boot_id.empty() && x.host_boot_id == y.host_boot_id && x.clock == y.clock &&
         x.device.Key() == y.device.Key() && x.settings_fingerprint == y.settings_fingerprint &&
         // Where the host stood still, or may have, each step is judged by itself.
         x.host_paused_us == y.host_paused_us && x.pause_decided == y.pause_decided &&
         x.attribution_us <= y.attribution_us && x.end_us <= y.end_us &&
         LineageOf(x, y).only_same();
}

bool BoundaryBetween(absl::Span<const std::int64_t> boundaries, std::int64_t from,
                     std::int64_t to) {
  const auto next = std::upper_bound(boundaries.begin(), boundaries.end(), from);
  return next != boundaries.end() && *next < to;
}

std::vector<MatchRow> RowsOf(const std::vector<QueueReading>& readings,
                             const DescriptorTable& table) {
  std::vector<MatchRow> rows;
  rows.reserve(readings.size());
  for (const QueueReading& reading : readings) {
    rows.push_back({table.Find(reading.descriptor), reading, false});
  }
  return rows;
}

// Every row has a descriptor, and no `.id` and no name stands twice.
bool IsDistinct(const std::vector<MatchRow>& rows) {
  absl::flat_hash_set<std::uint64_t> ids;
  absl::flat_hash_set<absl::string_view> names;
  for (const MatchRow& row : rows) {
    if (row.descriptor == nullptr || !ids.insert(row.descriptor->row_id).second ||
        !names.insert(row.descriptor->name).second) {
      return false;
    }
  }
  return true;
}

bool LacksTooMany(const std::vector<MatchRow>& before, const Matches& matches) {
  const auto missing =
      static_cast<std::size_t>(std::count(matches.before.begin(), matches.before.end(), kNoMatch));
  return counters::LacksTooMany(before.size(), missing);
}

bool GoesOn(const MatchRow& before, const MatchRow& now, MatchKind kind) {
  return kind == MatchKind::kContinues && !before.held && !before.young &&
         before.reading.descriptor == now.reading.descriptor &&
         NoWitnessFell(before.reading, now.reading);
}

// Marks the rows of `now` whose counters fell: the reading after them explains the drop. One that
// follows a drop may be marked although it ended it; that keeps a reading too many, never one too
// few.
void MarkHeld(const std::vector<MatchRow>& before, const Matches& matches,
              std::vector<MatchRow>& now) {
  for (std::size_t i = 0; i < now.size(); ++i) {
    const Match& match = matches.now[i];
    // The first step of a queue that has just appeared is judged by itself.
    now[i].young = match.kind != MatchKind::kContinues;
    now[i].held = (match.kind == MatchKind::kContinues || match.kind == MatchKind::kRenamed) &&
                  ByteCounterFell(before[match.before].reading, now[i].reading);
  }
}

// True when a queue that is held may have another name in `now`: whether it counts as renamed then
// depends on more than the rows show.
bool RenamedWhileHeld(const std::vector<MatchRow>& before, const std::vector<MatchRow>& now) {
  absl::flat_hash_map<std::uint64_t, absl::string_view> held;
  for (const MatchRow& row : before) {
    if (row.held) held[row.descriptor->row_id] = row.descriptor->name;
  }
  if (held.empty()) return false;
  return std::any_of(now.begin(), now.end(), [&held](const MatchRow& row) {
    const auto found = held.find(row.descriptor->row_id);
    return found != held.end() && found->second != row.descriptor->name;
  });
}

// The queues of a menu while steps are applied to them.
class Live {
 public:
  explicit Live(std::vector<MatchRow> rows) : rows_(std::move(rows)) {
    for (std::size_t i = 0; i < rows_.size(); ++i) Index(i);
  }
  void Take(const MergedStep& step, const DescriptorTable& table) {
    std::vector<MatchRow> now = RowsOf(step.readings, table);
    std::erase_if(now, [](const MatchRow& row) { return row.descriptor == nullptr; });
    // Only rows that share an `.id` or a name with the step take part.
    std::vector<std::size_t> at;
    absl::flat_hash_set<std::size_t> seen;
    for (const MatchRow& row : now) {
      const auto id = by_id_.find(row.descriptor->row_id);
      if (id != by_id_.end() && seen.insert(id->second).second) at.push_back(id->second);
      const auto name = by_name_.find(row.descriptor->name);
      if (name != by_name_.end() && seen.insert(name->second).second) at.push_back(name->second);
    }
    std::vector<MatchRow> before;
    before.reserve(at.size());
    for (const std::size_t i : at) before.push_back(rows_[i]);
    const Matches matches = MatchWithinBoot(before, now);
    MarkHeld(before, matches, now);
    for (const DescriptorIndex gone : step.gone) Drop(gone);
    for (std::size_t i = 0; i < now.size(); ++i) {
      std::size_t to = rows_.size();
      if (matches.now[i].kind == MatchKind::kNone) {
        rows_.emplace_back();
      } else {
        to = at[matches.now[i].before];
      }
      rows_[to] = now[i];
      Index(to);
    }
  }
  std::vector<MatchRow> Rows() const {
    std::vector<MatchRow> rows;
    for (const MatchRow& row : rows_) {
      if (row.descriptor != nullptr) rows.push_back(row);
    }
    return rows;
  }

 private:
  void Index(std::size_t at) {
    by_id_[rows_[at].descriptor->row_id] = at;
    by_name_[rows_[at].descriptor->name] = at;
  }
  void Drop(DescriptorIndex gone) {
    for (MatchRow& row : rows_) {
      if (row.descriptor != nullptr && row.reading.descriptor == gone) row.descriptor = nullptr;
    }
  }

  std::vector<MatchRow> rows_;
  absl::flat_hash_map<std::uint64_t, std::size_t> by_id_;
  absl::flat_hash_map<absl::string_view, std::size_t> by_name_;
};

// Decides which queues of `a` must be kept.
class Merger {
 public:
  Merger(const MergeInput& input, const DescriptorTable& table) : input_(input), table_(table) {}

  std::optional<Snapshot> Run() {
    if (!ConditionsHold()) return std::nullopt;
    std::vector<MatchRow> earlier = RowsOf(input_.earlier->readings, table_);
    std::vector<MatchRow> before = RowsOf(input_.before->readings, table_);
    a_ = RowsOf(input_.a->readings, table_);
    b_ = RowsOf(input_.b->readings, table_);
    for (const auto* rows : {&earlier, &before, &a_, &b_}) {
      if (!IsDistinct(*rows)) return std::nullopt;
    }
    // A snapshot that lacks too many is decided by the very next one.
    if (LacksTooMany(earlier, MatchWithinBoot(earlier, before))) return std::nullopt;
    earlier = After(std::move(earlier), input_.before->steps);
    MarkHeld(earlier, MatchWithinBoot(earlier, before), before);
    before_ = After(std::move(before), input_.a->steps);
    if (RenamedWhileHeld(before_, a_)) return std::nullopt;
    to_a_ = MatchWithinBoot(before_, a_);
    MarkHeld(before_, to_a_, a_);
    if (RenamedWhileHeld(a_, b_)) return std::nullopt;
    to_b_ = MatchWithinBoot(a_, b_);
    if (LacksTooMany(before_, to_a_) || LacksTooMany(a_, to_b_)) return std::nullopt;
    keep_.assign(a_.size(), false);
    KeepChangedLives();
    KeepLaterSteps();
    KeepKin();
    KeepFamilies();
    Snapshot merged = Merged();
    if (TooManySteps(merged.steps)) return std::nullopt;
    return merged;
  }

 private:
  bool ConditionsHold() const {
    if (input_.earlier == nullptr || input_.before == nullptr) return false;
    const Snapshot& a = *input_.a;
    const Snapshot& b = *input_.b;
    const SnapshotHeader& before = input_.before->header;
    if (a.header.at_boundary) return false;
    if (a.router != b.router || a.menu != b.menu) return false;
    if (!SameConditions(input_.earlier->header, before)) return false;
    if (!SameConditions(before, a.header) || !SameConditions(a.header, b.header)) return false;
    if (!LineageOf(before, b.header).only_same()) return false;
    return !BoundaryBetween(input_.boundaries_us, before.attribution_us, b.header.attribution_us);
  }

  std::vector<MatchRow> After(std::vector<MatchRow> rows,
                              const std::vector<MergedStep>& steps) const {
    if (steps.empty()) return rows;
    Live live(std::move(rows));
    for (const MergedStep& step : steps) live.Take(step, table_);
    return live.Rows();
  }

  void KeepChangedLives() {
    for (std::size_t i = 0; i < a_.size(); ++i) {
      const Match from = to_a_.now[i];
      const std::uint32_t to = to_b_.before[i];
      keep_[i] = from.kind == MatchKind::kNone || to == kNoMatch ||
                 !GoesOn(before_[from.before], a_[i], from.kind) ||
                 !GoesOn(a_[i], b_[to], to_b_.now[to].kind);
    }
  }

  // What `b`'s own steps tell of a queue follows on its reading at `a`.
  void KeepLaterSteps() {
    absl::flat_hash_set<absl::string_view> names;
    absl::flat_hash_set<std::uint64_t> ids;
    const auto note = [&](DescriptorIndex index) {
      const QueueDescriptor* descriptor = table_.Find(index);
      if (descriptor == nullptr) return;
      names.insert(descriptor->name);
      ids.insert(descriptor->row_id);
    };
    for (const MergedStep& step : input_.b->steps) {
      for (const QueueReading& reading : step.readings) note(reading.descriptor);
      for (const DescriptorIndex gone : step.gone) note(gone);
    }
    for (std::size_t i = 0; i < a_.size(); ++i) {
      if (names.contains(a_[i].descriptor->name) || ids.contains(a_[i].descriptor->row_id)) {
        keep_[i] = true;
      }
    }
  }

  // Parents and children of names that `a` lacks and a neighbour has, so that what a child adds or
  // takes away is set against its parent's bytes of the same stretch.
  void KeepKin() {
    absl::flat_hash_set<absl::string_view> here;
    for (const MatchRow& row : a_) here.insert(row.descriptor->name);
    absl::flat_hash_set<absl::string_view> names;
    absl::flat_hash_set<absl::string_view> parents;
    for (const auto* rows : {&before_, &b_}) {
      for (const MatchRow& row : *rows) {
        if (here.contains(row.descriptor->name)) continue;
        names.insert(row.descriptor->name);
        if (!row.descriptor->parent.empty()) parents.insert(row.descriptor->parent);
      }
    }
    if (names.empty()) return;
    for (std::size_t i = 0; i < a_.size(); ++i) {
      const QueueDescriptor& d = *a_[i].descriptor;
      if (parents.contains(d.name) || names.contains(d.parent)) keep_[i] = true;
    }
  }

  // A parent and its children are kept together, those of `before` and `b` too: when one of them is
  // kept, or when the parent's residue is above nothing at `a` and below at `b`, where one sum would
  // hide what two show.
  void KeepFamilies() {
    absl::flat_hash_map<absl::string_view, std::size_t> by_name;
    for (std::size_t i = 0; i < a_.size(); ++i) by_name[a_[i].descriptor->name] = i;
    std::vector<std::size_t> parent(a_.size(), a_.size());
    std::vector<std::pair<std::size_t, std::size_t>> kin;
    const auto note = [&](std::size_t child, const MatchRow& row) {
      const auto found = by_name.find(row.descriptor->parent);
      if (found == by_name.end() || found->second == child) return a_.size();
      if (kin.empty() || kin.back() != std::pair{child, found->second}) {
        kin.emplace_back(child, found->second);
      }
      return found->second;
    };
    for (std::size_t i = 0; i < a_.size(); ++i) {
      parent[i] = note(i, a_[i]);
      if (to_a_.now[i].kind != MatchKind::kNone) note(i, before_[to_a_.now[i].before]);
      if (to_b_.before[i] != kNoMatch) note(i, b_[to_b_.before[i]]);
    }
    if (kin.empty()) return;
    for (const bool upload : {true, false}) KeepTurningResidues(parent, upload);
    for (bool grew = true; grew;) {
      grew = false;
      for (const auto& [child, its_parent] : kin) {
        if (keep_[child] == keep_[its_parent]) continue;
        keep_[child] = keep_[its_parent] = true;
        grew = true;
      }
    }
  }

  void KeepTurningResidues(const std::vector<std::size_t>& parent, bool upload) {
    const auto counter = [&](const QueueReading& r) {
      return absl::int128(upload ? r.upload : r.download);
    };
    std::vector<absl::int128> at_a(a_.size());
    std::vector<absl::int128> at_b(a_.size());
    std::vector<bool> is_parent(a_.size());
    for (std::size_t i = 0; i < a_.size(); ++i) {
      if (keep_[i]) continue;  // its family is kept in any case
      const absl::int128 now = counter(a_[i].reading);
      const absl::int128 first = now - counter(before_[to_a_.now[i].before].reading);
      const absl::int128 second = counter(b_[to_b_.before[i]].reading) - now;
      at_a[i] += first;
      at_b[i] += second;
      if (parent[i] == a_.size()) continue;
      is_parent[parent[i]] = true;
      at_a[parent[i]] -= first;
      at_b[parent[i]] -= second;
    }
    for (std::size_t i = 0; i < a_.size(); ++i) {
      if (is_parent[i] && at_a[i] > 0 && at_b[i] < 0) keep_[i] = true;
    }
  }

  Snapshot Merged() const {
    Snapshot merged = *input_.b;
    MergedStep step;
    step.header = input_.a->header;
    for (std::size_t i = 0; i < a_.size(); ++i) {
      if (keep_[i]) step.readings.push_back(a_[i].reading);
    }
    for (std::size_t i = 0; i < before_.size(); ++i) {
      if (to_a_.before[i] == kNoMatch) step.gone.push_back(before_[i].reading.descriptor);
    }
    // A queue that `b` shows first was born after `a`, not after `before`.
    const bool born = std::any_of(to_b_.now.begin(), to_b_.now.end(), [](const Match& match) {
      return match.kind == MatchKind::kNone;
    });
    std::vector<MergedStep> steps = input_.a->steps;
    if (born || !step.readings.empty() || !step.gone.empty()) steps.push_back(std::move(step));
    steps.insert(steps.end(), merged.steps.begin(), merged.steps.end());
    merged.steps = std::move(steps);
    return merged;
  }

  bool TooManySteps(const std::vector<MergedStep>& steps) const {
    if (steps.size() > kMaxMergedSteps) return true;
    std::size_t bytes = 0;
    for (const MergedStep& step : steps) bytes += StepBytes(step, table_);
    return bytes > kMaxMergedStepBytes;
  }

  const MergeInput& input_;
  const DescriptorTable& table_;
  std::vector<MatchRow> before_;  // as `a`'s own steps left them
  std::vector<MatchRow> a_;
  std::vector<MatchRow> b_;
  Matches to_a_;
  Matches to_b_;
  std::vector<bool> keep_;
};

}  // namespace

std::size_t StepBytes(const MergedStep& step, const DescriptorTable& table) {
  // Numbers, flags, tags and lengths of a descriptor, and the three counters beside it.
  constexpr std::size_t kRowBytes = 72 + 32;
  const DeviceIdentity& device = step.header.device;
  std::size_t bytes = 144 + step.header.host_boot_id.size() + device.serial_number.size() +
                      device.system_id.size() + device.identity.size() + device.board_name.size() +
                      device.version.size();
  const auto add = [&](DescriptorIndex index) {
    const QueueDescriptor* d = table.Find(index);
    if (d == nullptr) return;
    bytes += kRowBytes + d->name.size() + d->target.size() + d->parent.size() + d->comment.size();
  };
  for (const QueueReading& reading : step.readings) add(reading.descriptor);
  for (const DescriptorIndex gone : step.gone) add(gone);
  return bytes;
}

std::optional<Snapshot> Merge(const MergeInput& input, const DescriptorTable& table) {
  return Merger(input, table).Run();
}

}  // namespace netsentinel::counters
