// Reading back what flushes and commits have written.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

// Rows of one answer: what bounds its memory and the time until the caller is asked again.
constexpr std::size_t kSmallRows = 20'000;
constexpr std::size_t kJournalRows = 2'000;

// First slices of parts behind a place. (key, key, part, kCheckpointSlice)
constexpr char kPartsBehind[] =
    " FROM checkpoints WHERE state_key >= ? AND (state_key > ? OR part > ?) AND part < ?"
    " ORDER BY state_key, part LIMIT ";

}  // namespace

absl::StatusOr<RecoveredState> SqlStore::Recover(BetweenSlices between) {
  NS_RETURN_IF_ERROR(AwaitWriters());
  RecoveredState state;
  NS_RETURN_IF_ERROR(RecoverQueues(state, between));
  NS_RETURN_IF_ERROR(RecoverSubscribers(state, between));
  NS_RETURN_IF_ERROR(Read([&] { return RecoverCounters(state); }));
  NS_RETURN_IF_ERROR(Read([&] { return RecoverDays(state); }));
  return state;
}

absl::StatusOr<std::vector<CheckpointPart>> SqlStore::Checkpoints(const CheckpointPlace& after,
                                                                  std::size_t payload_bytes) {
  std::vector<CheckpointPart> page;
  NS_RETURN_IF_ERROR(Read([&]() -> absl::Status {
    page.clear();
    NS_ASSIGN_OR_RETURN(const std::size_t count, CheckpointsOfPage(after, payload_bytes));
    if (count == 0) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query(absl::StrCat("SELECT state_key, part, payload",
                                                                kPartsBehind, count),
                                                   {Bytes(after.state_key), Bytes(after.state_key),
                                                    Int(after.part), Int(kCheckpointSlice)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      page.push_back({rows->String(0), static_cast<std::uint32_t>(rows->Int(1)), rows->String(2)});
    }
    rows.reset();
    return AppendSlices(page, after.state_key.empty());
  }));
  return page;
}

// How many parts make a page: the sizes are looked at before anything is loaded.
absl::StatusOr<std::size_t> SqlStore::CheckpointsOfPage(const CheckpointPlace& after,
                                                        std::size_t payload_bytes) {
  NS_ASSIGN_OR_RETURN(
      auto rows, session_->Query(absl::StrCat("SELECT LENGTH(payload)", kPartsBehind, kJournalRows),
                                 {Bytes(after.state_key), Bytes(after.state_key), Int(after.part),
                                  Int(kCheckpointSlice)}));
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return count;
    bytes += rows->Uint(0);
    if (count > 0 && bytes > payload_bytes) return count;
    ++count;
  }
}

// A part that was too long for one row has its rest in further ones.
absl::Status SqlStore::AppendSlices(std::vector<CheckpointPart>& parts, bool first_page) {
  NS_ASSIGN_OR_RETURN(const std::uint64_t sliced, Counter(kSlicedCounter));
  if (sliced == 0) return absl::OkStatus();
  if (first_page) {
    NS_ASSIGN_OR_RETURN(
        auto lost,
        session_->Query("SELECT s.state_key, s.part FROM checkpoints s WHERE s.part >= ? AND NOT"
                        " EXISTS (SELECT 1 FROM checkpoints f WHERE f.state_key = s.state_key AND"
                        " f.part = s.part % ?) LIMIT 1",
                        {Int(kCheckpointSlice), Int(kCheckpointSlice)}));
    NS_ASSIGN_OR_RETURN(const bool found, lost->Next());
    if (found) {
      return absl::DataLossError(absl::StrCat("checkpoint ", lost->String(0),
                                              " has lost the begin of part ",
                                              lost->Int(1) % kCheckpointSlice));
    }
  }
  for (CheckpointPart& part : parts) {
    NS_ASSIGN_OR_RETURN(auto rows,
                        session_->Query("SELECT payload FROM checkpoints WHERE state_key = ? AND"
                                        " part >= ? AND part % ? = ? ORDER BY part",
                                        {Bytes(part.state_key), Int(kCheckpointSlice),
                                         Int(kCheckpointSlice), Int(part.part)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      part.payload.append(rows->String(0));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<JournalRow>> SqlStore::Journal(std::uint64_t after,
                                                          std::size_t payload_bytes) {
  std::vector<JournalRow> page;
  NS_RETURN_IF_ERROR(Read([&]() -> absl::Status {
    page.clear();
    NS_ASSIGN_OR_RETURN(const std::uint64_t last, EndOfPage(after, payload_bytes));
    NS_ASSIGN_OR_RETURN(
        auto rows,
        session_->Query("SELECT journal_id, router, menu, lease_epoch, spool_uuid, seq,"
                        " previous_seq, attribution_us, received_us, payload FROM journal"
                        " WHERE journal_id > ? AND journal_id <= ? ORDER BY journal_id",
                        {Uint(after), Uint(last)}));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      JournalRow row;
      row.journal_id = rows->Uint(0);
      row.router = base::RouterId(rows->String(1));
      row.menu = static_cast<counters::Menu>(rows->Int(2));
      row.position = {rows->Uint(3), rows->String(4), rows->Uint(5)};
      row.previous_sequence = rows->Uint(6);
      row.attribution_us = rows->Int(7);
      row.received_us = rows->Int(8);
      row.payload = rows->String(9);
      page.push_back(std::move(row));
    }
  }));
  return page;
}

// The last row of a page: the sizes are looked at before anything is loaded.
absl::StatusOr<std::uint64_t> SqlStore::EndOfPage(std::uint64_t after, std::size_t payload_bytes) {
  NS_ASSIGN_OR_RETURN(
      auto rows, session_->Query(absl::StrCat("SELECT journal_id, LENGTH(payload) FROM journal"
                                              " WHERE journal_id > ? ORDER BY journal_id LIMIT ",
                                              kJournalRows),
                                 {Uint(after)}));
  std::uint64_t last = after;
  std::uint64_t bytes = 0;
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return last;
    bytes += rows->Uint(1);
    if (last != after && bytes > payload_bytes) return last;
    last = rows->Uint(0);
  }
}

absl::Status SqlStore::RecoverQueues(RecoveredState& state, BetweenSlices between) {
  std::uint64_t last = 0;
  for (std::size_t count = kSmallRows; count == kSmallRows;) {
    const std::size_t before = state.queues.size();
    NS_RETURN_IF_ERROR(Read([&]() -> absl::Status {
      state.queues.resize(before);
      NS_ASSIGN_OR_RETURN(
          auto rows, session_->Query(absl::StrCat("SELECT queue_id, router, menu, name FROM queues"
                                                  " WHERE queue_id > ? ORDER BY queue_id LIMIT ",
                                                  kSmallRows),
                                     {Uint(last)}));
      for (;;) {
        NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
        if (!found) return absl::OkStatus();
        state.queues.push_back({rows->Uint(0),
                                {base::RouterId(rows->String(1)),
                                 static_cast<counters::Menu>(rows->Int(2)), rows->String(3)}});
      }
    }));
    count = state.queues.size() - before;
    if (count > 0) last = state.queues.back().queue_id;
    NS_RETURN_IF_ERROR(between());
  }
  return absl::OkStatus();
}

absl::Status SqlStore::RecoverSubscribers(RecoveredState& state, BetweenSlices between) {
  std::uint64_t last = 0;
  for (std::size_t count = kSmallRows; count == kSmallRows;) {
    const std::size_t before = state.subscribers.size();
    NS_RETURN_IF_ERROR(Read([&]() -> absl::Status {
      state.subscribers.resize(before);
      NS_ASSIGN_OR_RETURN(
          auto rows,
          session_->Query(absl::StrCat("SELECT subscriber_id, site, router, name FROM subscribers"
                                       " WHERE subscriber_id > ? ORDER BY subscriber_id LIMIT ",
                                       kSmallRows),
                          {Uint(last)}));
      for (;;) {
        NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
        if (!found) return absl::OkStatus();
        state.subscribers.push_back(
            {rows->Uint(0),
             {base::SiteId(rows->String(1)), base::RouterId(rows->String(2)), rows->String(3)}});
      }
    }));
    count = state.subscribers.size() - before;
    if (count > 0) last = state.subscribers.back().subscriber_id;
    NS_RETURN_IF_ERROR(between());
  }
  return absl::OkStatus();
}

// Where the numbering goes on.
absl::Status SqlStore::RecoverCounters(RecoveredState& state) {
  std::uint64_t newest = 0;
  for (const char* table : {"watermarks", "journal"}) {
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query(absl::StrCat(
                                       "SELECT COALESCE(MAX(journal_id), 0) FROM ", table)));
    NS_RETURN_IF_ERROR(rows->Next().status());
    newest = std::max(newest, rows->Uint(0));
  }
  state.next_journal_id = newest + 1;
  NS_ASSIGN_OR_RETURN(const std::uint64_t queue_id, Counter("next_queue_id"));
  NS_ASSIGN_OR_RETURN(const std::uint64_t subscriber_id, Counter("next_subscriber_id"));
  state.next_queue_id = std::max<std::uint64_t>(queue_id, 1);
  state.next_subscriber_id = std::max<std::uint64_t>(subscriber_id, 1);
  return absl::OkStatus();
}

absl::Status SqlStore::RecoverDays(RecoveredState& state) {
  state.closed_days.clear();
  NS_ASSIGN_OR_RETURN(const std::int64_t now, Now());
  const absl::CivilDay today = absl::ToCivilDay(absl::FromUnixMicros(now), absl::UTCTimeZone());
  NS_ASSIGN_OR_RETURN(auto rows,
                      session_->Query("SELECT router, local_day, is_partial, closed_at_us"
                                      " FROM day_closes WHERE local_day >= ?"
                                      " ORDER BY router, local_day",
                                      {Text(DayText(today - 40))}));
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found) return absl::OkStatus();
    DayClose close;
    close.router = base::RouterId(rows->String(0));
    NS_ASSIGN_OR_RETURN(close.day, ParseDay(rows->String(1)));
    close.partial = rows->Int(2) != 0;
    close.closed_at_us = rows->Int(3);
    state.closed_days.push_back(std::move(close));
  }
}

absl::StatusOr<std::vector<Store::Watermark>> SqlStore::Watermarks() {
  std::vector<Watermark> result;
  NS_RETURN_IF_ERROR(Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows,
                        session_->Query("SELECT router, menu, lease_epoch, spool_uuid, seq"
                                        " FROM watermarks ORDER BY router, menu"));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      result.push_back({base::RouterId(rows->String(0)),
                        static_cast<counters::Menu>(rows->Int(1)),
                        {rows->Uint(2), rows->String(3), rows->Uint(4)}});
    }
  }));
  return result;
}

}  // namespace netsentinel::store
