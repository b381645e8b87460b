// Steps that more than one thing may explain: what is kept until a reading decides, and what is
// written down then.
#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"

#include "aggregator/accounting/applier.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::QueueReading;
using counters::SnapshotHeader;

constexpr int kMaxParentDepth = 32;

// The last step tells how fast the queue goes: where nothing else explains it than going on; or,
// where resets leave no such step, where it decided a dispute.
bool TellsRate(const Slot& slot, const Dispute& dispute, const Verdict& verdict) {
  const QueueReading& previous = dispute.seen[dispute.seen.size() - 2].reading;
  const QueueReading& last = dispute.seen.back().reading;
  if (WitnessFell(previous, last)) return false;
  if (dispute.seen.size() > 2) return slot.rate.us == 0 && !BytesOf(previous).zero();
  for (int i = 1; i <= kExplanations; ++i) {
    const bool on = static_cast<Explanation>(i) == Explanation::kWentOn;
    if (verdict.stakes[i].possible != on) return false;
  }
  return BytesOf(previous) != BytesOf(last);
}

Rate OwnLimit(const counters::QueueDescriptor& d) {
  const auto one = [](std::uint64_t limit, std::uint64_t burst) {
    return limit == 0 ? 0 : std::max(limit, burst);
  };
  return {one(d.max_limit_upload, d.burst_limit_upload),
          one(d.max_limit_download, d.burst_limit_download)};
}

std::uint64_t ParentMark(const counters::QueueDescriptor& d) {
  return d.parent.empty() ? 0 : (std::uint64_t{1} << 32) | base::Crc32c(d.parent);
}

// The nearest limit of a chain of parents, direction by direction; `parent_of` names the next.
template <typename ParentOf>
Rate OuterLimit(const counters::QueueDescriptor* d, const ParentOf& parent_of) {
  Rate outer;
  d = parent_of(*d);
  for (int depth = 0; d != nullptr && depth < kMaxParentDepth; ++depth) {
    const Rate own = OwnLimit(*d);
    if (outer.upload == 0) outer.upload = own.upload;
    if (outer.download == 0) outer.download = own.download;
    d = parent_of(*d);
  }
  return outer;
}

}  // namespace

Owed& Owed::operator+=(const Owed& other) {
  least += other.least;
  counted += other.counted;
  most += other.most;
  unseen += other.unseen;
  return *this;
}

void LinkLimits(MenuState& state) {
  state.limits.assign(1, RowLimits{});
  absl::flat_hash_map<RowLimits, std::uint32_t> known{{RowLimits{}, 0}};
  for (std::uint32_t row = 0; row < state.rows.size(); ++row) {
    const auto* d = state.dictionary.Find(state.rows[row].descriptor);
    state.slots[row].limits = 0;
    if (d == nullptr) continue;
    RowLimits limits{OwnLimit(*d), {}, ParentMark(*d)};
    std::uint32_t at = row;
    limits.outer = OuterLimit(d, [&](const counters::QueueDescriptor&) {
      at = at == kNoRow ? kNoRow : state.slots[at].parent;
      return at == kNoRow ? nullptr : state.dictionary.Find(state.rows[at].descriptor);
    });
    const auto next = static_cast<std::uint32_t>(state.limits.size());
    const auto [found, fresh] = known.try_emplace(limits, next);
    if (fresh) state.limits.push_back(limits);
    state.slots[row].limits = found->second;
  }
}

// --- what is known of rows ----------------------------------------------------------------------

const counters::QueueDescriptor& Applier::DescriptorOf(std::uint32_t row) const {
  const counters::QueueDescriptor* descriptor = state_.dictionary.Find(state_.rows[row].descriptor);
  NS_CHECK(descriptor != nullptr, "a queue whose descriptor was dropped");
  return *descriptor;
}

const SnapshotHeader& Applier::ReadHeader(std::uint32_t row) const {
  const auto found = state_.read_at.find(row);
  return found == state_.read_at.end() ? *state_.last : *found->second;
}

Applier::Header Applier::ReadHeaderShared(std::uint32_t row) {
  const auto found = state_.read_at.find(row);
  if (found != state_.read_at.end()) return found->second;
  if (last_shared_ == nullptr) last_shared_ = std::make_shared<const SnapshotHeader>(*state_.last);
  return last_shared_;
}

Applier::Header Applier::NowShared() {
  if (now_shared_ == nullptr) now_shared_ = std::make_shared<const SnapshotHeader>(now_);
  return now_shared_;
}

Rate Applier::Line() const {
  const std::uint64_t bps = context_.settings.line_rate_bps;
  return {context_.menu == counters::Menu::kTree ? 0 : bps, bps};
}

const RowLimits& Applier::LimitsOf(std::uint32_t row) const {
  return state_.limits[state_.slots[row].limits];
}

Rate Applier::RateOf(std::uint32_t row) const {
  return RateBetween(LimitsOf(row), LimitsOf(row), Line());
}

TrafficBytes Applier::MostSince(const SnapshotHeader& before, const Rate& rate) const {
  return CeilingBytes(rate, ReachUs(before, now_));
}

RowLimits Applier::LimitsNow(std::uint32_t row, const QueueReading& reading) {
  const counters::QueueDescriptor* d = state_.dictionary.Find(reading.descriptor);
  const bool known =
      row < parent_before_.size() && state_.rows[row].descriptor == reading.descriptor;
  if (known && !outer_may_differ_ && !state_.limits.empty()) return LimitsOf(row);
  RowLimits limits{OwnLimit(*d), {}, ParentMark(*d)};
  if (d->parent.empty()) return limits;
  if (!shown_by_name_.has_value()) {
    shown_by_name_.emplace();
    for (const QueueReading& r : *readings_) {
      const auto* shown = state_.dictionary.Find(r.descriptor);
      shown_by_name_->try_emplace(shown->name, shown);
    }
    for (const QueueReading& r : state_.rows) {
      const auto* held = state_.dictionary.Find(r.descriptor);
      if (held != nullptr) shown_by_name_->try_emplace(held->name, held);
    }
  }
  limits.outer = OuterLimit(d, [&](const counters::QueueDescriptor& child) {
    const auto found = shown_by_name_->find(child.parent);
    return found == shown_by_name_->end() || child.parent.empty() ? nullptr : found->second;
  });
  return limits;
}

Observation Applier::SeenBefore(std::uint32_t row) {
  return {state_.rows[row], ReadHeaderShared(row), LimitsOf(row)};
}

Observation Applier::SeenNow(std::uint32_t row, const QueueReading& reading, bool renamed) {
  Observation seen{reading, NowShared(), LimitsNow(row, reading)};
  seen.may_restart = lineage_.restart;
  seen.may_timeline = lineage_.timeline;
  seen.renamed = renamed;
  return seen;
}

bool Applier::CountsNothing(std::uint32_t row) const {
  if (context_.settings.parents != ParentsMode::kRoots) return false;
  return state_.slots[row].parent != kNoRow ||
         (row < parent_before_.size() && parent_before_[row] < kNotThere);
}

// --- disputes -----------------------------------------------------------------------------------

Verdict Applier::JudgeRow(std::uint32_t row, const Dispute& dispute) const {
  JudgeInput input;
  input.seen = dispute.seen;
  input.line = Line();
  input.rate = state_.slots[row].rate;
  input.tool_resets = habit_;
  input.first_is_first = dispute.first_is_first;
  input.first_may_be_bad = state_.slots[row].base_may_be_bad > 0;
  return Judge(input);
}

bool Applier::DecidesNow(const Dispute& dispute, const Verdict& verdict) const {
  if (verdict.settled || dispute.seen.size() > kMostDisputed) return true;
  return now_.attribution_us - dispute.seen[1].header->attribution_us >= kMostDisputedUs;
}

void Applier::Contest(std::uint32_t row, Observation before, Observation now) {
  const auto [found, fresh] = state_.disputes.try_emplace(row);
  Dispute& dispute = found->second;
  if (fresh) {
    dispute.first_is_first =
        state_.slots[row].since_us == before.header->attribution_us && !state_.slots[row].rate.us;
    dispute.seen.push_back(std::move(before));
  }
  dispute.seen.push_back(std::move(now));
  known_[row] = Known::kCounted;
  const Verdict verdict = JudgeRow(row, dispute);
  dispute.seen.back().good = verdict.settled;
  if (fresh && !verdict.settled) AddHoldRecord(row, dispute, false);
  // A parent is decided with its children, once they are known.
  if (dispute.waits || IsParent(row)) return;
  // Where the course of the whole device is in question, nothing later decides it for a row.
  if (DecidesNow(dispute, verdict) || !lineage_.only_same()) CloseDispute(row, verdict);
}

void Applier::EndDispute(std::uint32_t row) {
  const auto found = state_.disputes.find(row);
  if (found == state_.disputes.end()) return;
  // A parent that ends before its children's disputes takes off what they may have moved.
  if (found->second.waits) {
    TakeEarly(row, found->second.children);
    for (DoubtfulPart& part : doubtful_) {
      const bool of_it = std::find(part.parents.begin(), part.parents.end(), row) != part.parents.end();
      if (!of_it || part.no_child) continue;
      const Figures& moved = part.raw;
      found->second.children +=
          {{}, moved.counted, moved.visible, Less(moved.upper, moved.visible)};
      part.outlived_parent = true;
      part.taken_early = moved.counted;
    }
  }
  const Verdict verdict = JudgeRow(row, found->second);
  CloseDispute(row, verdict);
}

// Children first: what they moved is taken off their parents.
void Applier::EndAllDisputes() {
  std::vector<std::pair<int, std::uint32_t>> rows;
  rows.reserve(state_.disputes.size());
  for (const auto& [row, dispute] : state_.disputes) {
    int depth = 0;
    for (std::uint32_t at = row; at != kNoRow && depth < kMaxParentDepth; ++depth) {
      at = state_.slots[at].parent;
    }
    rows.emplace_back(-depth, row);
  }
  std::sort(rows.begin(), rows.end());
  for (const auto& [depth, row] : rows) {
    EndDispute(row);
    AddToParents(doubtful_.back());
    doubtful_.back().no_child = true;
  }
  // What comes now is of another stretch: nothing of it is taken off these.
  for (const auto& [row, debt] : state_.debts) owed_[row] += debt;
  state_.debts.clear();
  for (DoubtfulPart& part : doubtful_) PayDoubtful(part);
  doubtful_.clear();
  KeepDebts();
}

Applier::DoubtfulPart Applier::PartOf(std::uint32_t row, const Dispute& dispute,
                                      const Verdict& verdict) const {
  DoubtfulPart part;
  part.row = row;
  part.raw = verdict.figures;
  part.children = dispute.children;
  part.outlived_parent = dispute.outlived_parent;
  part.taken_early = dispute.taken_early;
  part.parents = dispute.parents;
  const Observation& newest = dispute.seen.back();
  Doubt& doubt = part.doubt;
  doubt.descriptor = state_.rows[row].descriptor;
  doubt.from_us = dispute.from_us();
  doubt.to_us = newest.header->attribution_us;
  doubt.observed_since_us = state_.slots[row].since_us;
  doubt.watched_since_us = state_.slots[row].since_us;
  doubt.before = BytesOf(dispute.seen[dispute.seen.size() - 2].reading);
  doubt.now = BytesOf(newest.reading);
  doubt.counted_as = Explanation::kBadReading;
  for (const CountedStep& step : verdict.counted) {
    if (step.to + 1 == dispute.seen.size()) doubt.counted_as = step.explanation;
    if (step.explanation == Explanation::kWentOn) continue;
    // What lies before a counter that starts from zero was not watched.
    const std::int64_t from = dispute.seen[step.from].header->attribution_us;
    const std::int64_t to = dispute.seen[step.to].header->attribution_us;
    if (doubt.blind_to_us == 0) doubt.blind_from_us = from;
    doubt.blind_to_us = to;
    doubt.observed_since_us = to;
  }
  for (int i = 1; i <= kExplanations; ++i) {
    if (!verdict.stakes[i].possible) continue;
    doubt.possible.emplace_back(static_cast<Explanation>(i), verdict.stakes[i].bytes);
  }
  return part;
}

void Applier::CloseDispute(std::uint32_t row, const Verdict& verdict) {
  const auto found = state_.disputes.find(row);
  const Dispute dispute = std::move(found->second);
  state_.disputes.erase(found);
  AddHoldRecord(row, dispute, true);
  TellOfDispute(row, dispute, verdict);
  AddDoubtful(PartOf(row, dispute, verdict));
  Slot& slot = state_.slots[row];
  const bool reset =
      std::any_of(verdict.counted.begin(), verdict.counted.end(),
                  [](const CountedStep& step) { return step.explanation == Explanation::kReset; });
  if (verdict.settled && reset) ++rows_reset_;
  const Observation& last = dispute.seen.back();
  const Observation& previous = dispute.seen[dispute.seen.size() - 2];
  if (verdict.settled && TellsRate(slot, dispute, verdict)) {
    const TrafficBytes moved{last.reading.upload - previous.reading.upload,
                             last.reading.download - previous.reading.download};
    const std::int64_t elapsed = LongestElapsedUs(*previous.header, *last.header);
    slot.rate = {moved.total(), static_cast<std::uint64_t>(std::max<std::int64_t>(elapsed, 1))};
  }
  for (const CountedStep& step : verdict.counted) {
    if (step.explanation == Explanation::kWentOn ||
        step.explanation == Explanation::kCeilingWrong) {
      continue;
    }
    slot.since_us = dispute.seen[step.to].header->attribution_us;
  }
  // Nothing after nothing confirms neither, until it has lasted.
  const bool confirmed =
      verdict.settled && !(slot.base_may_be_bad > 0 && ShowsNothing(last.reading));
  if (confirmed) {
    slot.base_may_be_bad = 0;
  } else if (!verdict.settled) {
    slot.base_may_be_bad = 1;
  } else if (++slot.base_may_be_bad > kMostDisputed) {
    slot.base_may_be_bad = 0;
  }
}

// Epochs and events of what is counted.
void Applier::TellOfDispute(std::uint32_t row, const Dispute& dispute, const Verdict& verdict) {
  const std::int64_t at = dispute.seen.back().header->attribution_us;
  const std::string& name = DescriptorOf(row).name;
  std::size_t good = 0;
  for (const CountedStep& step : verdict.counted) {
    if (step.to > step.from + 1 && verdict.settled) {
      const QueueReading& bad = dispute.seen[step.to - 1].reading;
      AddEvent(at, "bad_reply", name,
               absl::StrCat("a reading of ", bad.upload, "/", bad.download,
                            " was wrong: the next went on from the one before"));
    }
    good = step.to;
    const std::int64_t from = dispute.seen[step.from].header->attribution_us;
    switch (step.explanation) {
      case Explanation::kWentOn:
        if (dispute.seen[step.to].reading.packets < dispute.seen[step.from].reading.packets) {
          TellOfPackets(row);
        }
        break;
      case Explanation::kReset:
        AddEpoch(row, from, EpochReason::kReset);
        break;
      case Explanation::kMadeAnew:
        AddEpoch(row, from, EpochReason::kRecreated);
        break;
      case Explanation::kRestart:
        AddEpoch(row, from, EpochReason::kReboot);
        break;
      case Explanation::kTimeline:
        AddEpoch(row, from, EpochReason::kTimeline);
        break;
      case Explanation::kSteppedBack:
        AddEvent(at, "stepped_back", name,
                 "the counter fell a little and went on from there: nothing is counted for it");
        break;
      case Explanation::kCeilingWrong:
        AddEvent(at, "ceiling_exceeded", name,
                 "the queue moved more than its limit allows, three readings in a row; counted, "
                 "and not sure. If the line is faster than line_rate, raise it");
        break;
      default:
        break;
    }
  }
  if (!verdict.settled && good + 1 < dispute.seen.size()) {
    AddEvent(at, "undecided", name,
             absl::StrCat("the last ", dispute.seen.size() - 1 - good,
                          " readings do not follow from the ones before; nothing is counted for "
                          "them, and what may have passed is shown as unseen"));
  }
}

void Applier::TellOfPackets(std::uint32_t row) {
  AddEvent(now_.attribution_us, "packets_fell", DescriptorOf(row).name,
           "the packet counters fell while the byte counters did not; counted as no reset");
}

void Applier::NoteHabit() {
  if (!lineage_.only_same() || first_ || rows_reset_ == 0) return;
  if (rows_reset_ * 2 <= rows_above_zero_) return;
  const bool habit =
      state_.resets_us[1] != 0 && now_.attribution_us - state_.resets_us[1] <= kResetHabitUs;
  state_.resets_us[0] = state_.resets_us[1];
  state_.resets_us[1] = now_.attribution_us;
  if (!habit || habit_) return;
  AddEvent(now_.attribution_us, "foreign_resets", "",
           "another tool resets the counters of this router, twice or more within a day. What "
           "passes between a reading and a reset cannot be seen: let the tool read without "
           "resetting, or reset less often");
}

void Applier::NoteOpen() {
  if (!state_.last.has_value() || state_.disputes.empty()) return;
  now_ = *state_.last;
  lineage_ = {.same = true};
  habit_ = state_.resets_us[0] != 0 && now_.attribution_us - state_.resets_us[0] <= kResetHabitUs;
  std::vector<std::uint32_t> rows;
  absl::flat_hash_map<std::uint32_t, Owed> open_children;  // by parent
  for (const auto& [row, dispute] : state_.disputes) {
    rows.push_back(row);
    const Figures figures = JudgeRow(row, dispute).figures;
    Owed moved{figures.sure, figures.counted, figures.visible,
               Less(figures.upper, figures.visible)};
    if (dispute.parents.size() > 1) moved.least = {};
    for (const std::uint32_t parent : dispute.parents) {
      if (state_.disputes.contains(parent)) open_children[parent] += moved;
    }
  }
  std::sort(rows.begin(), rows.end());
  for (const std::uint32_t row : rows) {
    const Dispute& dispute = state_.disputes.at(row);
    DoubtfulPart part = PartOf(row, dispute, JudgeRow(row, dispute));
    if (context_.settings.parents == ParentsMode::kResidue) {
      if (const auto found = open_children.find(row); found != open_children.end()) {
        part.children += found->second;
      }
      if (const auto debt = state_.debts.find(row); debt != state_.debts.end()) {
        owed_[row] = debt->second;
      }
    }
    PayDoubtful(part);
  }
}

}  // namespace netsentinel::accounting
