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
    " WHERE site = ? AND router = ? AND name = ?) ORDER BY e.local_day, e.queue_id, e.segment, ";

// The row that the key columns 0 to 6 name; rows come in order, so it is the last or a new one.
absl::StatusOr<StoredEvidence*> RowOf(const SqlRows& rows, std::vector<StoredEvidence>& out) {
  StoredEvidence row;
  NS_ASSIGN_OR_RETURN(row.day, ParseDay(rows.String(0)));
  row.subscriber_id = rows.Uint(1);
  row.queue_id = rows.Uint(2);
  row.segment = static_cast<std::uint8_t>(rows.Int(3));
  const auto key = [](const StoredEvidence& e) {
    return std::tuple(e.day, e.queue_id, e.segment, e.subscriber_id);
  };
  const auto found = std::find_if(out.rbegin(), out.rend(),
                                  [&](const StoredEvidence& e) { return key(e) == key(row); });
  if (found != out.rend()) return &*found;
  row.queue = {base::RouterId(rows.String(4)), static_cast<counters::Menu>(rows.Int(5)),
               rows.String(6)};
  out.push_back(std::move(row));
  return &out.back();
}

}  // namespace

absl::Status SqlStore::WriteEvidence(const std::vector<StoredEvidence>& rows) {
  if (rows.empty()) return absl::OkStatus();
  {
    NS_ASSIGN_OR_RETURN(auto writer,
                        session_->Insert({"usage_evidence",
                                          {"local_day", "subscriber_id", "queue_id", "segment",
                                           "explanation", "steps", "upload", "download"},
                                          5,
                                          true}));
    for (const StoredEvidence& row : rows) {
      const std::string day = DayText(row.day);
      for (const ExplanationTotal& total : row.evidence.totals) {
        writer->Text(day);
        writer->Uint(row.subscriber_id);
        writer->Uint(row.queue_id);
        writer->Int(row.segment);
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
  for (const StoredEvidence& row : rows) {
    const std::string day = DayText(row.day);
    for (std::size_t i = 0; i < row.evidence.steps.size(); ++i) {
      const DisputedStep& step = row.evidence.steps[i];
      writer->Text(day);
      writer->Uint(row.subscriber_id);
      writer->Uint(row.queue_id);
      writer->Int(row.segment);
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

absl::Status SqlStore::ReadTotals(const accounting::SubscriberKey& subscriber, absl::CivilDay first,
                                  absl::CivilDay last, std::vector<StoredEvidence>& out) {
  const std::string from = DayText(first);
  const std::string to = DayText(last);
  NS_ASSIGN_OR_RETURN(
      auto rows,
      session_->Query(absl::StrCat("SELECT e.local_day, e.subscriber_id, e.queue_id, e.segment,"
                                   " q.router, q.menu, q.name, e.explanation, e.steps, e.upload,"
                                   " e.download FROM usage_evidence e",
                                   kFrom, "e.explanation"),
                      {Text(from), Text(to), Text(subscriber.site.value()),
                       Text(subscriber.router.value()), Bytes(subscriber.name)}));
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(StoredEvidence* const row, RowOf(*rows, out));
    ExplanationTotal total;
    NS_ASSIGN_OR_RETURN(total.explanation, ToExplanation(rows->Int(7)));
    total.steps = static_cast<std::uint32_t>(rows->Uint(8));
    total.at_stake = {rows->Uint(9), rows->Uint(10)};
    row->evidence.totals.push_back(total);
  }
}

absl::Status SqlStore::ReadSteps(const accounting::SubscriberKey& subscriber, absl::CivilDay first,
                                 absl::CivilDay last, std::vector<StoredEvidence>& out) {
  const std::string from = DayText(first);
  const std::string to = DayText(last);
  NS_ASSIGN_OR_RETURN(
      auto rows,
      session_->Query(
          absl::StrCat("SELECT e.local_day, e.subscriber_id, e.queue_id, e.segment, q.router,"
                       " q.menu, q.name, e.from_us, e.to_us, e.before_upload, e.before_download,"
                       " e.now_upload, e.now_download, e.counted_as, e.counted_upload,"
                       " e.counted_download, e.doubt_upload, e.doubt_download, e.unseen_upload,"
                       " e.unseen_download, e.possible FROM disputed_steps e",
                       kFrom, "e.number"),
          {Text(from), Text(to), Text(subscriber.site.value()), Text(subscriber.router.value()),
           Bytes(subscriber.name)}));
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(StoredEvidence* const row, RowOf(*rows, out));
    DisputedStep step;
    step.from_us = rows->Int(7);
    step.to_us = rows->Int(8);
    NS_ASSIGN_OR_RETURN(step.before.upload, ParseCounter(rows->String(9)));
    NS_ASSIGN_OR_RETURN(step.before.download, ParseCounter(rows->String(10)));
    NS_ASSIGN_OR_RETURN(step.now.upload, ParseCounter(rows->String(11)));
    NS_ASSIGN_OR_RETURN(step.now.download, ParseCounter(rows->String(12)));
    NS_ASSIGN_OR_RETURN(step.counted_as, ToExplanation(rows->Int(13)));
    step.counted = {rows->Uint(14), rows->Uint(15)};
    step.doubt = {rows->Uint(16), rows->Uint(17)};
    step.unseen = {rows->Uint(18), rows->Uint(19)};
    NS_RETURN_IF_ERROR(ReadPossible(rows->String(20), step));
    row->evidence.steps.push_back(std::move(step));
  }
}

absl::StatusOr<std::vector<StoredEvidence>> SqlStore::Evidence(
    const accounting::SubscriberKey& subscriber, absl::CivilDay first, absl::CivilDay last) {
  std::vector<StoredEvidence> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_RETURN_IF_ERROR(ReadTotals(subscriber, first, last, result));
    return ReadSteps(subscriber, first, last, result);
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

}  // namespace netsentinel::store
