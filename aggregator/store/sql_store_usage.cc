// Usage: days, months, and the way from one into the other.
#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "aggregator/store/usage_sums.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr int kPage = 20000;
// Days from 1970 to the first that was never purged, and to the first of the first such month.
constexpr char kPurgedCounter[] = "purged_before_day";
constexpr char kMonthsCounter[] = "purged_before_month";

constexpr char kFigures[] =
    "u.subscriber_id, u.queue_id, u.segment, u.upload, u.download, u.doubt_upload,"
    " u.doubt_download, u.unseen_upload, u.unseen_download, u.begin_inside_upload,"
    " u.begin_inside_download, u.begin_outside_upload, u.begin_outside_download,"
    " u.end_inside_upload, u.end_inside_download, u.end_outside_upload, u.end_outside_download,"
    " u.blind_us, u.observed_us, u.first_reading_us, u.last_reading_us, u.epochs, u.grade";
constexpr int kFigureColumns = 23;
constexpr char kNames[] = " q.router, q.menu, q.name, s.site, s.router, s.name";

StoredUsage ReadFigures(const SqlRows& rows, absl::CivilDay day) {
  StoredUsage usage;
  usage.subscriber_id = rows.Uint(0);
  usage.queue_id = rows.Uint(1);
  accounting::UsageRow& row = usage.row;
  row.day = day;
  row.segment = static_cast<std::uint8_t>(rows.Int(2));
  row.counted = {rows.Uint(3), rows.Uint(4)};
  row.doubt = {rows.Uint(5), rows.Uint(6)};
  row.unseen = {rows.Uint(7), rows.Uint(8)};
  row.begin_inside = {rows.Uint(9), rows.Uint(10)};
  row.begin_outside = {rows.Uint(11), rows.Uint(12)};
  row.end_inside = {rows.Uint(13), rows.Uint(14)};
  row.end_outside = {rows.Uint(15), rows.Uint(16)};
  row.blind_us = rows.Uint(17);
  row.observed_us = rows.Uint(18);
  row.first_reading_us = rows.Int(19);
  row.last_reading_us = rows.Int(20);
  row.epochs = static_cast<std::uint32_t>(rows.Int(21));
  row.grade = static_cast<accounting::Grade>(rows.Int(22));
  return usage;
}

void ReadNames(const SqlRows& rows, int column, StoredUsage& usage) {
  usage.row.queue = {base::RouterId(rows.String(column)),
                     static_cast<counters::Menu>(rows.Int(column + 1)), rows.String(column + 2)};
  usage.row.subscriber = {base::SiteId(rows.String(column + 3)),
                          base::RouterId(rows.String(column + 4)), rows.String(column + 5)};
}

}  // namespace

// Rows of one day or month; of one subscriber, one site or all.
struct SqlStore::UsageQuestion {
  const char* table = "usage_daily";
  const char* day_column = "local_day";
  absl::CivilDay day;
  std::string site;
  const accounting::SubscriberKey* subscriber = nullptr;
  bool months = false;  // `day` is the first of a month
  // More than `rows_max` in the list that is filled and `rows_elsewhere` end the call.
  std::size_t rows_max = std::numeric_limits<std::size_t>::max();
  std::size_t rows_elsewhere = 0;
};

absl::Status SqlStore::ReadUsage(const UsageQuestion& question, std::vector<StoredUsage>& out) {
  std::string sql = absl::StrCat(
      "SELECT ", kFigures, ",", kNames, " FROM ", question.table,
      " u LEFT JOIN queues q ON q.queue_id = u.queue_id",
      " LEFT JOIN subscribers s ON s.subscriber_id = u.subscriber_id WHERE u.", question.day_column,
      " = ? AND u.subscriber_id >= ? AND (u.subscriber_id > ? OR u.queue_id > ?",
      " OR (u.queue_id = ? AND u.segment > ?))");
  const std::string day = DayText(question.day);
  std::vector<SqlValue> values = {Text(day), Int(0), Int(0), Int(-1), Int(-1), Int(-1)};
  if (question.subscriber != nullptr) {
    // By number, so that the key of the usage table finds the rows.
    absl::StrAppend(&sql,
                    " AND u.subscriber_id IN (SELECT subscriber_id FROM subscribers"
                    " WHERE site = ? AND router = ? AND name = ?)");
    values.push_back(Text(question.subscriber->site.value()));
    values.push_back(Text(question.subscriber->router.value()));
    values.push_back(Bytes(question.subscriber->name));
  } else if (!question.site.empty()) {
    absl::StrAppend(&sql, " AND s.site = ?");
    values.push_back(Text(question.site));
  }
  absl::StrAppend(&sql, " ORDER BY u.subscriber_id, u.queue_id, u.segment LIMIT ", kPage);
  for (int count = kPage; count == kPage;) {
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query(sql, values));
    for (count = 0;; ++count) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      out.push_back(ReadFigures(*rows, question.day));
      ReadNames(*rows, kFigureColumns, out.back());
    }
    if (out.empty()) break;
    if (question.rows_elsewhere + out.size() > question.rows_max) {
      return absl::OutOfRangeError(
          question.months
              ? absl::StrCat("more than ", question.rows_max, " rows, with one for each queue and",
                             " month, are stored up to ", day.substr(0, 7),
                             ": ask for fewer months")
              : absl::StrCat("more than ", question.rows_max, " rows, one for each queue, day and",
                             " segment, are stored up to ", day, ": ask for fewer days"));
    }
    const StoredUsage& last = out.back();
    values[1] = values[2] = Uint(last.subscriber_id);
    values[3] = values[4] = Uint(last.queue_id);
    values[5] = Int(last.row.segment);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredUsage>> SqlStore::UsageBetween(const base::SiteId& site,
                                                                absl::CivilDay first,
                                                                absl::CivilDay last) {
  std::vector<StoredUsage> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    UsageQuestion question;
    question.site = site.value();
    for (question.day = first; question.day <= last; ++question.day) {
      NS_RETURN_IF_ERROR(ReadUsage(question, result));
    }
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<StoredUsage>> SqlStore::SubscriberUsage(
    const accounting::SubscriberKey& subscriber, absl::CivilDay first, absl::CivilDay last) {
  std::vector<StoredUsage> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    UsageQuestion question;
    question.subscriber = &subscriber;
    for (question.day = first; question.day <= last; ++question.day) {
      NS_RETURN_IF_ERROR(ReadUsage(question, result));
    }
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<Store::History> SqlStore::UsageHistory(const base::SiteId& site,
                                                      absl::CivilDay first, absl::CivilDay last,
                                                      const HistoryReader& reader) {
  History history;
  const absl::Status done = Read([&]() -> absl::Status {
    history = History{};
    NS_ASSIGN_OR_RETURN(history.purged_before, StoredPurge(kPurgedCounter));
    NS_ASSIGN_OR_RETURN(const absl::CivilDay kept, StoredPurge(kMonthsCounter));
    history.kept_from = absl::CivilMonth(kept);
    NS_RETURN_IF_ERROR(reader.begins(history.purged_before, history.kept_from));
    UsageQuestion question;
    question.site = site.value();
    question.rows_max = reader.rows_max;
    for (question.day = first; question.day <= last; ++question.day) {
      NS_RETURN_IF_ERROR(reader.go_on());
      NS_RETURN_IF_ERROR(ReadUsage(question, history.days));
    }
    question.table = "usage_monthly";
    question.day_column = "local_month";
    question.months = true;
    question.rows_elsewhere = history.days.size();
    const absl::CivilDay purged_last = std::min(last, history.purged_before - 1);
    for (absl::CivilMonth month(first); month <= absl::CivilMonth(purged_last); ++month) {
      NS_RETURN_IF_ERROR(reader.go_on());
      question.day = absl::CivilDay(month);
      NS_RETURN_IF_ERROR(ReadUsage(question, history.months));
    }
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return history;
}

absl::StatusOr<absl::CivilDay> SqlStore::PurgedBefore() {
  absl::CivilDay day;
  const absl::Status done = Read([&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(day, StoredPurge(kPurgedCounter));
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return day;
}

absl::StatusOr<absl::CivilDay> SqlStore::StoredPurge(const char* counter) {
  NS_ASSIGN_OR_RETURN(const std::uint64_t days, Counter(counter));
  return absl::CivilDay(1970, 1, 1) + static_cast<absl::civil_diff_t>(days);
}

absl::Status SqlStore::NotePurge(const char* counter, absl::CivilDay before) {
  NS_ASSIGN_OR_RETURN(const absl::CivilDay known, StoredPurge(counter));
  if (before <= known) return absl::OkStatus();
  return SetCounter(counter, static_cast<std::uint64_t>(before - absl::CivilDay(1970, 1, 1)));
}

absl::StatusOr<std::vector<StoredUsage>> SqlStore::MonthOf(const UsageQuestion& question,
                                                           absl::CivilMonth month) {
  std::vector<StoredUsage> result;
  const absl::Status done = Read([&]() -> absl::Status {
    std::vector<StoredUsage> rows;
    UsageQuestion part = question;
    part.table = "usage_monthly";
    part.day_column = "local_month";
    part.day = absl::CivilDay(month);
    NS_RETURN_IF_ERROR(ReadUsage(part, rows));
    MonthSums sums;
    for (StoredUsage& row : rows) sums.AddMonth(std::move(row));
    part.table = "usage_daily";
    part.day_column = "local_day";
    for (; absl::CivilMonth(part.day) == month; ++part.day) {
      rows.clear();
      NS_RETURN_IF_ERROR(ReadUsage(part, rows));
      for (StoredUsage& row : rows) sums.AddDay(std::move(row));
    }
    result = sums.Take();
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<StoredUsage>> SqlStore::MonthUsage(const base::SiteId& site,
                                                              absl::CivilMonth month) {
  UsageQuestion question;
  question.site = site.value();
  return MonthOf(question, month);
}

absl::StatusOr<std::vector<StoredUsage>> SqlStore::SubscriberMonth(
    const accounting::SubscriberKey& subscriber, absl::CivilMonth month) {
  UsageQuestion question;
  question.subscriber = &subscriber;
  return MonthOf(question, month);
}

absl::StatusOr<std::size_t> SqlStore::PurgeDaily(Fence fence, absl::CivilDay before,
                                                 std::size_t limit) {
  std::size_t gone = 0;
  const absl::Status done = Write(fence, [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(gone, FoldSlice(before, limit));
    return gone == 0 ? absl::OkStatus() : NotePurge(kPurgedCounter, before);
  });
  NS_RETURN_IF_ERROR(done);
  return gone;
}

absl::StatusOr<std::size_t> SqlStore::PurgeMonthly(Fence fence, absl::CivilMonth before,
                                                   std::size_t limit) {
  std::size_t gone = 0;
  const absl::Status done = Write(fence, [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(gone, DropMonthSlice(before, limit));
    if (gone > 0) NS_RETURN_IF_ERROR(NotePurge(kMonthsCounter, absl::CivilDay(before)));
    NS_ASSIGN_OR_RETURN(const std::size_t days, DropReadDays(before, limit));
    gone += days;
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return gone;
}

absl::StatusOr<std::size_t> SqlStore::DropMonthSlice(absl::CivilMonth before, std::size_t limit) {
  std::vector<StoredUsage> rows;
  {
    NS_ASSIGN_OR_RETURN(
        auto answer,
        session_->Query(absl::StrCat("SELECT ", kFigures, ", u.local_month FROM usage_monthly u",
                                     " WHERE u.local_month < ? ORDER BY u.local_month,",
                                     " u.subscriber_id, u.queue_id, u.segment LIMIT ?"),
                        {Text(DayText(absl::CivilDay(before))), Uint(limit)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, answer->Next());
      if (!found) break;
      NS_ASSIGN_OR_RETURN(const absl::CivilDay month, ParseDay(answer->String(kFigureColumns)));
      rows.push_back(ReadFigures(*answer, month));
    }
  }
  NS_RETURN_IF_ERROR(DeleteUsage("usage_monthly", "local_month", rows));
  return rows.size();
}

absl::StatusOr<std::size_t> SqlStore::FoldSlice(absl::CivilDay before, std::size_t limit) {
  std::vector<StoredUsage> rows;
  {
    // Only closed router days: rows of an open one are still replaced, and a row that is replaced
    // after its move would count twice.
    NS_ASSIGN_OR_RETURN(
        auto answer,
        session_->Query(absl::StrCat("SELECT ", kFigures, ", u.local_day FROM usage_daily u",
                                     " JOIN queues q ON q.queue_id = u.queue_id",
                                     " JOIN day_closes c ON c.router = q.router",
                                     " AND c.local_day = u.local_day WHERE u.local_day < ?",
                                     " ORDER BY u.local_day, u.subscriber_id, u.queue_id,",
                                     " u.segment LIMIT ?"),
                        {Text(DayText(before)), Uint(limit)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, answer->Next());
      if (!found) break;
      NS_ASSIGN_OR_RETURN(const absl::CivilDay day, ParseDay(answer->String(kFigureColumns)));
      rows.push_back(ReadFigures(*answer, day));
    }
  }
  NS_RETURN_IF_ERROR(AddToMonths(rows));
  NS_RETURN_IF_ERROR(DeleteUsage("usage_daily", "local_day", rows));
  NS_RETURN_IF_ERROR(DeleteUsage("usage_evidence", "local_day", rows));
  NS_RETURN_IF_ERROR(DeleteUsage("disputed_steps", "local_day", rows));
  return rows.size();
}

absl::Status SqlStore::DeleteUsage(const char* table, const char* day_column,
                                   const std::vector<StoredUsage>& rows) {
  const std::string condition =
      absl::StrCat("(", day_column, " = ? AND subscriber_id = ? AND queue_id = ? AND segment = ?)");
  for (std::size_t begin = 0; begin < rows.size(); begin += kConditions) {
    const std::size_t end = std::min(rows.size(), begin + kConditions);
    std::vector<std::string> days;
    for (std::size_t i = begin; i < end; ++i) days.push_back(DayText(rows[i].row.day));
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Text(days[i - begin]));
      values.push_back(Uint(rows[i].subscriber_id));
      values.push_back(Uint(rows[i].queue_id));
      values.push_back(Int(rows[i].row.segment));
    }
    NS_RETURN_IF_ERROR(session_->Execute(
        absl::StrCat("DELETE FROM ", table, " WHERE ", Repeat(condition, " OR ", end - begin)),
        values));
  }
  return absl::OkStatus();
}

absl::Status SqlStore::AddToMonths(const std::vector<StoredUsage>& rows) {
  MonthSums sums;
  for (const StoredUsage& row : rows) sums.AddDay(row);
  const std::vector<StoredUsage> added = sums.Take();
  MonthSums totals;
  for (std::size_t begin = 0; begin < added.size(); begin += kConditions) {
    const std::size_t end = std::min(added.size(), begin + kConditions);
    std::vector<std::string> months;
    for (std::size_t i = begin; i < end; ++i) months.push_back(DayText(added[i].row.day));
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Text(months[i - begin]));
      values.push_back(Uint(added[i].subscriber_id));
      values.push_back(Uint(added[i].queue_id));
    }
    NS_ASSIGN_OR_RETURN(
        auto answer,
        session_->Query(
            absl::StrCat("SELECT ", kFigures, ", u.local_month FROM usage_monthly u WHERE ",
                         Repeat("(u.local_month = ? AND u.subscriber_id = ? AND u.queue_id = ?)",
                                " OR ", end - begin),
                         ForUpdate(session_->dialect())),
            values));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, answer->Next());
      if (!found) break;
      NS_ASSIGN_OR_RETURN(const absl::CivilDay month, ParseDay(answer->String(kFigureColumns)));
      totals.AddMonth(ReadFigures(*answer, month));
    }
  }
  for (const StoredUsage& row : added) totals.AddMonth(row);
  const std::vector<StoredUsage> written = totals.Take();
  std::vector<const StoredUsage*> pointers;
  pointers.reserve(written.size());
  for (const StoredUsage& row : written) pointers.push_back(&row);
  return WriteUsage("usage_monthly", "local_month", pointers);
}

}  // namespace netsentinel::store
