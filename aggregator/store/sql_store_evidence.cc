// Why figures are what they are: explanations and disputed steps of a queue and day.
#include <algorithm>
#include <string>
#include <tuple>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

using accounting::DisputedStep;
using accounting::Explanation;
using accounting::ExplanationTotal;

// "1:10/20 2:0/5": explanations by number, each with what it would count, upload/download.
std::string PossibleText(const DisputedStep& step) {
  std::string text;
  for (const auto& [explanation, bytes] : step.possible) {
    absl::StrAppend(&text, text.empty() ? "" : " ", static_cast<int>(explanation), ":",
                    bytes.upload, "/", bytes.download);
  }
  return text;
}

absl::StatusOr<Explanation> ToExplanation(std::int64_t number) {
  if (number < 1 || number > accounting::kExplanations) {
    return absl::DataLossError(absl::StrCat("explanation ", number, " is unknown"));
  }
  return static_cast<Explanation>(number);
}

absl::Status ReadPossible(const std::string& text, DisputedStep& step) {
  for (const absl::string_view part : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(part, absl::ByAnyChar(":/"));
    std::int64_t number = 0;
    base::TrafficBytes bytes;
    if (words.size() != 3 || !absl::SimpleAtoi(words[0], &number) ||
        !absl::SimpleAtoi(words[1], &bytes.upload) ||
        !absl::SimpleAtoi(words[2], &bytes.download)) {
      return absl::DataLossError("the explanations of a disputed step are damaged");
    }
    NS_ASSIGN_OR_RETURN(const Explanation explanation, ToExplanation(number));
    step.possible.emplace_back(explanation, bytes);
  }
  return absl::OkStatus();
}

constexpr char kFrom[] =
    " LEFT JOIN queues q ON q.queue_id = e.queue_id WHERE e.local_day >= ? AND e.local_day <= ?"
    " AND e.subscriber_id IN (SELECT subscriber_id FROM subscribers"
    " WHERE site = ? AND router = ? AND name = ?) ORDER BY e.local_day, e.queue_id, e.segment,"
    " e.subscriber_id, ";

// In the order of kFrom.
std::tuple<absl::CivilDay, std::uint64_t, std::uint8_t, std::uint64_t> KeyOf(
    const StoredEvidence& row) {
  return {row.day, row.queue_id, row.segment, row.subscriber_id};
}

// What the key columns 0 to 3 name.
absl::StatusOr<StoredEvidence> ReadKey(const SqlRows& rows) {
  StoredEvidence row;
  NS_ASSIGN_OR_RETURN(row.day, ParseDay(rows.String(0)));
  row.subscriber_id = rows.Uint(1);
  row.queue_id = rows.Uint(2);
  row.segment = static_cast<std::uint8_t>(rows.Int(3));
  return row;
}

// In the order that usage rows are written in, so that two writers lock in one order.
std::vector<const StoredEvidence*> ByKey(const std::vector<StoredEvidence>& rows) {
  std::vector<const StoredEvidence*> sorted;
  sorted.reserve(rows.size());
  for (const StoredEvidence& row : rows) sorted.push_back(&row);
  const auto key = [](const StoredEvidence* row) {
    return std::tuple(row->day, row->subscriber_id, row->queue_id, row->segment);
  };
  std::sort(sorted.begin(), sorted.end(),
            [&](const StoredEvidence* a, const StoredEvidence* b) { return key(a) < key(b); });
  return sorted;
}

}  // namespace

absl::Status SqlStore::WriteEvidence(const std::vector<StoredEvidence>& rows) {
  if (rows.empty()) return absl::OkStatus();
  const std::vector<const StoredEvidence*> sorted = ByKey(rows);
  {
    NS_ASSIGN_OR_RETURN(auto writer,
                        session_->Insert({"usage_evidence",
                                          {"local_day", "subscriber_id", "queue_id", "segment",
                                           "explanation", "steps", "upload", "download"},
                                          5,
                                          true}));
    for (const StoredEvidence* const row : sorted) {
      const std::string day = DayText(row->day);
      for (const ExplanationTotal& total : row->evidence.totals) {
        writer->Text(day);
        writer->Uint(row->subscriber_id);
        writer->Uint(row->queue_id);
        writer->Int(row->segment);
        writer->Int(static_cast<std::int64_t>(total.explanation));
        writer->Uint(total.steps);
        writer->Traffic(total.at_stake);
        NS_RETURN_IF_ERROR(writer->EndRow());
      }
    }
    NS_RETURN_IF_ERROR(writer->Finish());
  }
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session_->Insert({"disputed_steps",
                        {"local_day", "subscriber_id", "queue_id", "segment", "number", "from_us",
                         "to_us", "before_upload", "before_download", "now_upload", "now_download",
                         "counted_as", "counted_upload", "counted_download", "doubt_upload",
                         "doubt_download", "unseen_upload", "unseen_download", "possible"},
                        5,
                        true}));
  for (const StoredEvidence* const row : sorted) {
    const std::string day = DayText(row->day);
    for (std::size_t i = 0; i < row->evidence.steps.size(); ++i) {
      const DisputedStep& step = row->evidence.steps[i];
      writer->Text(day);
      writer->Uint(row->subscriber_id);
      writer->Uint(row->queue_id);
      writer->Int(row->segment);
      writer->Int(static_cast<std::int64_t>(i));
      writer->Int(step.from_us);
      writer->Int(step.to_us);
      const std::string counters[] = {
          absl::StrCat(step.before.upload), absl::StrCat(step.before.download),
          absl::StrCat(step.now.upload), absl::StrCat(step.now.download)};
      for (const std::string& counter : counters) writer->Text(counter);
      writer->Int(static_cast<std::int64_t>(step.counted_as));
      writer->Traffic(step.counted);
      writer->Traffic(step.doubt);
      writer->Traffic(step.unseen);
      const std::string possible = PossibleText(step);
      writer->Text(possible);
      NS_RETURN_IF_ERROR(writer->EndRow());
    }
  }
  return writer->Finish();
}

absl::Status SqlStore::ReadTotals(const EvidenceQuestion& asked, std::vector<StoredEvidence>& out) {
  // So many rows that the last one of them is whole.
  const std::uint64_t most = (asked.limit + 1) * accounting::kExplanations;
  NS_ASSIGN_OR_RETURN(
      auto rows,
      session_->Query(
          absl::StrCat("SELECT e.local_day, e.subscriber_id, e.queue_id, e.segment,"
                       " q.router, q.menu, q.name, e.explanation, e.steps, e.upload,"
                       " e.download FROM usage_evidence e",
                       kFrom, "e.explanation LIMIT ?"),
          {Text(asked.from), Text(asked.to), Text(asked.subscriber.site.value()),
           Text(asked.subscriber.router.value()), Bytes(asked.subscriber.name), Uint(most)}));
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(StoredEvidence row, ReadKey(*rows));
    if (out.empty() || KeyOf(out.back()) != KeyOf(row)) {
      if (out.size() == asked.limit) return absl::OkStatus();
      row.queue = {base::RouterId(rows->String(4)), static_cast<counters::Menu>(rows->Int(5)),
                   rows->String(6)};
      out.push_back(std::move(row));
    }
    ExplanationTotal total;
    NS_ASSIGN_OR_RETURN(total.explanation, ToExplanation(rows->Int(7)));
    total.steps = static_cast<std::uint32_t>(rows->Uint(8));
    total.at_stake = {rows->Uint(9), rows->Uint(10)};
    out.back().evidence.totals.push_back(total);
  }
}

absl::Status SqlStore::ReadSteps(const EvidenceQuestion& asked, std::vector<StoredEvidence>& out) {
  const std::uint64_t most = asked.limit * accounting::kMostStepsKept;
  NS_ASSIGN_OR_RETURN(
      auto rows,
      session_->Query(
          absl::StrCat("SELECT e.local_day, e.subscriber_id, e.queue_id, e.segment, e.from_us,"
                       " e.to_us, e.before_upload, e.before_download, e.now_upload,"
                       " e.now_download, e.counted_as, e.counted_upload, e.counted_download,"
                       " e.doubt_upload, e.doubt_download, e.unseen_upload, e.unseen_download,"
                       " e.possible FROM disputed_steps e",
                       kFrom, "e.number LIMIT ?"),
          {Text(asked.from), Text(asked.to), Text(asked.subscriber.site.value()),
           Text(asked.subscriber.router.value()), Bytes(asked.subscriber.name), Uint(most)}));
  // Both lists are in one order, and a row with steps has totals.
  for (auto at = out.begin();;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(const StoredEvidence row, ReadKey(*rows));
    while (at != out.end() && KeyOf(*at) < KeyOf(row)) ++at;
    if (at == out.end()) return absl::OkStatus();
    if (KeyOf(*at) != KeyOf(row)) continue;
    DisputedStep step;
    step.from_us = rows->Int(4);
    step.to_us = rows->Int(5);
    NS_ASSIGN_OR_RETURN(step.before.upload, ParseCounter(rows->String(6)));
    NS_ASSIGN_OR_RETURN(step.before.download, ParseCounter(rows->String(7)));
    NS_ASSIGN_OR_RETURN(step.now.upload, ParseCounter(rows->String(8)));
    NS_ASSIGN_OR_RETURN(step.now.download, ParseCounter(rows->String(9)));
    NS_ASSIGN_OR_RETURN(step.counted_as, ToExplanation(rows->Int(10)));
    step.counted = {rows->Uint(11), rows->Uint(12)};
    step.doubt = {rows->Uint(13), rows->Uint(14)};
    step.unseen = {rows->Uint(15), rows->Uint(16)};
    NS_RETURN_IF_ERROR(ReadPossible(rows->String(17), step));
    at->evidence.steps.push_back(std::move(step));
  }
}

absl::StatusOr<std::vector<StoredEvidence>> SqlStore::Evidence(
    const accounting::SubscriberKey& subscriber, absl::CivilDay first, absl::CivilDay last,
    std::size_t limit) {
  const EvidenceQuestion asked{subscriber, DayText(first), DayText(last), limit};
  std::vector<StoredEvidence> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_RETURN_IF_ERROR(ReadTotals(asked, result));
    return ReadSteps(asked, result);
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

}  // namespace netsentinel::store
