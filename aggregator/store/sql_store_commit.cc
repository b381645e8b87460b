// The transaction behind an acknowledgement.
#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

using MenuKey = std::pair<std::string, counters::Menu>;

struct Newest {
  counters::SnapshotPosition position;
  std::uint64_t journal_id = 0;
};

absl::Status LoadNewest(SqlSession& session, const std::vector<MenuKey>& keys,
                        std::map<MenuKey, Newest>& newest) {
  for (std::size_t begin = 0; begin < keys.size(); begin += kConditions) {
    const std::size_t end = std::min(keys.size(), begin + kConditions);
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Text(keys[i].first));
      values.push_back(Int(MenuNumber(keys[i].second)));
    }
    NS_ASSIGN_OR_RETURN(
        auto rows,
        session.Query(absl::StrCat("SELECT router, menu, lease_epoch, spool_uuid, seq, journal_id",
                                   " FROM watermarks WHERE ",
                                   Repeat("(router = ? AND menu = ?)", " OR ", end - begin),
                                   ForUpdate(session.dialect())),
                      values));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      newest[{rows->String(0), static_cast<counters::Menu>(rows->Int(1))}] =
          Newest{{rows->Uint(2), rows->String(3), rows->Uint(4)}, rows->Uint(5)};
    }
  }
  return absl::OkStatus();
}

// Moves the newest positions over the batch; kAlreadyExists for a row that is not after its own.
absl::Status Advance(const std::vector<JournalRow>& journal, std::map<MenuKey, Newest>& newest) {
  for (const JournalRow& row : journal) {
    const auto [found, first] =
        newest.try_emplace({row.router.value(), row.menu}, Newest{row.position, row.journal_id});
    if (first) continue;
    Newest& before = found->second;
    if (!IsAfter(row.position, before.position) || row.journal_id <= before.journal_id) {
      return absl::AlreadyExistsError(
          absl::StrCat("snapshot of router ", row.router.value(), ", menu ",
                       counters::MenuName(row.menu), ", lease epoch ", row.position.lease_epoch,
                       ", sequence ", row.position.sequence, ", journal id ", row.journal_id,
                       " is not after the newest committed one (", before.position.lease_epoch,
                       ", ", before.position.sequence, ", ", before.journal_id, ")"));
    }
    // A spool's older rows may follow under an older lease epoch; other spools are held against
    // the highest there was.
    const std::uint64_t epoch = std::max(before.position.lease_epoch, row.position.lease_epoch);
    before = Newest{row.position, row.journal_id};
    before.position.lease_epoch = epoch;
  }
  return absl::OkStatus();
}

absl::Status StoreNewest(SqlSession& session, const std::map<MenuKey, Newest>& newest) {
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session.Insert({"watermarks",
                      {"router", "menu", "lease_epoch", "spool_uuid", "seq", "journal_id"},
                      2,
                      true}));
  for (const auto& [key, value] : newest) {
    writer->Text(key.first);
    writer->Int(MenuNumber(key.second));
    writer->Uint(value.position.lease_epoch);
    writer->Bytes(value.position.spool_uuid);
    writer->Uint(value.position.sequence);
    writer->Uint(value.journal_id);
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  return writer->Finish();
}

}  // namespace

std::size_t SqlStore::journal_payload_max() const {
  return std::min(kMaxPayloadBytes, session_->value_max());
}

absl::Status SqlStore::Commit(Fence fence, const CommitBatch& batch) {
  NS_RETURN_IF_ERROR(Validate(batch));
  return Write(fence, [&]() -> absl::Status {
    NS_RETURN_IF_ERROR(CommitJournal(batch.journal));
    NS_RETURN_IF_ERROR(NoteReadings(batch));
    NS_RETURN_IF_ERROR(InsertEpochs(batch.epochs));
    NS_RETURN_IF_ERROR(StoreHolds(batch.holds));
    NS_RETURN_IF_ERROR(InsertEvents(batch.events));
    return InsertBreaches(batch.breaches);
  });
}

absl::Status SqlStore::AppendEvents(Fence fence,
                                    const std::vector<accounting::EventRecord>& events) {
  for (const accounting::EventRecord& event : events) NS_RETURN_IF_ERROR(Validate(event));
  return Write(fence, [&]() -> absl::Status { return InsertEvents(events); });
}

absl::Status SqlStore::CommitJournal(const std::vector<JournalRow>& journal) {
  if (journal.empty()) return absl::OkStatus();
  std::set<MenuKey> distinct;
  for (const JournalRow& row : journal) distinct.insert({row.router.value(), row.menu});
  std::map<MenuKey, Newest> newest;
  NS_RETURN_IF_ERROR(
      LoadNewest(*session_, std::vector<MenuKey>(distinct.begin(), distinct.end()), newest));
  NS_RETURN_IF_ERROR(Advance(journal, newest));
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session_->Insert({"journal",
                        {"journal_id", "router", "menu", "lease_epoch", "spool_uuid", "seq",
                         "previous_seq", "attribution_us", "received_us", "payload"}}));
  for (const JournalRow& row : journal) {
    writer->Uint(row.journal_id);
    writer->Text(row.router.value());
    writer->Int(MenuNumber(row.menu));
    writer->Uint(row.position.lease_epoch);
    writer->Bytes(row.position.spool_uuid);
    writer->Uint(row.position.sequence);
    writer->Uint(row.previous_sequence);
    writer->Int(row.attribution_us);
    writer->Int(row.received_us);
    writer->Bytes(row.payload);
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  NS_RETURN_IF_ERROR(writer->Finish());
  return StoreNewest(*session_, newest);
}

absl::Status SqlStore::InsertEpochs(const std::vector<accounting::EpochRecord>& epochs) {
  if (epochs.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session_->Insert({"epochs", {"router", "menu", "queue", "row_id", "start_us", "reason"}}));
  for (const accounting::EpochRecord& epoch : epochs) {
    writer->Text(epoch.queue.router.value());
    writer->Int(MenuNumber(epoch.queue.menu));
    writer->Bytes(epoch.queue.name);
    // Two's complement: a router may send any 64 bits, and nothing orders by it.
    writer->Int(static_cast<std::int64_t>(epoch.row_id));
    writer->Int(epoch.start_us);
    writer->Int(static_cast<std::int64_t>(epoch.reason));
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  return writer->Finish();
}

absl::Status SqlStore::StoreHolds(const std::vector<accounting::HoldRecord>& holds) {
  if (holds.empty()) return absl::OkStatus();
  // The last word on each queue counts.
  std::map<accounting::QueueKey, const accounting::HoldRecord*> last;
  for (const accounting::HoldRecord& hold : holds) last[hold.queue] = &hold;
  std::vector<const accounting::HoldRecord*> gone;
  NS_ASSIGN_OR_RETURN(auto writer,
                      session_->Insert({"holds",
                                        {"router", "menu", "queue", "since_us", "before_upload",
                                         "before_download", "held_upload", "held_download"},
                                        3,
                                        true}));
  for (const auto& [key, hold] : last) {
    if (hold->resolved) {
      gone.push_back(hold);
      continue;
    }
    writer->Text(key.router.value());
    writer->Int(MenuNumber(key.menu));
    writer->Bytes(key.name);
    writer->Int(hold->since_us);
    // Counters use all 64 bits, so they are text.
    writer->Text(absl::StrCat(hold->before.upload));
    writer->Text(absl::StrCat(hold->before.download));
    writer->Text(absl::StrCat(hold->held.upload));
    writer->Text(absl::StrCat(hold->held.download));
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  NS_RETURN_IF_ERROR(writer->Finish());
  for (std::size_t begin = 0; begin < gone.size(); begin += kConditions) {
    const std::size_t end = std::min(gone.size(), begin + kConditions);
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) {
      values.push_back(Text(gone[i]->queue.router.value()));
      values.push_back(Int(MenuNumber(gone[i]->queue.menu)));
      values.push_back(Bytes(gone[i]->queue.name));
    }
    NS_RETURN_IF_ERROR(session_->Execute(
        absl::StrCat("DELETE FROM holds WHERE ",
                     Repeat("(router = ? AND menu = ? AND queue = ?)", " OR ", end - begin)),
        values));
  }
  return absl::OkStatus();
}

absl::Status SqlStore::InsertEvents(const std::vector<accounting::EventRecord>& events) {
  if (events.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(
      auto writer,
      session_->Insert({"events", {"at_us", "router", "menu", "queue", "kind", "detail"}}));
  for (const accounting::EventRecord& event : events) {
    writer->Int(event.at_us);
    writer->Text(event.router.value());
    writer->Int(MenuNumber(event.menu));
    writer->Bytes(event.queue);
    writer->Text(event.kind);
    writer->Text(StorableText(event.detail));
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  return writer->Finish();
}

namespace {

// The ids among `ids` that are stored already.
absl::StatusOr<std::set<std::string>> StoredBreaches(SqlSession& session,
                                                     const std::vector<std::string>& ids) {
  std::set<std::string> stored;
  for (std::size_t begin = 0; begin < ids.size(); begin += kConditions) {
    const std::size_t end = std::min(ids.size(), begin + kConditions);
    std::vector<SqlValue> values;
    for (std::size_t i = begin; i < end; ++i) values.push_back(Text(ids[i]));
    NS_ASSIGN_OR_RETURN(
        auto rows, session.Query(absl::StrCat("SELECT breach_id FROM breaches WHERE breach_id IN (",
                                              Repeat("?", ",", values.size()), ")"),
                                 values));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      stored.insert(rows->String(0));
    }
  }
  return stored;
}

}  // namespace

absl::Status SqlStore::InsertBreaches(const std::vector<BreachRow>& breaches) {
  if (breaches.empty()) return absl::OkStatus();
  std::vector<std::string> ids;
  ids.reserve(breaches.size());
  for (const BreachRow& row : breaches) ids.push_back(row.breach_id);
  NS_ASSIGN_OR_RETURN(std::set<std::string> stored, StoredBreaches(*session_, ids));
  std::vector<const BreachRow*> fresh;
  for (const BreachRow& row : breaches) {
    if (stored.insert(row.breach_id).second) fresh.push_back(&row);
  }
  NS_ASSIGN_OR_RETURN(
      auto writer, session_->Insert({"breaches",
                                     {"breach_id", "site", "router", "name", "quota_id", "period",
                                      "period_start", "time_zone", "basis", "limit_bytes",
                                      "threshold_percent", "used_upload", "used_download",
                                      "crossed_at_us", "delivery", "delivery_detail"}}));
  for (const BreachRow* row : fresh) {
    writer->Text(row->breach_id);
    writer->Text(row->subscriber.site.value());
    writer->Text(row->subscriber.router.value());
    writer->Bytes(row->subscriber.name);
    writer->Text(row->quota_id);
    writer->Int(row->period);
    writer->Text(DayText(row->period_start));
    writer->Text(row->time_zone);
    writer->Int(row->basis);
    writer->Uint(row->limit_bytes);
    writer->Int(row->threshold_percent);
    writer->Traffic(row->used);
    writer->Int(row->crossed_at_us);
    writer->Int(1);
    writer->Text("");
    NS_RETURN_IF_ERROR(writer->EndRow());
  }
  NS_RETURN_IF_ERROR(writer->Finish());
  // In the order of the batch: outbox ids order the alerts of one subscriber and quota.
  NS_ASSIGN_OR_RETURN(auto outbox,
                      session_->Insert({"outbox", {"breach_id", "owner", "claimed_until_us"}}));
  for (const BreachRow* row : fresh) {
    outbox->Text(row->breach_id);
    outbox->Text("");
    outbox->Int(0);
    NS_RETURN_IF_ERROR(outbox->EndRow());
  }
  return outbox->Finish();
}

}  // namespace netsentinel::store
