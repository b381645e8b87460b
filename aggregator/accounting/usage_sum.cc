#include "aggregator/accounting/usage_sum.h"

#include <algorithm>
#include <tuple>

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

bool SameQueue(const UsageRow& a, const UsageRow& b) { return a.queue == b.queue; }

void AddRun(absl::Span<const UsageRow* const> run, absl::CivilDay first, absl::CivilDay last,
            UsageSum& sum) {
  TrafficBytes counted;
  TrafficBytes doubt;
  for (const UsageRow* row : run) {
    counted += row->counted;
    doubt += row->doubt;
    sum.unseen += row->unseen;
  }
  TrafficBytes crossing;
  // Only a run that reaches the span's own edge can have bytes crossing it.
  if (run.front()->day == first) {
    crossing += run.front()->begin_inside;
    sum.unseen += run.front()->begin_outside;
  }
  if (run.back()->day == last) {
    crossing += run.back()->end_inside;
    sum.unseen += run.back()->end_outside;
  }
  sum.counted += counted;
  sum.estimated += Least(crossing, Less(counted, doubt));
  sum.doubt += Least(doubt, counted);
  sum.sure += Less(Less(counted, doubt), crossing);
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
