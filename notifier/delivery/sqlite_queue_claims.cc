// Deliveries of the queue: claimed, finished, and taken out of the way where they are damaged.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "notifier/delivery/sqlite_delivery_queue.h"
#include "notifier/delivery/sqlite_queue_rows.h"

namespace netsentinel::delivery {
namespace {

constexpr std::int64_t kDayUs = 86'400'000'000;
constexpr std::int64_t kPassingStepUs = 10'000'000;
constexpr absl::Duration kToldAnewFor = absl::Hours(5 * 24);

}  // namespace

absl::Status SqliteDeliveryQueue::ReleaseClaims(absl::Time now) {
  base::MutexLock lock(mutex_);
  return Note(ReleaseLocked(now));
}

absl::Status SqliteDeliveryQueue::ReleaseLocked(absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(sqlite::Statement cut_off,
                      database_->Prepare("SELECT row, attempts FROM deliveries "
                                         "WHERE status = 1 AND claimed = 1"));
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement release,
      database_->Prepare("UPDATE deliveries SET claimed = 0, next_us = ? WHERE row = ?"));
  std::vector<std::pair<std::int64_t, int>> rows;
  while (true) {
    NS_ASSIGN_OR_RETURN(const bool row, cut_off.Step());
    if (!row) break;
    rows.emplace_back(cut_off.Int(0), static_cast<int>(cut_off.Int(1)));
  }
  for (const auto& [row, attempts] : rows) {
    release.BindInt(1, Us(now + PlanAfterCrash(attempts, policy_)));
    release.BindInt(2, row);
    NS_RETURN_IF_ERROR(release.Run());
  }
  return transaction.Commit();
}

absl::Status SqliteDeliveryQueue::Hasten(const std::string& channel, absl::Time now) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Statement update,
                      database_->Prepare("UPDATE deliveries SET next_us = ?1 WHERE status = 1 AND "
                                         "channel = ?2 AND next_us > ?1"));
  update.BindInt(1, Us(now));
  update.BindText(2, channel);
  return Note(update.Run());
}

absl::Status SqliteDeliveryQueue::TellAnew(const std::vector<std::string>& recipients,
                                           absl::Time now) {
  base::MutexLock lock(mutex_);
  return Note(TellAnewLocked(recipients, now));
}

absl::Status SqliteDeliveryQueue::TellAnewLocked(const std::vector<std::string>& recipients,
                                                 absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare("SELECT l.id, d.recipient, d.status FROM letters l JOIN deliveries d ON "
                         "d.letter = l.id WHERE l.is_alert = 1 AND l.made_us >= ? AND NOT EXISTS "
                         "(SELECT 1 FROM deliveries g WHERE g.letter = l.id AND g.status = 2) "
                         "ORDER BY l.made_us, l.id"));
  select.BindInt(1, Us(now - kToldAnewFor));
  std::vector<std::string> letters;
  bool expected = false;  // by somebody, the mail at the end of `letters`
  while (true) {
    NS_ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found || letters.empty() || letters.back() != select.Text(0)) {
      if (expected) letters.pop_back();
      if (!found || letters.size() == kToldAnewAtOnce) break;
      letters.push_back(select.Text(0));
      expected = false;
    }
    const bool waits = select.Int(2) == static_cast<std::int64_t>(Status::kWaiting);
    expected = expected || (waits && std::find(recipients.begin(), recipients.end(),
                                               select.Text(1)) != recipients.end());
  }
  select.Reset();
  if (letters.empty()) return absl::OkStatus();
  for (const std::string& letter : letters) NS_RETURN_IF_ERROR(TakeApart(letter));
  NS_RETURN_IF_ERROR(transaction.Commit());
  ++alert_changes_;
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::TakeApart(const std::string& letter) {
  for (const absl::string_view sql :
       {"DELETE FROM deliveries WHERE letter = ?", "DELETE FROM letters WHERE id = ?",
        "DELETE FROM windows WHERE site IN (SELECT site FROM breaches WHERE letter = ?)",
        "UPDATE breaches SET letter = NULL WHERE letter = ?"}) {
    NS_ASSIGN_OR_RETURN(sqlite::Statement statement, database_->Prepare(sql));
    statement.BindText(1, letter);
    NS_RETURN_IF_ERROR(statement.Run());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Task>> SqliteDeliveryQueue::Claim(const std::string& channel,
                                                               absl::Time now) {
  base::MutexLock lock(mutex_);
  return Note(ClaimLocked(channel, now));
}

absl::StatusOr<std::optional<Task>> SqliteDeliveryQueue::ClaimLocked(const std::string& channel,
                                                                     absl::Time now) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare(absl::StrCat(
          "SELECT ", DeliveryColumns(kSchemaVersion),
          ", coalesce((SELECT passing_us FROM passing p WHERE p.channel = deliveries.channel), 0) "
          "FROM deliveries WHERE status = 1 AND claimed = 0 AND channel = ? AND "
          "(next_us <= ? OR next_us > ?) ORDER BY priority, next_us, row LIMIT 1")));
  // Each turn but the last takes a damaged one out of the way.
  while (true) {
    select.Reset();
    select.BindText(1, channel);
    select.BindInt(2, Us(now));
    // Further away than any plan reaches: set before the clock stepped back.
    select.BindInt(3, Us(now + policy_.maximum + policy_.slow));
    NS_ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found) return std::optional<Task>();
    const DeliveryRow row = ReadDelivery(select, kSchemaVersion);
    const std::int64_t passing_us = select.Int(16) - row.first_passing_us;
    select.Reset();
    if (!row.sound) {
      NS_RETURN_IF_ERROR(ParkDamaged(row.id, row.row, now));
      continue;
    }
    NS_ASSIGN_OR_RETURN(std::optional<channel::Letter> letter, SoundLetter(row.letter));
    if (!letter.has_value()) {
      NS_RETURN_IF_ERROR(SetLetterAside(row.letter, now));
      continue;
    }
    Task task{.row = row.row,
              .delivery_id = row.id,
              .letter = *std::move(letter),
              .recipient = row.recipient,
              .attempts = static_cast<int>(row.attempts) + 1};
    if (row.first_try_us != 0) {
      task.first_try = absl::FromUnixMicros(row.first_try_us);
      task.passing = absl::Microseconds(std::max<std::int64_t>(0, passing_us));
    }
    NS_ASSIGN_OR_RETURN(
        sqlite::Statement claim,
        database_->Prepare("UPDATE deliveries SET claimed = 1, attempts = ? WHERE row = ?"));
    claim.BindInt(1, task.attempts);
    claim.BindInt(2, task.row);
    NS_RETURN_IF_ERROR(claim.Run());
    return std::optional<Task>(std::move(task));
  }
}

absl::StatusOr<std::optional<channel::Letter>> SqliteDeliveryQueue::SoundLetter(
    const std::string& id) {
  NS_ASSIGN_OR_RETURN(sqlite::Statement select,
                      database_->Prepare(absl::StrCat("SELECT ", LetterColumns(kSchemaVersion),
                                                      " FROM letters WHERE id = ?")));
  select.BindText(1, id);
  NS_ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) return std::optional<channel::Letter>();
  LetterRow row = ReadLetter(select, kSchemaVersion);
  if (!row.sound) return std::optional<channel::Letter>();
  return std::optional<channel::Letter>(std::move(row.letter));
}

absl::Status SqliteDeliveryQueue::ParkDamaged(const std::string& id, std::int64_t row,
                                              absl::Time now) {
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement park,
      database_->Prepare("UPDATE deliveries SET status = 3, done_us = ?, detail = 'the stored row "
                         "is damaged, its checksum does not fit; not sent' WHERE row = ?"));
  park.BindInt(1, Us(now));
  park.BindInt(2, row);
  NS_RETURN_IF_ERROR(park.Run());
  NS_RETURN_IF_ERROR(InsertSetAside(
      *database_, "delivery", id,
      absl::StrCat("delivery ", id, " is damaged: its checksum does not fit"), Us(now), ""));
  NS_RETURN_IF_ERROR(transaction.Commit());
  Tell(absl::StrCat("a stored delivery is damaged and was given up: ", base::DisplayName(id)));
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::SetLetterAside(const std::string& id, absl::Time now) {
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement told,
      database_->Prepare("SELECT EXISTS(SELECT 1 FROM breaches WHERE letter = ?1) AND NOT "
                         "EXISTS(SELECT 1 FROM deliveries WHERE letter = ?1 AND status = 2)"));
  told.BindText(1, id);
  NS_ASSIGN_OR_RETURN(const bool row, told.Step());
  const bool again = row && told.Int(0) != 0;
  told.Reset();
  std::string reason = absl::StrCat("the stored mail ", id, " is damaged: ");
  if (again) {
    // Nobody has it: its alerts, which have checksums of their own, make another one.
    absl::StrAppend(&reason, "it is made anew from its alerts");
    NS_RETURN_IF_ERROR(TakeApart(id));
  } else {
    absl::StrAppend(&reason, "it is not sent to those who have not got it");
    NS_ASSIGN_OR_RETURN(
        sqlite::Statement park,
        database_->Prepare("UPDATE deliveries SET status = 3, claimed = 0, done_us = ?, detail = "
                           "'the stored mail is damaged; not sent' WHERE letter = ? AND "
                           "status = 1"));
    park.BindInt(1, Us(now));
    park.BindText(2, id);
    NS_RETURN_IF_ERROR(park.Run());
  }
  NS_RETURN_IF_ERROR(InsertSetAside(*database_, "letter", id, reason, Us(now), ""));
  NS_RETURN_IF_ERROR(transaction.Commit());
  if (again) ++alert_changes_;
  Tell(std::move(reason));
  return absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::Finish(const TaskResult& result) {
  base::MutexLock lock(mutex_);
  return Note(FinishLocked(result));
}

absl::Status SqliteDeliveryQueue::FinishLocked(const TaskResult& result) {
  NS_RETURN_IF_ERROR(Usable());
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement update,
      database_->Prepare(absl::StrCat(
          "UPDATE deliveries SET claimed = 0, status = ?, next_us = ?, done_us = ?, detail = ?, "
          "attempts = attempts - ?, first_try_us = iif(first_try_us = 0, ?6, first_try_us), "
          "first_passing_us = iif(first_try_us = 0 AND ?6 <> 0, coalesce((SELECT passing_us + "
          "max(0, min(?7 - passed_us, ",
          kDayUs,
          ")) FROM passing p "
          "WHERE p.channel = deliveries.channel), 0), first_passing_us) WHERE row = ?8")));
  const bool again = result.next.step == Step::kTryAgain;
  const Status status = again                             ? Status::kWaiting
                        : result.next.step == Step::kDone ? Status::kDelivered
                                                          : Status::kParked;
  update.BindInt(1, static_cast<std::int64_t>(status));
  update.BindInt(2, Us(result.at + result.next.delay));
  update.BindInt(3, again ? 0 : Us(result.at));
  update.BindText(4, result.detail);
  update.BindInt(5, result.next.counts ? 0 : 1);
  update.BindInt(6, result.next.counts ? Us(result.at) : 0);
  update.BindInt(7, Us(result.at));
  update.BindInt(8, result.row);
  NS_RETURN_IF_ERROR(update.Run());
  return status == Status::kDelivered ? AdvancePassing(result) : absl::OkStatus();
}

absl::Status SqliteDeliveryQueue::AdvancePassing(const TaskResult& result) {
  // Many mails at once cost one write.
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement passed,
      database_->Prepare(absl::StrCat(
          "INSERT INTO passing(channel, passing_us, passed_us) SELECT channel, 0, ? FROM "
          "deliveries WHERE row = ? ON CONFLICT(channel) DO UPDATE SET passing_us = passing_us + "
          "max(0, min(excluded.passed_us - passed_us, ",
          kDayUs, ")), passed_us = excluded.passed_us WHERE abs(excluded.passed_us - passed_us) > ",
          kPassingStepUs)));
  passed.BindInt(1, Us(result.at));
  passed.BindInt(2, result.row);
  return passed.Run();
}

}  // namespace netsentinel::delivery
