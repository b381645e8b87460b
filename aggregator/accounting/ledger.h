#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"

#include "aggregator/accounting/calendar.h"
#include "aggregator/accounting/menu_state.h"
#include "aggregator/accounting/records.h"

// Usage per queue, subscriber, day and segment, kept small. Pure; part of the Book.
namespace netsentinel::accounting {

// Bytes and time that one observation adds to one row.
struct RowChange {
  std::uint32_t span = 0;  // index into the spans beside it
  std::uint32_t queue = 0;
  std::uint32_t subscriber = 0;
  bool read_at_from = false;  // a reading at `from` lies in the span
  bool read_at_to = false;
  bool only_if_row = false;  // time alone: makes no row
  std::int64_t from_us = 0;
  std::int64_t to_us = 0;
  std::int64_t observed_since_us = 0;
  base::TrafficBytes bytes;
};

// What few rows have.
struct RowExtra {
  base::TrafficBytes doubt;
  base::TrafficBytes unseen;
  base::TrafficBytes begin_inside;
  base::TrafficBytes begin_outside;
  base::TrafficBytes end_inside;
  base::TrafficBytes end_outside;
  std::uint64_t blind_us = 0;

  bool operator==(const RowExtra&) const = default;
  RowExtra& operator+=(const RowExtra& other);
};

// What a doubt, bytes that cross an edge, or a new epoch add to one row.
struct DoubtChange {
  std::uint32_t span = 0;
  std::uint32_t queue = 0;
  std::uint32_t subscriber = 0;
  RowExtra extra;
  Grade grade = Grade::kComplete;  // at least this bad
  std::uint32_t epochs = 0;
  std::uint32_t why = kNoRow;  // index into the steps beside it
};

// A row without its keys.
struct DayRow {
  std::uint32_t queue = 0;
  std::uint32_t subscriber = 0;
  std::uint32_t next = kNoRow;   // further row of the same queue
  std::uint32_t extra = kNoRow;  // in Partition::extras
  base::TrafficBytes counted;
  std::int64_t first_reading_us = 0;
  std::int64_t last_reading_us = 0;
  std::int64_t observed_us = 0;
  std::int64_t observed_until_us = 0;
  std::uint16_t epochs = 0;
  Grade grade = Grade::kComplete;
  bool dirty : 1 = false;           // its figures changed since the last flush
  bool evidence_dirty : 1 = false;  // and so did why
};

// A row's figures that are not decided yet: shown, never kept.
struct OpenFigures {
  base::TrafficBytes counted;
  RowExtra extra;
  Grade grade = Grade::kComplete;
};

// Beyond so many rows of a partition with evidence, the steps themselves are not kept: their totals
// are, and UsageEvidence::StepsLeftOut tells.
inline constexpr std::size_t kMostRowsWithSteps = 65'536;

// The rows of one menu of one router on one day and segment.
class Partition {
 public:
  explicit Partition(DaySpan span) : span_(span) {}

  void Apply(const RowChange& change);
  void Apply(const DoubtChange& change);
  // Takes down why.
  void Explain(const DoubtChange& change, const DisputedStep& step);
  // The same for what is not decided yet; ClearOpen takes all of it back.
  void ApplyOpen(const RowChange& change);
  void ApplyOpen(const DoubtChange& change);
  void ClearOpen();
  bool has_open() const { return !open_.empty(); }
  // The queue has been watched until then without a gap since `since_us`; `read` when it was read
  // at that very instant. Nothing if it has no row.
  struct Watched {
    std::int64_t since_us = 0;
    std::int64_t until_us = 0;
    bool read = false;
  };
  void Watch(std::uint32_t queue, std::uint32_t subscriber, const Watched& watched);

  // No row of a subscriber for which `of_these` holds is better than this.
  void RaiseGrades(Grade grade, absl::FunctionRef<bool(std::uint32_t)> of_these);

  const DaySpan& span() const { return span_; }
  // A span that a change of the site's rule stretched or cut.
  void Widen(const DaySpan& span) {
    span_.begin_us = std::min(span_.begin_us, span.begin_us);
    span_.end_us = std::max(span_.end_us, span.end_us);
  }
  std::vector<DayRow>& rows() { return rows_; }
  const std::vector<DayRow>& rows() const { return rows_; }
  // The row's figures, with or without what is not decided yet; keys other than day and segment
  // stay empty.
  UsageRow Figures(const DayRow& row, bool with_open) const;
  // Null where nothing was disputed.
  const UsageEvidence* EvidenceOf(const DayRow& row) const;
  // Row of the queue and subscriber, or null.
  const DayRow* Find(std::uint32_t queue, std::uint32_t subscriber) const;
  // Rows of the queue, through DayRow::next.
  std::uint32_t FirstOf(std::uint32_t queue) const {
    return queue < first_of_.size() ? first_of_[queue] : kNoRow;
  }
  // For reading a checkpoint.
  void Restore(DayRow row, const RowExtra& extra, UsageEvidence evidence);
  const RowExtra& ExtraOf(const DayRow& row) const;

  bool stored = false;  // its checkpoint parts are up to date
  std::uint32_t stored_parts = 0;

 private:
  DayRow& RowFor(std::uint32_t queue, std::uint32_t subscriber);
  DayRow* FindRow(std::uint32_t queue, std::uint32_t subscriber);
  RowExtra& MakeExtra(DayRow& row);
  std::uint32_t IndexOf(const DayRow& row) const {
    return static_cast<std::uint32_t>(&row - rows_.data());
  }
  void Observe(DayRow& row, std::int64_t since_us, std::int64_t until_us) const;

  DaySpan span_;
  std::vector<DayRow> rows_;
  std::vector<RowExtra> extras_;
  std::vector<std::uint32_t> first_of_;  // by queue
  // By row.
  absl::flat_hash_map<std::uint32_t, UsageEvidence> evidence_;
  absl::flat_hash_map<std::uint32_t, OpenFigures> open_;
};

// Adds the change to a row that is given with its figures: the same sum as Partition::Apply.
void ApplyToUsage(const RowChange& change, UsageRow& row);
void ApplyToUsage(const DoubtChange& change, UsageRow& row);

using PartitionKey = std::pair<absl::CivilDay, std::uint8_t>;
using Partitions = std::map<PartitionKey, Partition>;

}  // namespace netsentinel::accounting
