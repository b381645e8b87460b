// What a flush writes.
#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr std::size_t kIdsInOneStatement = 1000;

}  // namespace

absl::Status SqlStore::Flush(Fence fence, const FlushBatch& batch) {
  NS_RETURN_IF_ERROR(Validate(batch));
  std::vector<const StoredUsage*> rows;
  rows.reserve(batch.usage.size());
  for (const StoredUsage& usage : batch.usage) rows.push_back(&usage);
  // The order of the key: pages are touched once and transactions meet in one order.
  std::sort(rows.begin(), rows.end(), [](const StoredUsage* a, const StoredUsage* b) {
    if (a->row.day != b->row.day) return a->row.day < b->row.day;
    if (a->subscriber_id != b->subscriber_id) return a->subscriber_id < b->subscriber_id;
    if (a->queue_id != b->queue_id) return a->queue_id < b->queue_id;
    return a->row.segment < b->row.segment;
  });
  return Write(fence, [&]() -> absl::Status {
    NS_RETURN_IF_ERROR(StoreNames(batch));
    NS_RETURN_IF_ERROR(WriteUsage("usage_daily", "local_day", rows));
    NS_RETURN_IF_ERROR(WriteEvidence(batch.evidence));
    NS_RETURN_IF_ERROR(StoreCheckpoints(batch));
    NS_RETURN_IF_ERROR(StoreDayCloses(batch));
    NS_RETURN_IF_ERROR(TrimJournal(batch.trims));
    NS_RETURN_IF_ERROR(SetCounter("next_queue_id", batch.next_queue_id));
    return SetCounter("next_subscriber_id", batch.next_subscriber_id);
  });
}

absl::Status SqlStore::StoreDayCloses(const FlushBatch& batch) {
  for (const FlushBatch::Reopened& reopened : batch.reopened_days) {
    NS_RETURN_IF_ERROR(
        session_->Execute("DELETE FROM day_closes WHERE router = ? AND local_day >= ?",
                          {Text(reopened.router.value()), Text(DayText(reopened.first))}));
  }
  if (batch.closed_days.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session_->Insert(
          {"day_closes", {"router", "local_day", "is_partial", "closed_at_us"}, 2, true}));
  for (const DayClose& close : batch.closed_days) {
    writer->Text(close.router.value());
    writer->Text(DayText(close.day));
    writer->Int(close.partial ? 1 : 0);
    writer->Int(close.closed_at_us);
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  return writer->Finish();
}

absl::Status SqlStore::StoreNames(const FlushBatch& batch) {
  if (!batch.queues.empty()) {
    NS_ASSIGN_OR_RETURN(
        auto writer, session_->Insert({"queues", {"queue_id", "router", "menu", "name"}, 1, true}));
    for (const QueueRow& row : batch.queues) {
      writer->Uint(row.queue_id);
      writer->Text(row.key.router.value());
      writer->Int(MenuNumber(row.key.menu));
      writer->Bytes(row.key.name);
      NS_RETURN_IF_ERROR(writer->EndRow());
    }
    NS_RETURN_IF_ERROR(writer->Finish());
  }
  if (batch.subscribers.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session_->Insert({"subscribers", {"subscriber_id", "site", "router", "name"}, 1, true}));
  for (const SubscriberRow& row : batch.subscribers) {
    writer->Uint(row.subscriber_id);
    writer->Text(row.key.site.value());
    writer->Text(row.key.router.value());
    writer->Bytes(row.key.name);
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  return writer->Finish();
}

absl::Status SqlStore::WriteUsage(const char* table, const char* day_column,
                                  const std::vector<const StoredUsage*>& rows) {
  if (rows.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(auto writer, session_->Insert({table,
                                                     {day_column,
                                                      "subscriber_id",
                                                      "queue_id",
                                                      "segment",
                                                      "upload",
                                                      "download",
                                                      "doubt_upload",
                                                      "doubt_download",
                                                      "unseen_upload",
                                                      "unseen_download",
                                                      "begin_inside_upload",
                                                      "begin_inside_download",
                                                      "begin_outside_upload",
                                                      "begin_outside_download",
                                                      "end_inside_upload",
                                                      "end_inside_download",
                                                      "end_outside_upload",
                                                      "end_outside_download",
                                                      "blind_us",
                                                      "observed_us",
                                                      "first_reading_us",
                                                      "last_reading_us",
                                                      "epochs",
                                                      "grade"},
                                                     4,
                                                     true}));
  absl::CivilDay day;
  std::string day_text;
  for (const StoredUsage* usage : rows) {
    const accounting::UsageRow& row = usage->row;
    if (day_text.empty() || row.day != day) {
      day = row.day;
      day_text = DayText(day);
    }
    writer->Text(day_text);
    writer->Uint(usage->subscriber_id);
    writer->Uint(usage->queue_id);
    writer->Int(row.segment);
    writer->Traffic(row.counted);
    writer->Traffic(row.doubt);
    writer->Traffic(row.unseen);
    writer->Traffic(row.begin_inside);
    writer->Traffic(row.begin_outside);
    writer->Traffic(row.end_inside);
    writer->Traffic(row.end_outside);
    writer->Uint(row.blind_us);
    writer->Uint(row.observed_us);
    writer->Int(row.first_reading_us);
    writer->Int(row.last_reading_us);
    writer->Int(row.epochs);
    writer->Int(static_cast<std::int64_t>(row.grade));
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  return writer->Finish();
}

// A part longer than a value may be lies in several rows: its first slice under its own number, the
// others under that plus a multiple of kCheckpointSlice.
absl::Status SqlStore::StoreCheckpoints(const FlushBatch& batch) {
  NS_RETURN_IF_ERROR(DropCheckpoints(batch));
  if (batch.checkpoints.empty()) return absl::OkStatus();
  const std::size_t most = std::min(kMaxPayloadBytes, session_->value_max());
  bool sliced = false;
  NS_ASSIGN_OR_RETURN(auto writer,
                      session_->Insert({"checkpoints", {"state_key", "part", "payload"}, 2, true}));
  for (const CheckpointPart& part : batch.checkpoints) {
    absl::string_view rest = part.payload;
    for (std::int64_t slice = 0; slice == 0 || !rest.empty(); ++slice) {
      sliced = sliced || slice > 0;
      writer->Bytes(part.state_key);
      writer->Int(slice * kCheckpointSlice + part.part);
      writer->Bytes(rest.substr(0, most));
      NS_RETURN_IF_ERROR(writer->EndRow());
      rest.remove_prefix(std::min(most, rest.size()));
    }
  }
  NS_RETURN_IF_ERROR(writer->Finish());
  return sliced ? SetCounter(kSlicedCounter, 1) : absl::OkStatus();
}

// The later slices of every part that is written or dropped.
absl::Status SqlStore::DropSlices(const FlushBatch& batch) {
  NS_ASSIGN_OR_RETURN(const std::uint64_t sliced, Counter(kSlicedCounter));
  if (sliced == 0) return absl::OkStatus();
  std::vector<std::pair<absl::string_view, std::uint32_t>> parts(batch.dropped_checkpoints.begin(),
                                                                 batch.dropped_checkpoints.end());
  for (const CheckpointPart& part : batch.checkpoints)
    parts.emplace_back(part.state_key, part.part);
  for (std::size_t begin = 0; begin < parts.size(); begin += kConditions) {
    const std::size_t end = std::min(parts.size(), begin + kConditions);
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Bytes(parts[i].first));
      values.push_back(Int(kCheckpointSlice));
      values.push_back(Int(kCheckpointSlice));
      values.push_back(Int(parts[i].second));
    }
    NS_RETURN_IF_ERROR(session_->Execute(
        absl::StrCat("DELETE FROM checkpoints WHERE ",
                     Repeat("(state_key = ? AND part >= ? AND part % ? = ?)", " OR ", end - begin)),
        values));
  }
  return absl::OkStatus();
}

absl::Status SqlStore::DropCheckpoints(const FlushBatch& batch) {
  NS_RETURN_IF_ERROR(DropSlices(batch));
  for (std::size_t begin = 0; begin < batch.dropped_checkpoints.size(); begin += kConditions) {
    const std::size_t end = std::min(batch.dropped_checkpoints.size(), begin + kConditions);
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Bytes(batch.dropped_checkpoints[i].first));
      values.push_back(Int(batch.dropped_checkpoints[i].second));
    }
    NS_RETURN_IF_ERROR(
        session_->Execute(absl::StrCat("DELETE FROM checkpoints WHERE ",
                                       Repeat("(state_key = ? AND part = ?)", " OR ", end - begin)),
                          values));
  }
  return absl::OkStatus();
}

absl::Status SqlStore::TrimJournal(const std::vector<FlushBatch::Trim>& trims) {
  std::map<std::pair<std::string, std::int64_t>, std::uint64_t> covered;
  std::uint64_t highest = 0;
  for (const FlushBatch::Trim& trim : trims) {
    std::uint64_t& id = covered[{trim.router.value(), MenuNumber(trim.menu)}];
    id = std::max(id, trim.journal_id);
    highest = std::max(highest, trim.journal_id);
  }
  if (covered.empty()) return absl::OkStatus();
  // The journal holds about a minute and has no second index: it is read without payloads. Rows
  // that another transaction is writing have higher ids and are not touched.
  std::vector<std::uint64_t> ids;
  {
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query("SELECT journal_id, router, menu FROM journal"
                                                   " WHERE journal_id <= ?",
                                                   {Uint(highest)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      const auto entry = covered.find({rows->String(1), rows->Int(2)});
      if (entry != covered.end() && rows->Uint(0) <= entry->second) ids.push_back(rows->Uint(0));
    }
  }
  std::sort(ids.begin(), ids.end());
  for (std::size_t begin = 0; begin < ids.size(); begin += kIdsInOneStatement) {
    const std::size_t end = std::min(ids.size(), begin + kIdsInOneStatement);
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) values.push_back(Uint(ids[i]));
    NS_RETURN_IF_ERROR(session_->Execute(absl::StrCat("DELETE FROM journal WHERE journal_id IN (",
                                                      Repeat("?", ",", values.size()), ")"),
                                         values));
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::store
