#include "aggregator/accounting/usage_sum.h"

#include <algorithm>
#include <tuple>

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

TrafficBytes Less(const TrafficBytes& a, const TrafficBytes& b) {
  return {a.upload - std::min(a.upload, b.upload), a.download - std::min(a.download, b.download)};
}

TrafficBytes Least(const TrafficBytes& a, const TrafficBytes& b) {
  return {std::min(a.upload, b.upload), std::min(a.download, b.download)};
}

// A span in which its queue was not read: all of it belongs to one delta that crosses both edges.
bool Unread(const UsageRow& row) { return row.first_reading_us == 0; }

// The shares of deltas that cross the begin (or the end) of a run of one queue's rows, given from
// that edge inwards. A delta that covers whole spans reaches on into the next.
template <typename Iterator>
TrafficBytes EdgeShares(Iterator row, Iterator end, bool at_start) {
  TrafficBytes shares;
  for (; row != end; ++row) {
    shares += at_start ? (*row)->estimated_at_start : (*row)->estimated_at_end;
    if (!Unread(**row)) break;
  }
  return shares;
}

bool SameQueue(const UsageRow& a, const UsageRow& b) { return a.queue == b.queue; }

void AddRun(absl::Span<const UsageRow* const> run, absl::CivilDay first, absl::CivilDay last,
            UsageSum& sum) {
  TrafficBytes best;
  for (const UsageRow* row : run) best += row->best;
  TrafficBytes crossing;
  // Only a run that reaches the span's own edge can have bytes crossing it.
  if (run.front()->day == first) crossing += EdgeShares(run.begin(), run.end(), true);
  if (run.back()->day == last) crossing += EdgeShares(run.rbegin(), run.rend(), false);
  crossing = Least(crossing, best);
  TrafficBytes implausible;
  for (const UsageRow* row : run) implausible += row->implausible;
  sum.best += best;
  sum.estimated += crossing;
  sum.implausible += implausible;
  sum.lower_bound += Less(Less(best, crossing), implausible);
}

}  // namespace

UsageSum SumUsage(absl::Span<const UsageRow* const> rows, absl::CivilDay first,
                  absl::CivilDay last) {
  std::vector<const UsageRow*> sorted;
  sorted.reserve(rows.size());
  for (const UsageRow* row : rows) {
    if (row->day >= first && row->day <= last) sorted.push_back(row);
  }
  std::sort(sorted.begin(), sorted.end(), [](const UsageRow* a, const UsageRow* b) {
    return std::tie(a->queue, a->day, a->segment) < std::tie(b->queue, b->day, b->segment);
  });
  UsageSum sum;
  for (const UsageRow* row : sorted) {
    sum.loss_bound += row->loss_bound;
    sum.blind_us += row->blind_us;
    sum.observed_us += row->observed_us;
    sum.epochs += row->epochs;
    if (row->first_reading_us != 0 &&
        (sum.first_reading_us == 0 || row->first_reading_us < sum.first_reading_us)) {
      sum.first_reading_us = row->first_reading_us;
    }
    sum.last_reading_us = std::max(sum.last_reading_us, row->last_reading_us);
    if (row->grade > Grade::kEstimated) sum.grade = std::max(sum.grade, row->grade);
  }
  for (std::size_t begin = 0; begin < sorted.size();) {
    std::size_t end = begin + 1;
    while (end < sorted.size() && SameQueue(*sorted[begin], *sorted[end])) ++end;
    AddRun(absl::MakeConstSpan(sorted).subspan(begin, end - begin), first, last, sum);
    begin = end;
  }
  if (!sum.estimated.zero()) sum.grade = std::max(sum.grade, Grade::kEstimated);
  return sum;
}

UsageSum SumUsage(absl::Span<const UsageRow> rows, absl::CivilDay first, absl::CivilDay last) {
  std::vector<const UsageRow*> pointers;
  pointers.reserve(rows.size());
  for (const UsageRow& row : rows) pointers.push_back(&row);
  return SumUsage(absl::MakeConstSpan(pointers), first, last);
}

}  // namespace netsentinel::accounting
