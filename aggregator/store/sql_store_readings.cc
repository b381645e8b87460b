// When the routers of a site were read.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {

absl::Status SqlStore::NoteReadings(const CommitBatch& batch) {
  if (!batch.read_days.empty()) {
    NS_ASSIGN_OR_RETURN(auto days,
                        session_->Insert({"read_days", {"site", "local_day", "router"}, 3, true}));
    for (const ReadDay& read : batch.read_days) {
      days->Text(read.site.value());
      days->Text(DayText(read.day));
      days->Text(read.router.value());
      NS_RETURN_IF_ERROR(days->EndRow());
    }
    NS_RETURN_IF_ERROR(days->Finish());
  }
  if (batch.first_readings.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(auto firsts,
                      session_->Insert({"first_readings", {"site", "router", "at_us"}, 2, true}));
  for (const FirstReading& first : batch.first_readings) {
    firsts->Text(first.site.value());
    firsts->Text(first.router.value());
    firsts->Int(first.at_us);
    NS_RETURN_IF_ERROR(firsts->EndRow());
  }
  return firsts->Finish();
}

absl::StatusOr<SiteReadings> SqlStore::Readings(const base::SiteId& site, absl::CivilDay first,
                                                absl::CivilDay last) {
  SiteReadings result;
  const absl::Status done = Read([&]() -> absl::Status {
    result = {};
    {
      NS_ASSIGN_OR_RETURN(auto rows, session_->Query("SELECT router, at_us FROM first_readings"
                                                     " WHERE site = ? ORDER BY router",
                                                     {Text(site.value())}));
      for (;;) {
        NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
        if (!found) break;
        result.firsts.push_back({site, base::RouterId(rows->String(0)), rows->Int(1)});
      }
    }
    const std::string from = DayText(first);
    const std::string to = DayText(last);
    NS_ASSIGN_OR_RETURN(auto rows,
                        session_->Query("SELECT DISTINCT router FROM read_days WHERE site = ?"
                                        " AND local_day >= ? AND local_day <= ?",
                                        {Text(site.value()), Text(from), Text(to)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      result.read_in_span.emplace_back(rows->String(0));
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<FirstReading>> SqlStore::FirstReadings() {
  std::vector<FirstReading> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query("SELECT site, router, at_us FROM first_readings"
                                                   " ORDER BY site, router"));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      result.push_back(
          {base::SiteId(rows->String(0)), base::RouterId(rows->String(1)), rows->Int(2)});
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<ReadDay>> SqlStore::ReadDays(absl::CivilDay first, absl::CivilDay last) {
  std::vector<ReadDay> result;
  const std::string from = DayText(first);
  const std::string to = DayText(last);
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query("SELECT site, router, local_day FROM read_days"
                                                   " WHERE local_day >= ? AND local_day <= ?",
                                                   {Text(from), Text(to)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      NS_ASSIGN_OR_RETURN(const absl::CivilDay day, ParseDay(rows->String(2)));
      result.push_back({base::SiteId(rows->String(0)), base::RouterId(rows->String(1)), day});
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::size_t> SqlStore::DropReadDays(absl::CivilMonth before, std::size_t limit) {
  const std::string before_day = DayText(absl::CivilDay(before));
  std::vector<ReadDay> gone;
  {
    NS_ASSIGN_OR_RETURN(auto rows,
                        session_->Query("SELECT site, router, local_day FROM read_days"
                                        " WHERE local_day < ? ORDER BY local_day LIMIT ?",
                                        {Text(before_day), Uint(limit)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      NS_ASSIGN_OR_RETURN(const absl::CivilDay day, ParseDay(rows->String(2)));
      gone.push_back({base::SiteId(rows->String(0)), base::RouterId(rows->String(1)), day});
    }
  }
  for (std::size_t begin = 0; begin < gone.size(); begin += kConditions) {
    const std::size_t end = std::min(gone.size(), begin + kConditions);
    std::vector<std::string> days;
    for (std::size_t i = begin; i < end; ++i) days.push_back(DayText(gone[i].day));
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Text(gone[i].site.value()));
      values.push_back(Text(days[i - begin]));
      values.push_back(Text(gone[i].router.value()));
    }
    NS_RETURN_IF_ERROR(session_->Execute(
        absl::StrCat("DELETE FROM read_days WHERE ",
                     Repeat("(site = ? AND local_day = ? AND router = ?)", " OR ", end - begin)),
        values));
  }
  return gone.size();
}

}  // namespace netsentinel::store
