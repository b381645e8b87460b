#include "common/counters/merge.h"

#include <algorithm>
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
         x.attribution_us <= y.attribution_us && x.end_us <= y.end_us && !RouterRebooted(x, y);
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
  return kind == MatchKind::kContinues && before.reading.descriptor == now.reading.descriptor &&
         NoWitnessFell(before.reading, now.reading);
}

// Decides which queues of `a` must be kept.
class Merger {
 public:
  Merger(const MergeInput& input, const DescriptorTable& table) : input_(input), table_(table) {}

  std::optional<Snapshot> Run() {
    if (!ConditionsHold()) return std::nullopt;
    earlier_ = RowsOf(input_.earlier->readings, table_);
    before_ = RowsOf(input_.before->readings, table_);
    a_ = RowsOf(input_.a->readings, table_);
    b_ = RowsOf(input_.b->readings, table_);
    for (const auto* rows : {&earlier_, &before_, &a_, &b_}) {
      if (!IsDistinct(*rows)) return std::nullopt;
    }
    to_before_ = MatchWithinBoot(earlier_, before_);
    to_a_ = MatchWithinBoot(before_, a_);
    to_b_ = MatchWithinBoot(a_, b_);
    // A snapshot that lacks too many is decided by the very next one.
    if (LacksTooMany(earlier_, to_before_) || LacksTooMany(before_, to_a_) ||
        LacksTooMany(a_, to_b_)) {
      return std::nullopt;
    }
    keep_.assign(a_.size(), false);
    KeepChangedLives();
    KeepHeld();
    KeepLaterSteps();
    KeepFamilies();
    return Merged();
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
    if (RouterRebooted(before, b.header)) return false;
    return !BoundaryBetween(input_.boundaries_us, before.attribution_us, b.header.attribution_us);
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

  // A queue that fell at `before` is explained by its reading at `a`.
  void KeepHeld() {
    absl::flat_hash_map<absl::string_view, QueueReading> last;
    for (const MatchRow& row : earlier_) last[row.descriptor->name] = row.reading;
    for (const MergedStep& step : input_.before->steps) {
      for (const QueueReading& reading : step.readings) {
        if (const QueueDescriptor* descriptor = table_.Find(reading.descriptor)) {
          last[descriptor->name] = reading;
        }
      }
    }
    for (std::size_t i = 0; i < a_.size(); ++i) {
      const Match from = to_a_.now[i];
      if (from.kind == MatchKind::kNone) continue;
      const auto known = last.find(before_[from.before].descriptor->name);
      if (known != last.end() && ByteCounterFell(known->second, before_[from.before].reading)) {
        keep_[i] = true;
      }
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

  // A parent and its children are kept together: when one of them is kept, or when the parent's
  // residue is above nothing at `a` and below at `b`, where one sum would hide what two show.
  void KeepFamilies() {
    absl::flat_hash_map<absl::string_view, std::size_t> by_name;
    for (std::size_t i = 0; i < a_.size(); ++i) by_name[a_[i].descriptor->name] = i;
    std::vector<std::size_t> parent(a_.size(), a_.size());
    bool any = false;
    for (std::size_t i = 0; i < a_.size(); ++i) {
      const auto found = by_name.find(a_[i].descriptor->parent);
      if (found == by_name.end() || found->second == i) continue;
      parent[i] = found->second;
      any = true;
    }
    if (!any) return;
    for (const bool upload : {true, false}) KeepTurningResidues(parent, upload);
    for (bool grew = true; grew;) {
      grew = false;
      for (std::size_t i = 0; i < a_.size(); ++i) {
        if (parent[i] == a_.size() || keep_[i] == keep_[parent[i]]) continue;
        keep_[i] = keep_[parent[i]] = true;
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
    std::vector<MergedStep> steps = input_.a->steps;
    if (!step.readings.empty() || !step.gone.empty()) steps.push_back(std::move(step));
    steps.insert(steps.end(), merged.steps.begin(), merged.steps.end());
    merged.steps = std::move(steps);
    return merged;
  }

  const MergeInput& input_;
  const DescriptorTable& table_;
  std::vector<MatchRow> earlier_;
  std::vector<MatchRow> before_;
  std::vector<MatchRow> a_;
  std::vector<MatchRow> b_;
  Matches to_before_;
  Matches to_a_;
  Matches to_b_;
  std::vector<bool> keep_;
};

}  // namespace

std::optional<Snapshot> Merge(const MergeInput& input, const DescriptorTable& table) {
  return Merger(input, table).Run();
}

}  // namespace netsentinel::counters
