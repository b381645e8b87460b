// Outbox, breaches, epochs, events, holds.
#include <limits>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/sql_store.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr int kOutboxPage = 500;

constexpr char kBreachColumns[] =
    "b.breach_id, b.site, b.router, b.name, b.quota_id, b.period, b.period_start, b.time_zone,"
    " b.basis, b.limit_bytes, b.threshold_percent, b.used_upload, b.used_download,"
    " b.crossed_at_us, b.delivery, b.delivery_detail";
constexpr int kBreachColumnCount = 16;

absl::StatusOr<BreachRow> ReadBreach(const SqlRows& rows) {
  BreachRow row;
  row.breach_id = rows.String(0);
  row.subscriber = {base::SiteId(rows.String(1)), base::RouterId(rows.String(2)), rows.String(3)};
  row.quota_id = rows.String(4);
  row.period = static_cast<std::uint8_t>(rows.Int(5));
  NS_ASSIGN_OR_RETURN(row.period_start, ParseDay(rows.String(6)));
  row.time_zone = rows.String(7);
  row.basis = static_cast<std::uint8_t>(rows.Int(8));
  row.limit_bytes = rows.Uint(9);
  row.threshold_percent = static_cast<std::uint32_t>(rows.Int(10));
  row.used = {rows.Uint(11), rows.Uint(12)};
  row.crossed_at_us = rows.Int(13);
  row.delivery = static_cast<std::uint8_t>(rows.Int(14));
  row.delivery_detail = rows.String(15);
  return row;
}

absl::Status ReadBreaches(SqlRows& rows, std::vector<BreachRow>& out) {
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, rows.Next());
    if (!found) return absl::OkStatus();
    NS_ASSIGN_OR_RETURN(BreachRow row, ReadBreach(rows));
    out.push_back(std::move(row));
  }
}

// Which rows an owner may have, in order of outbox id.
class ClaimPicker {
 public:
  ClaimPicker(const std::string& owner, std::int64_t now, std::size_t limit)
      : owner_(owner), now_(now), limit_(limit) {}

  void Offer(OutboxClaim claim, const std::string& claimed_by, std::int64_t until_us) {
    const Pair pair{claim.breach.subscriber, claim.breach.quota_id};
    // A claim of a clock that has been set back since is none.
    const bool lasts = until_us > now_ && until_us - now_ <= kLongestHoldUs;
    const bool anothers = !claimed_by.empty() && claimed_by != owner_ && lasts;
    if (anothers) blocked_.insert(pair);
    if (blocked_.count(pair) == 0 && !full()) picked_.push_back(std::move(claim));
  }
  bool full() const { return picked_.size() >= limit_; }
  std::vector<OutboxClaim>& picked() { return picked_; }

 private:
  using Pair = std::pair<accounting::SubscriberKey, std::string>;
  const std::string& owner_;
  std::int64_t now_;
  std::size_t limit_;
  std::set<Pair> blocked_;
  std::vector<OutboxClaim> picked_;
};

absl::Status PickClaims(SqlSession& session, ClaimPicker& picker) {
  std::int64_t last = 0;
  for (int count = kOutboxPage; count == kOutboxPage && !picker.full();) {
    NS_ASSIGN_OR_RETURN(
        auto rows,
        session.Query(
            absl::StrCat("SELECT ", kBreachColumns, ", o.outbox_id, o.owner, o.claimed_until_us",
                         " FROM outbox o JOIN breaches b ON b.breach_id = o.breach_id",
                         " WHERE o.outbox_id > ? ORDER BY o.outbox_id LIMIT ", kOutboxPage,
                         ForUpdate(session.dialect())),
            {Int(last)}));
    for (count = 0;; ++count) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) break;
      OutboxClaim claim;
      NS_ASSIGN_OR_RETURN(claim.breach, ReadBreach(*rows));
      last = rows->Int(kBreachColumnCount);
      claim.outbox_id = static_cast<std::uint64_t>(last);
      picker.Offer(std::move(claim), rows->String(kBreachColumnCount + 1),
                   rows->Int(kBreachColumnCount + 2));
    }
  }
  return absl::OkStatus();
}

// Runs `sql` with each `?…` list of at most kConditions ids after the leading values.
absl::Status ForEachChunk(SqlSession& session, absl::string_view head,
                          const std::vector<SqlValue>& leading, const std::vector<SqlValue>& ids) {
  for (std::size_t begin = 0; begin < ids.size(); begin += kConditions) {
    const std::size_t count = std::min(kConditions, ids.size() - begin);
    std::vector<SqlValue> values = leading;
    for (std::size_t i = 0; i < count; ++i) values.push_back(ids[begin + i]);
    NS_RETURN_IF_ERROR(
        session.Execute(absl::StrCat(head, " IN (", Repeat("?", ",", count), ")"), values));
  }
  return absl::OkStatus();
}

absl::Status CheckOwner(const std::string& owner) {
  if (!owner.empty() && owner.size() <= kMaxHolderBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the owner's name has ", owner.size(),
                                                 " bytes, 1 to ", kMaxHolderBytes, " are allowed"));
}

}  // namespace

absl::StatusOr<std::vector<OutboxClaim>> SqlStore::ClaimOutbox(Fence fence,
                                                               const std::string& owner,
                                                               absl::Duration claim_for,
                                                               std::size_t limit) {
  NS_RETURN_IF_ERROR(CheckOwner(owner));
  std::vector<OutboxClaim> result;
  const absl::Status done = Write(fence, [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const std::int64_t now, Now());
    ClaimPicker picker(owner, now, limit);
    NS_RETURN_IF_ERROR(PickClaims(*session_, picker));
    std::vector<SqlValue> ids;
    for (const OutboxClaim& claim : picker.picked()) ids.push_back(Uint(claim.outbox_id));
    NS_RETURN_IF_ERROR(
        ForEachChunk(*session_, "UPDATE outbox SET owner = ?, claimed_until_us = ? WHERE outbox_id",
                     {Text(owner), Int(now + absl::ToInt64Microseconds(claim_for))}, ids));
    result = std::move(picker.picked());
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::Status SqlStore::FinishOutbox(Fence fence, const std::string& owner,
                                    const std::vector<OutboxResult>& results) {
  NS_RETURN_IF_ERROR(CheckOwner(owner));
  std::map<std::uint64_t, const OutboxResult*> wanted;
  for (const OutboxResult& result : results) {
    if (result.delivery != 2 && result.delivery != 3) {
      return absl::InvalidArgumentError(absl::StrCat("outbox row ", result.outbox_id,
                                                     ": delivery is ", int{result.delivery},
                                                     ", 2 or 3 are allowed"));
    }
    wanted[result.outbox_id] = &result;
  }
  return Write(fence, [&]() -> absl::Status {
    // Usually all have one outcome, so one statement each serves them.
    std::map<std::pair<std::uint8_t, std::string>, std::vector<std::string>> outcomes;
    std::vector<SqlValue> done;
    std::vector<std::uint64_t> ids;
    ids.reserve(wanted.size());
    for (const auto& [id, result] : wanted) ids.push_back(id);
    for (std::size_t begin = 0; begin < ids.size(); begin += kConditions) {
      const std::size_t count = std::min(kConditions, ids.size() - begin);
      std::vector<SqlValue> values = {Text(owner)};
      for (std::size_t i = 0; i < count; ++i) values.push_back(Uint(ids[begin + i]));
      NS_ASSIGN_OR_RETURN(
          auto rows,
          session_->Query(
              absl::StrCat("SELECT outbox_id, breach_id FROM outbox WHERE owner = ? AND outbox_id",
                           " IN (", Repeat("?", ",", count), ")", ForUpdate(session_->dialect())),
              values));
      for (;;) {
        NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
        if (!found) break;
        const OutboxResult& result = *wanted[rows->Uint(0)];
        outcomes[{result.delivery, StorableText(result.detail)}].push_back(rows->String(1));
        done.push_back(Uint(rows->Uint(0)));
      }
    }
    for (const auto& [outcome, breach_ids] : outcomes) {
      std::vector<SqlValue> values;
      for (const std::string& id : breach_ids) values.push_back(Text(id));
      NS_RETURN_IF_ERROR(ForEachChunk(
          *session_, "UPDATE breaches SET delivery = ?, delivery_detail = ? WHERE breach_id",
          {Int(outcome.first), Text(outcome.second)}, values));
    }
    return ForEachChunk(*session_, "DELETE FROM outbox WHERE outbox_id", {}, done);
  });
}

namespace {

// " WHERE a AND b"; nothing without conditions.
std::string Where(const std::vector<std::string>& conditions) {
  if (conditions.empty()) return "";
  return absl::StrCat(" WHERE ", absl::StrJoin(conditions, " AND "));
}

void AddTimes(const char* column, std::int64_t from_us, std::int64_t to_us,
              std::vector<std::string>& conditions, std::vector<SqlValue>& values) {
  if (from_us != std::numeric_limits<std::int64_t>::min()) {
    conditions.push_back(absl::StrCat(column, " >= ?"));
    values.push_back(Int(from_us));
  }
  if (to_us != std::numeric_limits<std::int64_t>::max()) {
    conditions.push_back(absl::StrCat(column, " < ?"));
    values.push_back(Int(to_us));
  }
}

}  // namespace

absl::StatusOr<std::uint64_t> SqlStore::CountMatching(absl::string_view rows,
                                                      const std::vector<SqlValue>& values) {
  NS_ASSIGN_OR_RETURN(auto answer,
                      session_->Query(absl::StrCat("SELECT COUNT(*) FROM (SELECT 1 AS one ", rows,
                                                   " LIMIT ", kMostMatching, ") m"),
                                      values));
  NS_ASSIGN_OR_RETURN(const bool found, answer->Next());
  return found ? answer->Uint(0) : 0;
}

absl::StatusOr<BreachList> SqlStore::Breaches(const BreachFilter& filter, std::size_t limit) {
  std::vector<std::string> conditions;
  std::vector<SqlValue> values;
  if (!filter.site.empty()) {
    conditions.emplace_back("b.site = ?");
    values.push_back(Text(filter.site.value()));
  }
  if (!filter.router.empty()) {
    conditions.emplace_back("b.router = ?");
    values.push_back(Text(filter.router.value()));
  }
  if (!filter.name.empty()) {
    conditions.emplace_back("b.name = ?");
    values.push_back(Bytes(filter.name));
  }
  AddTimes("b.crossed_at_us", filter.from_us, filter.to_us, conditions, values);
  const std::string from = absl::StrCat("FROM breaches b", Where(conditions));
  BreachList result;
  const absl::Status done = Read([&]() -> absl::Status {
    result = {};
    NS_ASSIGN_OR_RETURN(result.matching, CountMatching(from, values));
    std::vector<SqlValue> limited = values;
    limited.push_back(Uint(limit));
    NS_ASSIGN_OR_RETURN(
        auto rows,
        session_->Query(absl::StrCat("SELECT ", kBreachColumns, " ", from,
                                     " ORDER BY b.crossed_at_us DESC, b.breach_id LIMIT ?"),
                        limited));
    return ReadBreaches(*rows, result.breaches);
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<BreachRow>> SqlStore::BreachesSince(absl::CivilDay period_start) {
  std::vector<BreachRow> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows,
                        session_->Query(absl::StrCat("SELECT ", kBreachColumns, " FROM breaches b",
                                                     " WHERE b.period_start >= ?",
                                                     " ORDER BY b.crossed_at_us, b.breach_id"),
                                        {Text(DayText(period_start))}));
    return ReadBreaches(*rows, result);
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<accounting::HoldRecord>> SqlStore::OpenHolds() {
  std::vector<accounting::HoldRecord> result;
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows,
                        session_->Query("SELECT router, menu, queue, since_us, before_upload,"
                                        " before_download, held_upload, held_download FROM holds"
                                        " ORDER BY router, menu, queue"));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      accounting::HoldRecord hold;
      hold.queue = {base::RouterId(rows->String(0)), static_cast<counters::Menu>(rows->Int(1)),
                    rows->String(2)};
      hold.since_us = rows->Int(3);
      NS_ASSIGN_OR_RETURN(hold.before.upload, ParseCounter(rows->String(4)));
      NS_ASSIGN_OR_RETURN(hold.before.download, ParseCounter(rows->String(5)));
      NS_ASSIGN_OR_RETURN(hold.held.upload, ParseCounter(rows->String(6)));
      NS_ASSIGN_OR_RETURN(hold.held.download, ParseCounter(rows->String(7)));
      result.push_back(std::move(hold));
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::vector<accounting::EpochRecord>> SqlStore::Epochs(
    absl::Span<const accounting::QueueKey> queues, std::int64_t from_us, std::int64_t to_us,
    std::size_t limit) {
  static_assert(kMaxEpochQueues <= kConditions);
  if (queues.size() > kMaxEpochQueues) {
    return absl::InvalidArgumentError(absl::StrCat("epochs of ", queues.size(),
                                                   " queues asked for, at most ", kMaxEpochQueues,
                                                   " are given at a time"));
  }
  std::vector<accounting::EpochRecord> result;
  if (queues.empty() || limit == 0) return result;
  std::vector<SqlValue> values;
  for (const accounting::QueueKey& queue : queues) {
    values.insert(values.end(), {Text(queue.router.value()), Int(MenuNumber(queue.menu)),
                                 Bytes(queue.name), Int(from_us), Int(to_us)});
  }
  values.push_back(Uint(limit));
  const std::string sql = absl::StrCat(
      "SELECT router, menu, queue, row_id, start_us, reason FROM epochs WHERE ",
      Repeat("(router = ? AND menu = ? AND queue = ? AND start_us >= ? AND start_us < ?)", " OR ",
             queues.size()),
      " ORDER BY router, menu, queue, start_us, epoch_id LIMIT ?");
  const absl::Status done = Read([&]() -> absl::Status {
    result.clear();
    NS_ASSIGN_OR_RETURN(auto rows, session_->Query(sql, values));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      result.push_back({{base::RouterId(rows->String(0)), static_cast<counters::Menu>(rows->Int(1)),
                         rows->String(2)},
                        rows->Uint(3),
                        rows->Int(4),
                        static_cast<accounting::EpochReason>(rows->Int(5))});
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<EventList> SqlStore::Events(const EventFilter& filter, std::size_t limit) {
  if (filter.routers.size() > kMaxFilterRouters) {
    return absl::InvalidArgumentError(absl::StrCat("events of ", filter.routers.size(),
                                                   " routers asked for, at most ",
                                                   kMaxFilterRouters, " are looked for at a time"));
  }
  std::vector<std::string> conditions;
  std::vector<SqlValue> values;
  if (!filter.routers.empty()) {
    conditions.push_back(absl::StrCat("router IN (", Repeat("?", ",", filter.routers.size()), ")"));
    for (const base::RouterId& router : filter.routers) values.push_back(Text(router.value()));
  }
  AddTimes("at_us", filter.from_us, filter.to_us, conditions, values);
  if (filter.before_id != 0) {
    conditions.emplace_back("event_id < ?");
    values.push_back(Uint(filter.before_id));
  }
  const std::string from = absl::StrCat("FROM events", Where(conditions));
  EventList result;
  const absl::Status done = Read([&]() -> absl::Status {
    result = {};
    NS_ASSIGN_OR_RETURN(result.matching, CountMatching(from, values));
    std::vector<SqlValue> limited = values;
    limited.push_back(Uint(limit));
    NS_ASSIGN_OR_RETURN(
        auto rows, session_->Query(absl::StrCat("SELECT event_id, at_us, router, menu, queue, kind,"
                                                " detail ",
                                                from, " ORDER BY event_id DESC LIMIT ?"),
                                   limited));
    for (;;) {
      NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
      if (!found) return absl::OkStatus();
      result.events.push_back({rows->Uint(0),
                               {rows->Int(1), base::RouterId(rows->String(2)),
                                static_cast<counters::Menu>(rows->Int(3)), rows->String(4),
                                rows->String(5), rows->String(6)}});
    }
  });
  NS_RETURN_IF_ERROR(done);
  return result;
}

absl::StatusOr<std::size_t> SqlStore::PurgeHistory(Fence fence, std::int64_t before_us,
                                                   std::size_t limit) {
  struct Part {
    const char* select;
    const char* remove;
    bool numbers;
  };
  constexpr Part kParts[] = {
      {"SELECT event_id FROM events WHERE at_us < ? ORDER BY at_us LIMIT ?",
       "DELETE FROM events WHERE event_id", true},
      {"SELECT epoch_id FROM epochs WHERE start_us < ? ORDER BY start_us LIMIT ?",
       "DELETE FROM epochs WHERE epoch_id", true},
      {"SELECT breach_id FROM breaches WHERE crossed_at_us < ? AND delivery <> 1"
       " ORDER BY crossed_at_us LIMIT ?",
       "DELETE FROM breaches WHERE breach_id", false},
  };
  std::size_t gone = 0;
  const absl::Status done = Write(fence, [&]() -> absl::Status {
    gone = 0;
    for (const Part& part : kParts) {
      std::vector<std::string> texts;
      std::vector<SqlValue> ids;
      {
        NS_ASSIGN_OR_RETURN(auto rows, session_->Query(part.select, {Int(before_us), Uint(limit)}));
        for (;;) {
          NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
          if (!found) break;
          if (part.numbers) {
            ids.push_back(Int(rows->Int(0)));
          } else {
            texts.push_back(rows->String(0));
          }
        }
      }
      for (const std::string& id : texts) ids.push_back(Text(id));
      NS_RETURN_IF_ERROR(ForEachChunk(*session_, part.remove, {}, ids));
      gone += ids.size();
    }
    return absl::OkStatus();
  });
  NS_RETURN_IF_ERROR(done);
  return gone;
}

}  // namespace netsentinel::store
