#include "aggregator/query/usage_reader.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::query {
namespace {

constexpr int kSpanDaysMax = 400;

absl::StatusOr<absl::CivilDay> ParseDay(const std::string& text, absl::CivilDay otherwise) {
  if (text.empty()) return otherwise;
  absl::CivilDay day;
  if (!absl::ParseCivilTime(text, &day)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is no date; write it as 2026-03-29"));
  }
  return day;
}

}  // namespace

absl::StatusOr<DaySpan> UsageReader::Resolve(const base::SiteId& site, const std::string& first,
                                             const std::string& last) const {
  NS_ASSIGN_OR_RETURN(
      const accounting::Book::LocalDay today,
      book_.Read([&](const accounting::Book& book) { return book.DayAt(site, NowUs()); }));
  DaySpan span;
  span.today = today.day;
  NS_ASSIGN_OR_RETURN(span.first, ParseDay(first, today.day));
  NS_ASSIGN_OR_RETURN(span.last, ParseDay(last, span.first));
  if (span.last < span.first) {
    return absl::InvalidArgumentError(
        absl::StrCat("the last day ", last, " lies before the first, ", first));
  }
  if (span.last - span.first >= kSpanDaysMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the span has more than ", kSpanDaysMax, " days"));
  }
  return span;
}

absl::StatusOr<std::vector<SubscriberSum>> UsageReader::Sums(const base::SiteId& site,
                                                             const DaySpan& span) {
  struct FromMemory {
    std::optional<absl::CivilDay> oldest;
    std::vector<SubscriberSum> sums;
    std::vector<accounting::UsageRow> rows;
  };
  FromMemory memory = book_.Read([&](const accounting::Book& book) {
    FromMemory got;
    got.oldest = book.OldestDayInMemory(site);
    if (got.oldest.has_value() && span.first >= *got.oldest) {
      got.sums = book.SubscriberSums(site, span.first, span.last);
    } else if (got.oldest.has_value()) {
      got.rows = book.Usage(site, std::max(span.first, *got.oldest), span.last);
    }
    return got;
  });
  if (memory.oldest.has_value() && span.first >= *memory.oldest) return std::move(memory.sums);

  const absl::CivilDay stored_last =
      memory.oldest.has_value() ? std::min(span.last, *memory.oldest - 1) : span.last;
  NS_ASSIGN_OR_RETURN(const std::vector<store::StoredUsage> stored,
                      store_.Ask([&](store::Store& store) {
                        return store.UsageBetween(site, span.first, stored_last);
                      }));
  std::map<accounting::SubscriberKey, std::vector<const accounting::UsageRow*>> groups;
  for (const store::StoredUsage& usage : stored) {
    groups[usage.row.subscriber].push_back(&usage.row);
  }
  for (const accounting::UsageRow& row : memory.rows) groups[row.subscriber].push_back(&row);
  std::vector<SubscriberSum> sums;
  sums.reserve(groups.size());
  for (const auto& [key, rows] : groups) {
    sums.emplace_back(key, accounting::SumUsage(rows, span.first, span.last));
  }
  return sums;
}

absl::StatusOr<std::vector<accounting::UsageRow>> UsageReader::Rows(
    const accounting::SubscriberKey& key, const DaySpan& span) {
  std::optional<absl::CivilDay> oldest;
  std::vector<accounting::UsageRow> rows = book_.Read([&](const accounting::Book& book) {
    oldest = book.OldestDayInMemory(key.site);
    if (!oldest.has_value()) return std::vector<accounting::UsageRow>();
    return book.SubscriberUsage(key, std::max(span.first, *oldest), span.last);
  });
  if (!oldest.has_value() || span.first < *oldest) {
    const absl::CivilDay stored_last =
        oldest.has_value() ? std::min(span.last, *oldest - 1) : span.last;
    NS_ASSIGN_OR_RETURN(std::vector<store::StoredUsage> stored,
                        store_.Ask([&](store::Store& store) {
                          return store.SubscriberUsage(key, span.first, stored_last);
                        }));
    for (store::StoredUsage& usage : stored) rows.push_back(std::move(usage.row));
  }
  return rows;
}

absl::StatusOr<std::vector<accounting::EpochRecord>> UsageReader::Epochs(
    const accounting::QueueKey& queue, std::int64_t from_us, std::int64_t to_us) {
  return store_.Ask([&](store::Store& store) { return store.Epochs(queue, from_us, to_us); });
}

absl::StatusOr<std::vector<store::StoredEvent>> UsageReader::Events(const base::RouterId& router,
                                                                    std::uint64_t before_id,
                                                                    std::size_t limit) {
  return store_.Ask([&](store::Store& store) { return store.Events(router, before_id, limit); });
}

absl::StatusOr<std::vector<store::BreachRow>> UsageReader::Breaches(std::size_t limit) {
  return store_.Ask([&](store::Store& store) { return store.Breaches(limit); });
}

}  // namespace netsentinel::query
