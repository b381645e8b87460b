#include "aggregator/accounting/ledger.h"

#include <algorithm>

namespace netsentinel::accounting {
namespace {

constexpr std::uint16_t kMostEpochs = 0xFFFF;

void NoteReading(std::int64_t at_us, std::int64_t& first_us, std::int64_t& last_us) {
  if (first_us == 0 || at_us < first_us) first_us = at_us;
  last_us = std::max(last_us, at_us);
}

// Room for one more. Doubling would leave up to half of a large menu's memory unused.
template <typename T>
void MakeRoom(std::vector<T>& items, std::size_t size) {
  if (size > items.capacity()) items.reserve(size + size / 8 + 8);
}

}  // namespace

DayRow* Partition::FindRow(std::uint32_t queue, std::uint32_t subscriber) {
  if (queue >= first_of_.size()) return nullptr;
  for (std::uint32_t i = first_of_[queue]; i != kNoRow; i = rows_[i].next) {
    if (rows_[i].subscriber == subscriber) return &rows_[i];
  }
  return nullptr;
}

const DayRow* Partition::Find(std::uint32_t queue, std::uint32_t subscriber) const {
  return const_cast<Partition*>(this)->FindRow(queue, subscriber);
}

DayRow& Partition::RowFor(std::uint32_t queue, std::uint32_t subscriber) {
  if (DayRow* row = FindRow(queue, subscriber); row != nullptr) return *row;
  if (queue >= first_of_.size()) {
    MakeRoom(first_of_, queue + 1);
    first_of_.resize(queue + 1, kNoRow);
  }
  DayRow row;
  row.queue = queue;
  row.subscriber = subscriber;
  row.next = first_of_[queue];
  first_of_[queue] = static_cast<std::uint32_t>(rows_.size());
  MakeRoom(rows_, rows_.size() + 1);
  rows_.push_back(row);
  return rows_.back();
}

RowExtra& Partition::MakeExtra(DayRow& row) {
  if (row.extra == kNoRow) {
    row.extra = static_cast<std::uint32_t>(extras_.size());
    extras_.emplace_back();
  }
  return extras_[row.extra];
}

void Partition::Observe(DayRow& row, std::int64_t since_us, std::int64_t until_us) const {
  const std::int64_t from = std::max({since_us, span_.begin_us, row.observed_until_us});
  const std::int64_t until = std::min(until_us, span_.end_us);
  if (until <= from) return;
  row.observed_us += until - from;
  row.observed_until_us = until;
}

void Partition::Apply(const RowChange& change) {
  if (change.only_if_row) {
    Watch(change.queue, change.subscriber, {change.observed_since_us, change.to_us, true});
    return;
  }
  DayRow& row = RowFor(change.queue, change.subscriber);
  row.counted += change.bytes;
  if (change.read_at_from) NoteReading(change.from_us, row.first_reading_us, row.last_reading_us);
  if (change.read_at_to) NoteReading(change.to_us, row.first_reading_us, row.last_reading_us);
  Observe(row, change.observed_since_us, change.to_us);
  row.dirty = true;
  stored = false;
}

void Partition::Apply(const DoubtChange& change) {
  DayRow& row = RowFor(change.queue, change.subscriber);
  if (!(change.extra == RowExtra{})) MakeExtra(row) += change.extra;
  row.grade = std::max(row.grade, change.grade);
  row.epochs =
      static_cast<std::uint16_t>(std::min<std::uint32_t>(kMostEpochs, row.epochs + change.epochs));
  row.dirty = true;
  stored = false;
}

void Partition::Explain(const DoubtChange& change, const DisputedStep& step) {
  DayRow& row = RowFor(change.queue, change.subscriber);
  row.dirty = true;
  row.evidence_dirty = true;
  stored = false;
  UsageEvidence& evidence = evidence_[IndexOf(row)];
  for (const auto& [explanation, bytes] : step.possible) {
    auto at = std::lower_bound(evidence.totals.begin(), evidence.totals.end(), explanation,
                               [](const ExplanationTotal& total, Explanation wanted) {
                                 return total.explanation < wanted;
                               });
    if (at == evidence.totals.end() || at->explanation != explanation) {
      at = evidence.totals.insert(at, {explanation, 0, {}});
    }
    ++at->steps;
    at->at_stake += bytes;
  }
  if (evidence.steps.size() < kMostStepsKept && evidence_.size() <= kMostRowsWithSteps) {
    evidence.steps.push_back(step);
  }
}

void Partition::ApplyOpen(const RowChange& change) {
  if (change.only_if_row) return;
  DayRow& row = RowFor(change.queue, change.subscriber);
  open_[IndexOf(row)].counted += change.bytes;
  row.dirty = true;
}

void Partition::ApplyOpen(const DoubtChange& change) {
  DayRow& row = RowFor(change.queue, change.subscriber);
  OpenFigures& open = open_[IndexOf(row)];
  open.extra += change.extra;
  open.grade = std::max(open.grade, change.grade);
  row.dirty = true;
}

void Partition::ClearOpen() {
  for (const auto& [row, figures] : open_) rows_[row].dirty = true;
  open_.clear();
}

const UsageEvidence* Partition::EvidenceOf(const DayRow& row) const {
  const auto found = evidence_.find(IndexOf(row));
  return found == evidence_.end() ? nullptr : &found->second;
}

void Partition::Watch(std::uint32_t queue, std::uint32_t subscriber, const Watched& watched) {
  DayRow* row = FindRow(queue, subscriber);
  if (row == nullptr) return;
  const std::int64_t until = std::min(watched.until_us, span_.end_us);
  if (until <= row->last_reading_us || until <= span_.begin_us) return;
  Observe(*row, watched.since_us, until);
  if (watched.read) NoteReading(until, row->first_reading_us, row->last_reading_us);
  row->dirty = true;
  stored = false;
}

void Partition::RaiseGrades(Grade grade, absl::FunctionRef<bool(std::uint32_t)> of_these) {
  for (DayRow& row : rows_) {
    if (row.grade >= grade || !of_these(row.subscriber)) continue;
    row.grade = grade;
    row.dirty = true;
    stored = false;
  }
}

const RowExtra& Partition::ExtraOf(const DayRow& row) const {
  static constexpr RowExtra kNone;
  return row.extra == kNoRow ? kNone : extras_[row.extra];
}

UsageRow Partition::Figures(const DayRow& row, bool with_open) const {
  RowExtra extra = ExtraOf(row);
  UsageRow usage;
  usage.day = span_.day;
  usage.segment = span_.segment;
  usage.counted = row.counted;
  usage.grade = row.grade;
  if (with_open && !open_.empty()) {
    if (const auto open = open_.find(IndexOf(row)); open != open_.end()) {
      usage.counted += open->second.counted;
      extra += open->second.extra;
      usage.grade = std::max(usage.grade, open->second.grade);
    }
  }
  usage.doubt = extra.doubt;
  usage.unseen = extra.unseen;
  usage.begin_inside = extra.begin_inside;
  usage.begin_outside = extra.begin_outside;
  usage.end_inside = extra.end_inside;
  usage.end_outside = extra.end_outside;
  usage.blind_us = extra.blind_us;
  usage.observed_us = static_cast<std::uint64_t>(std::max<std::int64_t>(row.observed_us, 0));
  usage.first_reading_us = row.first_reading_us;
  usage.last_reading_us = row.last_reading_us;
  usage.epochs = row.epochs;
  return usage;
}

void Partition::Restore(DayRow row, const RowExtra& extra, UsageEvidence evidence) {
  DayRow& restored = RowFor(row.queue, row.subscriber);
  row.next = restored.next;
  row.extra = kNoRow;
  restored = row;
  if (!(extra == RowExtra{})) MakeExtra(restored) = extra;
  if (!evidence.totals.empty()) evidence_[IndexOf(restored)] = std::move(evidence);
}

RowExtra& RowExtra::operator+=(const RowExtra& other) {
  doubt += other.doubt;
  unseen += other.unseen;
  begin_inside += other.begin_inside;
  begin_outside += other.begin_outside;
  end_inside += other.end_inside;
  end_outside += other.end_outside;
  blind_us = base::SaturatingAdd(blind_us, other.blind_us);
  return *this;
}

void ApplyToUsage(const RowChange& change, UsageRow& row) {
  if (change.only_if_row) return;
  row.counted += change.bytes;
  if (change.read_at_from) {
    NoteReading(change.from_us, row.first_reading_us, row.last_reading_us);
  }
  if (change.read_at_to) NoteReading(change.to_us, row.first_reading_us, row.last_reading_us);
}

void ApplyToUsage(const DoubtChange& change, UsageRow& row) {
  row.doubt += change.extra.doubt;
  row.unseen += change.extra.unseen;
  row.begin_inside += change.extra.begin_inside;
  row.begin_outside += change.extra.begin_outside;
  row.end_inside += change.extra.end_inside;
  row.end_outside += change.extra.end_outside;
  row.blind_us = base::SaturatingAdd(row.blind_us, change.extra.blind_us);
  row.grade = std::max(row.grade, change.grade);
}

}  // namespace netsentinel::accounting
