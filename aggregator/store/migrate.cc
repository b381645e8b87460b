#include "aggregator/store/migrate.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "aggregator/store/schema.h"
#include "aggregator/store/sql_text.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr absl::Duration kLeasePause = absl::Seconds(1);
constexpr absl::CivilDay kEpoch(1970, 1, 1);

using Permission = absl::FunctionRef<absl::Status(SqlSession&)>;

absl::StatusOr<std::int64_t> Scalar(SqlSession& session, absl::string_view sql) {
  NS_ASSIGN_OR_RETURN(std::unique_ptr<SqlRows> rows, session.Query(sql));
  NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
  if (!found) return absl::InternalError(absl::StrCat("no row for \"", sql, "\""));
  return rows->Int(0);
}

// How many tables have that name; with none given, how many there are.
absl::StatusOr<std::int64_t> CountTables(SqlSession& session, absl::string_view name) {
  const bool sqlite = session.dialect() == Dialect::kSqlite;
  return Scalar(session,
                absl::StrCat("SELECT COUNT(*) ",
                             sqlite ? "FROM sqlite_master WHERE type = 'table'"
                                      " AND name NOT LIKE 'sqlite_%'"
                                    : "FROM information_schema.tables"
                                      " WHERE table_schema = DATABASE()",
                             name.empty() ? ""
                                          : absl::StrCat(sqlite ? " AND name" : " AND table_name",
                                                         " = '", name, "'")));
}

// Claims a database that holds nothing yet.
absl::Status CreateVersions(SqlSession& session) {
  NS_ASSIGN_OR_RETURN(const std::int64_t ours, CountTables(session, "schema_version"));
  if (ours != 0) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(const std::int64_t foreign, CountTables(session, ""));
  if (foreign != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database holds ", foreign, " tables of something else: give NetSentinel",
                     " a database of its own, for example CREATE DATABASE netsentinel"));
  }
  return session.Execute(
      ExpandTypes("CREATE TABLE schema_version (version {u64} PRIMARY KEY,"
                  " applied_at_us {u64}){end}",
                  session.dialect()));
}

// True when an ALTER TABLE has been carried out before: a server that ends every transaction at a
// change of the schema can have died in the middle of a step.
absl::StatusOr<bool> IsAltered(SqlSession& session, const std::string& statement) {
  const std::vector<std::string> words = absl::StrSplit(statement, ' ');
  if (words.size() < 6 || words[0] != "ALTER") return false;
  const std::string& column = words[3] == "RENAME" ? words.back() : words[5];
  const std::string columns = session.dialect() == Dialect::kSqlite
                                  ? absl::StrCat("pragma_table_info('", words[2], "') WHERE name")
                                  : absl::StrCat(
                                        "information_schema.columns WHERE table_schema = DATABASE()"
                                        " AND table_name = '",
                                        words[2], "' AND column_name");
  NS_ASSIGN_OR_RETURN(
      const std::int64_t there,
      Scalar(session, absl::StrCat("SELECT COUNT(*) FROM ", columns, " = '", column, "'")));
  return there > 0;
}

// One change of the schema.
class Run {
 public:
  Run(SqlSession& session, const MigrationHooks& hooks, Permission go_on, bool fresh)
      : session_(session), hooks_(hooks), go_on_(go_on), fresh_(fresh) {}

  absl::Status Apply(const Migration& step) {
    step_ = absl::StrCat("the schema is being changed, step ", step.version, " of ",
                         NewestSchemaVersion());
    Tell(SchemaChange::Kind::kBegins, "");
    NS_RETURN_IF_ERROR(Transact([&] { return Statements(step); }));
    for (const DaySlices& slices : step.slices) {
      NS_RETURN_IF_ERROR(Slice(Mark(step, slices), slices));
    }
    NS_RETURN_IF_ERROR(Transact([&] { return End(step); }));
    Tell(SchemaChange::Kind::kDone, " is done");
    return absl::OkStatus();
  }

 private:
  static std::string Mark(const Migration& step, const DaySlices& slices) {
    return absl::StrCat("schema_", step.version, "_", slices.table);
  }

  void Tell(SchemaChange::Kind kind, absl::string_view more) {
    // Nobody waits for the tables of a new database.
    if (!fresh_) hooks_.tell({kind, absl::StrCat(step_, more)});
  }

  absl::Status GoOn() {
    if (hooks_.wait(absl::ZeroDuration())) return go_on_(session_);
    return absl::CancelledError(
        absl::StrCat("stopped while ", step_, "; the next start goes on with it"));
  }

  absl::Status Transact(absl::FunctionRef<absl::Status()> body) {
    NS_RETURN_IF_ERROR(session_.Begin());
    absl::Status status = GoOn();
    if (status.ok()) status = body();
    if (status.ok()) status = session_.Commit();
    if (!status.ok()) session_.Rollback();
    return status;
  }

  absl::Status Statements(const Migration& step) {
    for (const std::string& statement : step.statements) {
      NS_RETURN_IF_ERROR(GoOn());
      NS_ASSIGN_OR_RETURN(const bool altered, IsAltered(session_, statement));
      if (altered) continue;
      const absl::Status status = session_.Execute(ExpandTypes(statement, session_.dialect()));
      // CREATE INDEX has no form that both servers accept twice.
      if (!status.ok() && !absl::IsAlreadyExists(status)) return status;
    }
    if (step.version != 1) return absl::OkStatus();
    NS_RETURN_IF_ERROR(session_.Execute("DELETE FROM lease"));
    NS_RETURN_IF_ERROR(session_.Execute("DELETE FROM fence"));
    NS_RETURN_IF_ERROR(session_.Execute("INSERT INTO lease VALUES (1, '', 0, 0)"));
    return session_.Execute("INSERT INTO fence VALUES (1, 0)");
  }

  // Day by day from the one after that which a stop left noted under `mark`.
  absl::Status Slice(const std::string& mark, const DaySlices& slices) {
    NS_ASSIGN_OR_RETURN(
        const std::int64_t noted,
        Scalar(session_, absl::StrCat("SELECT COALESCE(MAX(value), 0) FROM counters WHERE name = '",
                                      mark, "'")));
    for (absl::CivilDay day = kEpoch + noted - 1;;) {
      NS_ASSIGN_OR_RETURN(const std::string next, NextDay(slices, day));
      if (next.empty()) return absl::OkStatus();
      NS_ASSIGN_OR_RETURN(day, ParseDay(next));
      Tell(SchemaChange::Kind::kGoesOn, absl::StrCat(": ", slices.table, " of ", next));
      NS_RETURN_IF_ERROR(Transact([&] { return OneDay(mark, slices, day); }));
    }
  }

  absl::Status OneDay(const std::string& mark, const DaySlices& slices, absl::CivilDay day) {
    const std::string text = DayText(day);
    for (const std::string& statement : slices.statements) {
      NS_RETURN_IF_ERROR(
          session_.Execute(ExpandTypes(statement, session_.dialect()), {Text(text)}));
    }
    NS_ASSIGN_OR_RETURN(auto writer, session_.Insert({"counters", {"name", "value"}, 1, true}));
    writer->Text(mark);
    writer->Int(std::max<std::int64_t>(0, day + 1 - kEpoch));
    NS_RETURN_IF_ERROR(writer->EndRow());
    return writer->Finish();
  }

  absl::Status End(const Migration& step) {
    for (const DaySlices& slices : step.slices) {
      NS_RETURN_IF_ERROR(
          session_.Execute("DELETE FROM counters WHERE name = ?", {Text(Mark(step, slices))}));
    }
    return session_.Execute(absl::StrCat("INSERT INTO schema_version SELECT ", step.version, ", ",
                                         NowSql(session_.dialect())));
  }

  // The first day of the table after `day`; empty: none.
  absl::StatusOr<std::string> NextDay(const DaySlices& slices, absl::CivilDay day) {
    NS_ASSIGN_OR_RETURN(
        auto rows, session_.Query(absl::StrCat("SELECT COALESCE(MIN(", slices.day, "), '') FROM ",
                                               slices.table, " WHERE ", slices.day, " > ?"),
                                  {Text(DayText(day))}));
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    return found ? rows->String(0) : "";
  }

  SqlSession& session_;
  const MigrationHooks& hooks_;
  const Permission go_on_;
  const bool fresh_;
  std::string step_;
};

}  // namespace

MigrationHooks::MigrationHooks()
    : wait([](absl::Duration duration) {
        std::mutex mutex;
        std::condition_variable never;
        std::unique_lock<std::mutex> lock(mutex);
        never.wait_for(lock, absl::ToChronoMilliseconds(duration), [] { return false; });
        return true;
      }) {}

absl::StatusOr<int> SchemaVersion(SqlSession& session) {
  NS_ASSIGN_OR_RETURN(const std::int64_t ours, CountTables(session, "schema_version"));
  if (ours == 0) return 0;
  NS_ASSIGN_OR_RETURN(const std::int64_t version,
                      Scalar(session, "SELECT COALESCE(MAX(version), 0) FROM schema_version"));
  if (version > NewestSchemaVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database schema is version ", version, ", this program knows up to ",
                     NewestSchemaVersion(), ": upgrade this program first"));
  }
  return static_cast<int>(version);
}

absl::Status Migrate(SqlSession& session, const MigrationHooks& hooks, Permission go_on) {
  NS_RETURN_IF_ERROR(CreateVersions(session));
  NS_ASSIGN_OR_RETURN(const int found, SchemaVersion(session));
  Run run(session, hooks, go_on, found == 0);
  for (const Migration& step : Migrations()) {
    if (step.version <= found) continue;
    const absl::Status status = run.Apply(step);
    if (status.ok()) continue;
    if (absl::IsCancelled(status)) return status;
    return absl::Status(status.code(),
                        absl::StrCat("schema migration ", step.version, ": ", status.message()));
  }
  return absl::OkStatus();
}

MigrationLease::MigrationLease(std::unique_ptr<Store> store, const MigrationHooks& hooks)
    : store_(std::move(store)), hooks_(hooks) {}

MigrationLease::~MigrationLease() = default;

absl::Status MigrationLease::Take(int found) {
  for (;;) {
    const absl::StatusOr<LeaseInfo> lease = store_->AcquireLease(hooks_.holder, hooks_.lease_ttl);
    if (lease.ok()) {
      fence_ = lease->fence;
      keeper_ = std::jthread([this](const std::stop_token& stop) { Keep(stop); });
      return absl::OkStatus();
    }
    if (!absl::IsFailedPrecondition(lease.status())) return lease.status();
    hooks_.tell(
        {SchemaChange::Kind::kWaits,
         absl::StrCat("the database schema is version ", found, ", this program writes ",
                      NewestSchemaVersion(), ": it is changed when the active aggregator",
                      " stops; to upgrade, stop that one now (", lease.status().message(), ")")});
    if (!hooks_.wait(kLeasePause)) {
      return absl::CancelledError("stopped while an aggregator that writes the old schema ran");
    }
  }
}

absl::Status MigrationLease::Check(SqlSession& session) {
  NS_ASSIGN_OR_RETURN(const std::int64_t epoch,
                      Scalar(session, absl::StrCat("SELECT epoch FROM fence WHERE id = 1",
                                                   ForShare(session.dialect()))));
  if (static_cast<std::uint64_t>(epoch) == fence_.epoch) return absl::OkStatus();
  return absl::AbortedError(
      absl::StrCat("fence ", fence_.epoch, " has ended, the database's is ", epoch,
                   ": another aggregator has taken the lease while the schema was being changed"));
}

void MigrationLease::Keep(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any changed;
  std::unique_lock<std::mutex> lock(mutex);
  const auto pause = absl::ToChronoMilliseconds(hooks_.lease_ttl / 3);
  while (!changed.wait_for(lock, stop, pause, [&] { return stop.stop_requested(); })) {
    // A lease that is lost shows in the fence.
    store_->RenewLease(hooks_.holder, fence_, hooks_.lease_ttl).IgnoreError();
  }
}

}  // namespace netsentinel::store
