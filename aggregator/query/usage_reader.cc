#include "aggregator/query/usage_reader.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::query {
namespace {

using accounting::UsageRow;

// A day found from its noon in UTC lies one day start and one zone away at most, and next to days
// that a change of rules made short or long.
constexpr int kDaysAside = 5;
// So many days of a subscriber are read before others are answered.
constexpr int kRowsSliceDays = 7;

// The last day for which the store is asked.
absl::CivilDay StoredLast(const DaySpan& span, std::optional<absl::CivilDay> whole_from) {
  return whole_from.has_value() ? std::min(span.last, *whole_from - 1) : span.last;
}

// Whether what is left of the span's purged days, the totals of their months, lies in the span.
bool MonthsAnswer(const DaySpan& span, absl::CivilDay purged_before) {
  if (span.first >= purged_before) return true;
  const bool begins_a_month = span.first == absl::CivilDay(absl::CivilMonth(span.first));
  const bool ends_a_month = absl::CivilMonth(span.last + 1) != absl::CivilMonth(span.last);
  return begins_a_month && (ends_a_month || span.last >= purged_before - 1);
}

absl::Status DaysGone(absl::CivilDay purged_before) {
  const std::string day = absl::FormatCivilTime(purged_before);
  return absl::OutOfRangeError(absl::StrCat(
      "days before ", day, " are past retention.daily and kept as totals of their",
      " months only: ask for a ranking of whole months, or for days from ", day, " on"));
}

absl::Status MonthsGone(absl::CivilMonth kept_from) {
  return absl::OutOfRangeError(
      absl::StrCat("months before ", absl::FormatCivilTime(kept_from),
                   " are past retention.monthly and deleted: ask for days from ",
                   absl::FormatCivilTime(absl::CivilDay(kept_from)), " on"));
}

using RowKey =
    std::tuple<absl::CivilDay, std::uint8_t, accounting::QueueKey, accounting::SubscriberKey>;

RowKey KeyOf(const UsageRow& row) { return {row.day, row.segment, row.queue, row.subscriber}; }

// A month's total as rows of its first and its last day, where its edges are.
void AddMonth(UsageRow month, std::vector<UsageRow>& rows) {
  UsageRow end;
  end.queue = month.queue;
  end.subscriber = month.subscriber;
  end.day = absl::CivilDay(absl::CivilMonth(month.day) + 1) - 1;
  end.end_inside = std::exchange(month.end_inside, {});
  end.end_outside = std::exchange(month.end_outside, {});
  if (!end.end_inside.zero() || !end.end_outside.zero()) rows.push_back(std::move(end));
  rows.push_back(std::move(month));
}

// Rows in memory are as new as those stored, or newer: they take the stored ones' places, and what
// is left is returned. A day that was purged has no row but what came late; its rows in memory are
// in its month's total.
std::vector<UsageRow> Merge(std::vector<UsageRow> memory, store::Store::History& history,
                            absl::CivilDay stored_last) {
  std::vector<UsageRow> rows;
  std::map<RowKey, UsageRow> newer;
  for (UsageRow& row : memory) {
    if (row.day > stored_last) {
      rows.push_back(std::move(row));
    } else {
      newer.emplace(KeyOf(row), std::move(row));
    }
  }
  for (store::StoredUsage& stored : history.days) {
    const auto found = newer.find(KeyOf(stored.row));
    if (found == newer.end()) continue;
    stored.row = std::move(found->second);
    newer.erase(found);
  }
  for (auto& [key, row] : newer) {
    if (row.day >= history.purged_before) rows.push_back(std::move(row));
  }
  for (store::StoredUsage& month : history.months) AddMonth(std::move(month.row), rows);
  return rows;
}

std::vector<SubscriberSum> SumRows(const std::vector<UsageRow>& rows,
                                   const std::vector<store::StoredUsage>& stored,
                                   const DaySpan& span) {
  std::map<accounting::SubscriberKey, std::vector<const UsageRow*>> groups;
  for (const UsageRow& row : rows) groups[row.subscriber].push_back(&row);
  for (const store::StoredUsage& usage : stored) {
    groups[usage.row.subscriber].push_back(&usage.row);
  }
  std::vector<SubscriberSum> sums;
  sums.reserve(groups.size());
  for (const auto& [key, group] : groups) {
    sums.emplace_back(key, accounting::SumUsage(group, span.first, span.last));
  }
  return sums;
}

}  // namespace

absl::Status StillWaited(const std::function<bool()>& gone) {
  return gone() ? absl::CancelledError("the caller cancelled the request") : absl::OkStatus();
}

absl::StatusOr<accounting::Book::LocalDay> UsageReader::BoundsOf(const base::SiteId& site,
                                                                 absl::CivilDay day) const {
  std::int64_t at_us =
      absl::ToUnixMicros(absl::FromCivil(absl::CivilHour(day) + 12, absl::UTCTimeZone()));
  return book_.Read(
      [&](const accounting::Book& book) -> absl::StatusOr<accounting::Book::LocalDay> {
        for (int i = 0; i < kDaysAside; ++i) {
          NS_ASSIGN_OR_RETURN(const accounting::Book::LocalDay found, book.DayAt(site, at_us));
          if (found.day == day) return found;
          at_us = found.day < day ? found.end_us : found.begin_us - 1;
        }
        return accounting::Book::LocalDay{day, at_us, at_us};
      });
}

absl::StatusOr<std::vector<SubscriberSum>> UsageReader::Sums(const base::SiteId& site,
                                                             const DaySpan& span,
                                                             const std::function<bool()>& gone) {
  const auto whole = [&](const accounting::Book& book) {
    const std::optional<absl::CivilDay> from = book.WholeFrom();
    return from.has_value() && span.first >= *from;
  };
  std::optional<std::vector<SubscriberSum>> sums;
  book_.Read([&](const accounting::Book& book) {
    if (whole(book)) sums = book.SubscriberSums(site, span.first, span.last);
  });
  if (sums.has_value()) return *std::move(sums);
  // From here on all rows of the span are in memory.
  NS_ASSIGN_OR_RETURN(const HistoryGate::Pass pass, history_gate_.Enter(gone));
  std::optional<absl::CivilDay> whole_from;
  std::vector<UsageRow> rows = book_.Read([&](const accounting::Book& book) {
    whole_from = book.WholeFrom();
    return book.Usage(site, span.first, span.last);
  });
  const absl::CivilDay stored_last = StoredLast(span, whole_from);
  store::Store::HistoryReader reader;
  if (span.last > span.first) reader.rows_max = rows_max_.ranking;
  reader.begins = [&span](absl::CivilDay purged_before, absl::CivilMonth kept_from) {
    if (absl::CivilMonth(span.first) < kept_from) return MonthsGone(kept_from);
    return MonthsAnswer(span, purged_before) ? absl::OkStatus() : DaysGone(purged_before);
  };
  reader.go_on = [&gone] { return StillWaited(gone); };
  NS_ASSIGN_OR_RETURN(store::Store::History history, history_.Ask([&](store::Store& store) {
    return store.UsageHistory(site, span.first, stored_last, reader);
  }));
  NS_RETURN_IF_ERROR(reader.go_on());
  rows = Merge(std::move(rows), history, stored_last);
  return SumRows(rows, history.days, span);
}

absl::StatusOr<std::vector<UsageRow>> UsageReader::Rows(const accounting::SubscriberKey& key,
                                                        const DaySpan& span,
                                                        const std::function<bool()>& gone) {
  std::optional<absl::CivilDay> whole_from;
  std::vector<UsageRow> rows = book_.Read([&](const accounting::Book& book) {
    whole_from = book.WholeFrom();
    return book.SubscriberUsage(key, span.first, span.last);
  });
  if (whole_from.has_value() && span.first >= *whole_from) return rows;
  const absl::CivilDay stored_last = StoredLast(span, whole_from);
  store::Store::History history;
  for (absl::CivilDay day = span.first; day <= stored_last; day += kRowsSliceDays) {
    NS_RETURN_IF_ERROR(StillWaited(gone));
    const absl::CivilDay last = std::min(day + (kRowsSliceDays - 1), stored_last);
    NS_ASSIGN_OR_RETURN(std::vector<store::StoredUsage> slice, store_.Ask([&](store::Store& store) {
      return store.SubscriberUsage(key, day, last);
    }));
    if (history.days.size() + slice.size() > rows_max_.subscriber) {
      return absl::OutOfRangeError(
          absl::StrCat("more than ", rows_max_.subscriber,
                       " rows, one for each queue, day and segment, are stored up to ",
                       absl::FormatCivilTime(last), ": ask for fewer days"));
    }
    std::move(slice.begin(), slice.end(), std::back_inserter(history.days));
  }
  // Asked for after the rows: what was purged in between is noticed.
  NS_ASSIGN_OR_RETURN(history.purged_before,
                      store_.Ask([](store::Store& store) { return store.PurgedBefore(); }));
  if (span.first < history.purged_before) return DaysGone(history.purged_before);
  rows = Merge(std::move(rows), history, stored_last);
  rows.reserve(rows.size() + history.days.size());
  for (store::StoredUsage& stored : history.days) rows.push_back(std::move(stored.row));
  return rows;
}

absl::StatusOr<std::vector<accounting::Book::RowEvidence>> UsageReader::Evidence(
    const accounting::SubscriberKey& key, const DaySpan& span, const std::function<bool()>& gone) {
  std::optional<absl::CivilDay> whole_from;
  std::vector<accounting::Book::RowEvidence> rows = book_.Read([&](const accounting::Book& book) {
    whole_from = book.WholeFrom();
    return book.Evidence(key, span.first, span.last);
  });
  if (whole_from.has_value() && span.first >= *whole_from) return rows;
  std::set<std::tuple<absl::CivilDay, std::uint8_t, accounting::QueueKey>> newer;
  for (const auto& row : rows) newer.emplace(row.day, row.segment, row.queue);
  const absl::CivilDay stored_last = StoredLast(span, whole_from);
  for (absl::CivilDay day = span.first; day <= stored_last; day += kRowsSliceDays) {
    NS_RETURN_IF_ERROR(StillWaited(gone));
    const absl::CivilDay last = std::min(day + (kRowsSliceDays - 1), stored_last);
    NS_ASSIGN_OR_RETURN(
        std::vector<store::StoredEvidence> slice, store_.Ask([&](store::Store& store) {
          return store.Evidence(key, day, last, rows_max_.evidence + newer.size() + 1);
        }));
    for (store::StoredEvidence& stored : slice) {
      if (newer.contains({stored.day, stored.segment, stored.queue})) continue;
      rows.push_back(
          {std::move(stored.queue), stored.day, stored.segment, std::move(stored.evidence)});
    }
    if (rows.size() > rows_max_.evidence + newer.size()) {
      return absl::OutOfRangeError(
          absl::StrCat("more than ", rows_max_.evidence, " rows have disputed steps up to ",
                       absl::FormatCivilTime(last), ": ask for fewer days"));
    }
  }
  return rows;
}

absl::StatusOr<std::vector<accounting::EpochRecord>> UsageReader::Epochs(
    absl::Span<const accounting::QueueKey> queues, std::int64_t from_us, std::int64_t to_us,
    std::size_t limit, const std::function<bool()>& gone) {
  std::vector<accounting::EpochRecord> epochs;
  while (!queues.empty() && epochs.size() < limit) {
    NS_RETURN_IF_ERROR(StillWaited(gone));
    const auto some = queues.first(std::min(queues.size(), store::Store::kMaxEpochQueues));
    queues.remove_prefix(some.size());
    NS_ASSIGN_OR_RETURN(std::vector<accounting::EpochRecord> found,
                        store_.Ask([&](store::Store& store) {
                          return store.Epochs(some, from_us, to_us, limit - epochs.size());
                        }));
    std::move(found.begin(), found.end(), std::back_inserter(epochs));
  }
  return epochs;
}

absl::StatusOr<store::EventList> UsageReader::Events(const store::EventFilter& filter,
                                                     std::size_t limit) {
  return store_.Ask([&](store::Store& store) { return store.Events(filter, limit); });
}

absl::StatusOr<store::BreachList> UsageReader::Breaches(const store::BreachFilter& filter,
                                                        std::size_t limit) {
  return store_.Ask([&](store::Store& store) { return store.Breaches(filter, limit); });
}

}  // namespace netsentinel::query
