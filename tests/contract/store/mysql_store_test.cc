// The suite on a private MariaDB, and what only a server can do to a store.
#include "aggregator/store/mysql_store.h"

#include <atomic>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "aggregator/store/mysql_session.h"
#include "common/base/check.h"
#include "tests/contract/store/store_contract.h"
#include "tests/support/child_process.h"
#include "tests/support/mariadb_server.h"
#include "tests/support/tcp_gate.h"

namespace netsentinel::store {
namespace {

using test::IsOk;
using test::MariaDbServer;
using test::StatusIs;
using test::TcpGate;
using testing::HasSubstr;
using testing::SizeIs;

// One server for the whole process; it ends with it.
MariaDbServer& Server() {
  static const std::unique_ptr<MariaDbServer> server = [] {
    absl::StatusOr<std::unique_ptr<MariaDbServer>> started = MariaDbServer::Start();
    NS_CHECK(started.ok(), started.status().ToString());
    return *std::move(started);
  }();
  return *server;
}

// Databases that earlier tests have left with the whole schema and no rows: creating one takes a
// hundred times as long as emptying it.
std::vector<std::string>& SpareDatabases() {
  static std::vector<std::string> spare;
  return spare;
}

constexpr char kEmptyAll[] =
    "DELETE FROM schema_version WHERE version > 1000; DELETE FROM counters; DELETE FROM watermarks;"
    "DELETE FROM journal; DELETE FROM checkpoints; DELETE FROM epochs; DELETE FROM holds;"
    "DELETE FROM events; DELETE FROM queues; DELETE FROM subscribers; DELETE FROM day_closes;"
    "DELETE FROM usage_daily; DELETE FROM usage_monthly; DELETE FROM breaches; DELETE FROM outbox;"
    "DELETE FROM policy_revisions; DELETE FROM quota_overrides; TRUNCATE TABLE audit_log; DELETE "
    "FROM "
    "read_days;"
    "DELETE FROM first_readings; REPLACE INTO lease VALUES"
    " (1, '', 0, 0); REPLACE INTO fence VALUES (1, 0)";

class MysqlBackend final : public Backend {
 public:
  enum class Kind { kAny, kFresh };
  explicit MysqlBackend(Kind kind = Kind::kAny) {
    location_.engine = StoreLocation::Engine::kMysql;
    location_.host = "127.0.0.1";
    location_.port = Server().port();
    location_.user = "root";
    if (kind == Kind::kAny && !SpareDatabases().empty()) {
      location_.database = SpareDatabases().back();
      SpareDatabases().pop_back();
      return;
    }
    static int next = 0;
    location_.database = absl::StrCat("ns", ++next);
    const absl::Status created = Server().Run(absl::StrCat("CREATE DATABASE ", location_.database));
    NS_CHECK(created.ok(), created.ToString());
  }
  ~MysqlBackend() override {
    if (Sql(kEmptyAll).ok()) SpareDatabases().push_back(location_.database);
  }
  absl::StatusOr<std::unique_ptr<StoreFactory>> Open() override {
    // Several threads may open it at once.
    MysqlStoreOptions options = options_;
    options.migration = migration;
    return OpenMysqlStore(location_, base::Secret(), std::move(options));
  }
  absl::Status Sql(const std::string& statement) override {
    return Server().Run(absl::StrCat("USE ", location_.database, "; ", statement));
  }
  StoreLocation& location() { return location_; }
  MysqlStoreOptions& options() { return options_; }

 private:
  StoreLocation location_;
  MysqlStoreOptions options_;
};

std::unique_ptr<Backend> MakeMysql(bool fresh) {
  return std::make_unique<MysqlBackend>(fresh ? MysqlBackend::Kind::kFresh
                                              : MysqlBackend::Kind::kAny);
}

// A store that talks through a gate, and one beside it that does not.
class MysqlFaults : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(direct_factory_, backend_.Open());
    ASSERT_OK_AND_ASSIGN(direct_, direct_factory_->Connect());
    backend_.location().port = gate_.port();
    backend_.options().io_timeout = absl::Seconds(2);
    ASSERT_OK_AND_ASSIGN(factory_, backend_.Open());
    ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store_->AcquireLease("first", absl::Minutes(5)));
    fence_ = lease.fence;
  }
  std::size_t Journals() {
    const absl::StatusOr<Stored> state = ReadBack(*direct_);
    return state.ok() ? state->journal.size() : 999;
  }

  TcpGate gate_{Server().port()};
  MysqlBackend backend_;
  std::unique_ptr<StoreFactory> direct_factory_;
  std::unique_ptr<Store> direct_;
  std::unique_ptr<StoreFactory> factory_;
  std::unique_ptr<Store> store_;
  Fence fence_;
};

TEST_F(MysqlFaults, AConnectionLostInATransactionIsReplacedAndTheCommitHappensOnce) {
  gate_.CutOn("INSERT INTO journal", TcpGate::Cut::kAfter);
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
  EXPECT_EQ(gate_.cuts(), 1);
  EXPECT_EQ(Journals(), 1u);
}

TEST_F(MysqlFaults, ACommitWhoseAnswerWasLostIsUnknownAndIsThere) {
  gate_.CutOn("COMMIT", TcpGate::Cut::kAfter);
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})),
              StatusIs(absl::StatusCode::kUnknown, HasSubstr("reload")));
  EXPECT_EQ(Journals(), 1u);
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})),
              StatusIs(absl::StatusCode::kAlreadyExists, testing::_));
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(2, 2)})), IsOk());
}

TEST_F(MysqlFaults, ACommitThatTheServerNeverSawIsUnknownAndCanBeSentAgain) {
  gate_.CutOn("COMMIT", TcpGate::Cut::kBefore);
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})),
              StatusIs(absl::StatusCode::kUnknown, testing::_));
  EXPECT_EQ(Journals(), 0u);
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
  EXPECT_EQ(Journals(), 1u);
}

TEST_F(MysqlFaults, AnAnswerThatBreaksOffIsAskedForAgain) {
  ASSERT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
  gate_.CutOn("FROM journal", TcpGate::Cut::kAfter);
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  EXPECT_THAT(state.journal, SizeIs(1));
  EXPECT_EQ(gate_.cuts(), 1);
}

TEST_F(MysqlFaults, ALockThatIsNotGivenUpIsUnavailableAndNothingHappened) {
  backend_.options().lock_wait = absl::Seconds(1);
  ASSERT_OK_AND_ASSIGN(const auto impatient_factory, backend_.Open());
  ASSERT_OK_AND_ASSIGN(const auto impatient, impatient_factory->Connect());
  std::thread holder([this] {
    backend_
        .Sql(
            "BEGIN; SELECT GET_LOCK('held', 1) INTO @x; SELECT epoch INTO @y FROM fence FOR UPDATE;"
            " DO SLEEP(4)")
        .IgnoreError();
  });
  // The lock is there when the name is taken and the fence row cannot be locked any more.
  while (backend_.Sql("SELECT epoch FROM fence FOR UPDATE NOWAIT").ok()) {
  }
  EXPECT_THAT(impatient->Commit(fence_, JournalOnly({Journal(1, 1)})),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("1205")));
  holder.join();
  EXPECT_EQ(Journals(), 0u);
  EXPECT_THAT(impatient->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
}

// A database of four versions ago with a week of usage.
class MysqlUpgrade : public StoreContract {
 protected:
  static constexpr int kDays = 12;
  void SetUp() override {
    StoreContract::SetUp();
    FlushBatch flush = TwoQueues();
    for (int i = 0; i < kDays; ++i) flush.usage.push_back(Usage(1, first_ + i, 100));
    ASSERT_THAT(store_->Flush(fence_, flush), IsOk());
  }
  const absl::CivilDay first_{2026, 1, 2};
};

TEST_P(MysqlUpgrade, ATableThatTakesLongerThanOneStatementMayIsReadDayByDay) {
  MakeOlder();
  ASSERT_THAT(backend_->Sql("CREATE TABLE read_days (site VARCHAR(64) NOT NULL, local_day DATE NOT"
                            " NULL, router VARCHAR(64) NOT NULL, PRIMARY KEY (site, local_day,"
                            " router)); CREATE TRIGGER slow BEFORE INSERT ON read_days FOR EACH ROW"
                            " DO SLEEP(0.5)"),
              IsOk());
  auto& backend = static_cast<MysqlBackend&>(*backend_);
  // Less than all days take together, much more than one does.
  backend.options().migration_timeout = absl::Seconds(3);
  ASSERT_OK_AND_ASSIGN(factory_, backend.Open());
  ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
  EXPECT_THAT(*store_->ReadDays(first_, first_ + 99), SizeIs(kDays));
  ASSERT_THAT(backend_->Sql("DROP TRIGGER slow"), IsOk());
}

TEST_P(MysqlUpgrade, TheSchemaIsChangedOnlyAfterTheAggregatorThatWritesTheOldOneHasEnded) {
  ASSERT_THAT(backend_->Sql("DELETE FROM schema_version WHERE version > 4"), IsOk());
  std::vector<std::string> told;
  backend_->migration.holder = "second";
  backend_->migration.tell = [&](const SchemaChange& change) { told.push_back(change.text); };
  backend_->migration.wait = [&](absl::Duration pause) {
    if (pause == absl::ZeroDuration()) return true;
    // While it waits the old one writes, and nothing has changed.
    EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(told.size(), told.size())})), IsOk());
    return told.size() != 3 || store_->ReleaseLease("first", fence_).ok();
  };
  ASSERT_OK_AND_ASSIGN(const auto upgraded, backend_->Open());
  ASSERT_GT(told.size(), 3u);
  EXPECT_THAT(told[0], testing::AllOf(HasSubstr("version 4, this program writes 6"),
                                      HasSubstr("stop that one now (first holds the lease for")));
  EXPECT_THAT(told[3], HasSubstr("step 5 of 6"));
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(9, 9)})),
              StatusIs(absl::StatusCode::kAborted, testing::_));
  // The one that changed it goes on at once, and nobody else.
  EXPECT_THAT(other_->AcquireLease("third", absl::Minutes(1)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("second")));
  EXPECT_THAT(other_->AcquireLease("second", absl::Minutes(1)), IsOk());
}

TEST_P(MysqlUpgrade, AStopEndsTheWaitForTheOldAggregator) {
  ASSERT_THAT(backend_->Sql("DELETE FROM schema_version WHERE version > 4"), IsOk());
  backend_->migration.wait = [](absl::Duration) { return false; };
  EXPECT_THAT(backend_->Open().status(), StatusIs(absl::StatusCode::kCancelled, testing::_));
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
  ASSERT_THAT(backend_->Sql("REPLACE INTO schema_version VALUES (5, 0), (6, 0)"), IsOk());
}

TEST_P(MysqlUpgrade, ALeaseThatWasTakenAwayEndsTheChange) {
  MakeOlder();
  int days = 0;
  backend_->migration.tell = [&](const SchemaChange& change) {
    if (change.kind != SchemaChange::Kind::kGoesOn || ++days != 3) return;
    EXPECT_THAT(backend_->Sql("UPDATE fence SET epoch = epoch + 1"), IsOk());
  };
  EXPECT_THAT(backend_->Open().status(),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("another aggregator has taken")));
  EXPECT_EQ(days, 3);
  backend_->migration = MigrationHooks();
  ASSERT_THAT(backend_->Sql("UPDATE lease SET holder = ''"), IsOk());
  EXPECT_THAT(backend_->Open().status(), IsOk());
}

INSTANTIATE_TEST_SUITE_P(Mysql, MysqlUpgrade, testing::Values(&MakeMysql));

TEST_F(MysqlFaults, AServerThatDoesNotAnswerIsUnavailableInTime) {
  Server().Freeze();
  const absl::Status status = store_->Commit(fence_, JournalOnly({Journal(1, 1)}));
  Server().Thaw();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
}

TEST_F(MysqlFaults, AReadOnlyServerIsUnavailableAndNothingHappened) {
  ASSERT_THAT(Server().Run("CREATE USER IF NOT EXISTS plain@'%'; GRANT ALL ON *.* TO plain@'%';"
                           "REVOKE SUPER, READ_ONLY ADMIN ON *.* FROM plain@'%'"),
              IsOk());
  backend_.location().user = "plain";
  ASSERT_OK_AND_ASSIGN(const auto factory, backend_.Open());
  ASSERT_OK_AND_ASSIGN(const auto plain, factory->Connect());
  ASSERT_THAT(Server().Run("SET GLOBAL read_only = 1"), IsOk());
  const absl::Status refused = plain->Commit(fence_, JournalOnly({Journal(1, 1)}));
  ASSERT_THAT(Server().Run("SET GLOBAL read_only = 0"), IsOk());
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kUnavailable, HasSubstr("read-only")));
  EXPECT_EQ(Journals(), 0u);
  EXPECT_THAT(plain->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
}

TEST_F(MysqlFaults, WhatCommittedBeforeAKillIsThereAfterIt) {
  std::uint64_t acknowledged = 0;
  std::atomic<bool> some{false};
  absl::Status status;
  std::thread writer([&] {
    for (std::uint64_t i = 1; i < 1'000'000; ++i) {
      status = store_->Commit(fence_, JournalOnly({Journal(i, i)}));
      if (!status.ok()) return;
      acknowledged = i;
      if (i == 50) some = true;
    }
  });
  while (!some) std::this_thread::yield();
  Server().Kill();
  writer.join();
  EXPECT_TRUE(absl::IsUnavailable(status) || absl::IsUnknown(status)) << status;
  EXPECT_THAT(store_->Commit(fence_, {}), StatusIs(absl::StatusCode::kUnavailable, testing::_));
  ASSERT_THAT(Server().Restart(), IsOk());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  // At most the one whose outcome is unknown came on top.
  EXPECT_GE(state.journal.size(), acknowledged);
  EXPECT_LE(state.journal.size(), acknowledged + (absl::IsUnknown(status) ? 1 : 0));
  const std::uint64_t next = state.next_journal_id;
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(next, next)})), IsOk());
}

TEST(MysqlStore, AWrongPasswordAMissingDatabaseAndADeadPortAreToldApart) {
  MysqlBackend backend;
  EXPECT_THAT(OpenMysqlStore(backend.location(), base::Secret("wrong")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("password")));
  StoreLocation elsewhere = backend.location();
  elsewhere.database = "missing";
  EXPECT_THAT(OpenMysqlStore(elsewhere, base::Secret()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("missing")));
  elsewhere = backend.location();
  elsewhere.port = 1;
  EXPECT_THAT(OpenMysqlStore(elsewhere, base::Secret()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("127.0.0.1:1")));
}

TEST(MysqlStore, TheNextServerOfTheListIsTried) {
  MysqlBackend backend;
  StoreLocation location = backend.location();
  location.more_hosts = {{location.host, location.port}};
  location.port = 1;
  EXPECT_THAT(OpenMysqlStore(location, base::Secret()), IsOk());
}

TEST(MysqlStore, ALocalSocketServesAsWell) {
  MysqlBackend backend;
  StoreLocation location = backend.location();
  location.port = 1;
  location.socket = Server().socket_path();
  EXPECT_THAT(OpenMysqlStore(location, base::Secret()), IsOk());
}

TEST(MysqlStore, TlsIsNotSilentlyLeftOut) {
  MysqlBackend backend;
  MysqlStoreOptions options;
  options.tls.required = true;
  options.tls.ca = "/nonexistent/ca.crt";
  EXPECT_FALSE(OpenMysqlStore(backend.location(), base::Secret(), options).ok());
}

// What the server's own configuration makes of every session, put back when it goes.
class HostileSettings {
 public:
  using Settings = std::map<std::string, std::string>;
  explicit HostileSettings(Settings settings) : settings_(std::move(settings)) {
    for (const auto& [name, value] : settings_) {
      const absl::Status set = Server().Run(absl::StrCat("SET @@GLOBAL.", name, " = ", value));
      EXPECT_THAT(set, IsOk()) << name;
    }
  }
  ~HostileSettings() {
    for (const auto& [name, value] : settings_) {
      EXPECT_THAT(Server().Run(absl::StrCat("SET @@GLOBAL.", name, " = DEFAULT")), IsOk()) << name;
    }
  }

 private:
  const Settings settings_;
};

const std::map<std::string, std::string> kHostile = {
    {"autocommit", "0"},
    {"character_set_server", "'latin1'"},
    {"completion_type", "'CHAIN'"},
    {"foreign_key_checks", "0"},
    {"innodb_lock_wait_timeout", "1"},
    {"max_join_size", "1"},
    {"max_sort_length", "64"},
    {"max_statement_time", "0.5"},
    {"net_read_timeout", "1"},
    {"net_write_timeout", "1"},
    {"sql_auto_is_null", "1"},
    {"sql_mode", "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,NO_ZERO_IN_DATE,IGNORE_SPACE'"},
    {"sql_safe_updates", "1"},
    {"sql_select_limit", "2"},
    {"time_zone", "'+05:45'"},
    {"tx_isolation", "'SERIALIZABLE'"},
    {"tx_read_only", "1"},
    {"unique_checks", "0"},
    {"wait_timeout", "5"},
};

void UseEverything(Backend& backend) {
  ASSERT_OK_AND_ASSIGN(const auto factory, backend.Open());
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("a", absl::Minutes(1)));
  ASSERT_THAT(store->RenewLease("a", lease.fence, absl::Minutes(1)), IsOk());
  for (std::uint64_t i = 1; i <= 5; ++i) {
    ASSERT_THAT(store->Commit(lease.fence, JournalOnly({Journal(i, i)})), IsOk());
  }
  FlushBatch batch = TwoQueues();
  for (std::uint64_t i = 1; i <= 100; ++i) {
    batch.usage.push_back(Usage(i, absl::CivilDay(2026, 1, 1), i));
  }
  batch.checkpoints = {{"key", 0, "it's a \\ and a \" and \xF0\x9F\x98\x80"}};
  ASSERT_THAT(store->Flush(lease.fence, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store));
  ASSERT_THAT(state.checkpoints, SizeIs(1));
  EXPECT_EQ(state.checkpoints[0].payload, batch.checkpoints[0].payload);
  EXPECT_THAT(
      *store->UsageBetween(base::SiteId(), absl::CivilDay(2026, 1, 1), absl::CivilDay(2026, 1, 1)),
      SizeIs(100));
  EXPECT_THAT(store->ReleaseLease("a", lease.fence), IsOk());
}

TEST(MysqlStore, AUserWhoMayMakeNoTriggersIsToldSoAndServedAllTheSame) {
  MysqlBackend backend(MysqlBackend::Kind::kFresh);
  const std::string database = backend.location().database;
  ASSERT_THAT(
      Server().Run(absl::StrCat(
          "CREATE USER 'untriggered'@'%'; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP,"
          " ALTER, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW ON ",
          database, ".* TO 'untriggered'@'%'")),
      IsOk());
  std::vector<std::string> remarks;
  backend.options().remark = [&](absl::string_view text) { remarks.emplace_back(text); };
  backend.location().user = "untriggered";
  UseEverything(backend);
  ASSERT_THAT(remarks, SizeIs(1));
  EXPECT_THAT(remarks[0], HasSubstr("does not refuse to change or delete rows of audit_log"));
  EXPECT_THAT(remarks[0], HasSubstr("GRANT TRIGGER on the database"));
  EXPECT_THAT(backend.Sql("DELETE FROM audit_log"), IsOk());
  // The next start makes them once it may.
  ASSERT_THAT(Server().Run(absl::StrCat("GRANT TRIGGER ON ", database, ".* TO 'untriggered'@'%'")),
              IsOk());
  ASSERT_THAT(backend.Open(), IsOk());
  ASSERT_THAT(backend.Open(), IsOk());
  EXPECT_THAT(remarks, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const auto factory, backend.Open());
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("a", absl::Minutes(1)));
  ASSERT_THAT(store->AppendAudit(lease.fence, {Audited("a")}), IsOk());
  EXPECT_FALSE(backend.Sql("DELETE FROM audit_log").ok());
  ASSERT_THAT(Server().Run("DROP USER 'untriggered'@'%'"), IsOk());
}

TEST(MysqlStore, NoSettingOfTheServerChangesWhatASessionDoes) {
  // Made before: the test's own client is a session too.
  MysqlBackend fresh(MysqlBackend::Kind::kFresh);
  const HostileSettings settings(kHostile);
  UseEverything(fresh);
}

TEST(MysqlStore, EachSettingByItselfChangesNothing) {
  for (const auto& setting : kHostile) {
    SCOPED_TRACE(setting.first);
    MysqlBackend backend;
    const HostileSettings settings(HostileSettings::Settings{setting});
    UseEverything(backend);
  }
}

TEST(MysqlStore, AServerThatDemandsTlsIsToldFromAWrongPassword) {
  MysqlBackend backend;
  ASSERT_THAT(Server().Run("CREATE USER IF NOT EXISTS strict@'%' REQUIRE SSL;"
                           "GRANT ALL ON *.* TO strict@'%'"),
              IsOk());
  StoreLocation location = backend.location();
  location.user = "strict";
  EXPECT_THAT(OpenMysqlStore(location, base::Secret()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       testing::AllOf(HasSubstr("demands TLS"), HasSubstr("store.ca"))));
  const HostileSettings settings(HostileSettings::Settings{{"require_secure_transport", "1"}});
  EXPECT_THAT(OpenMysqlStore(backend.location(), base::Secret()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("store.ca")));
}

TEST(MysqlStore, SeveralProgramsMayStartAtOnce) {
  MysqlBackend backend(MysqlBackend::Kind::kFresh);
  std::vector<absl::Status> results(4);
  std::vector<std::thread> starters;
  for (absl::Status& result : results) {
    starters.emplace_back([&] { result = backend.Open().status(); });
  }
  for (std::thread& starter : starters) starter.join();
  for (const absl::Status& result : results) EXPECT_THAT(result, IsOk());
}

TEST(MysqlStore, SmallPacketsOnlyMakeMoreStatements) {
  MysqlBackend backend;
  backend.options().bytes_per_statement = 2000;
  backend.options().rows_per_statement = 7;
  ASSERT_OK_AND_ASSIGN(const auto factory, backend.Open());
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("a", absl::Minutes(1)));
  FlushBatch batch = TwoQueues();
  for (std::uint64_t i = 1; i <= 100; ++i) {
    batch.usage.push_back(Usage(i, absl::CivilDay(2026, 1, 1), i));
  }
  batch.checkpoints = {{"key", 0, std::string(3'000'000, '\'')}};
  ASSERT_THAT(store->Flush(lease.fence, batch), IsOk());
  EXPECT_THAT(
      *store->UsageBetween(base::SiteId(), absl::CivilDay(2026, 1, 1), absl::CivilDay(2026, 1, 1)),
      SizeIs(100));
}

TEST(MysqlStore, RecoveryWaitsForATransactionThatHasNotEnded) {
  MysqlBackend backend;
  ASSERT_OK_AND_ASSIGN(const auto factory, backend.Open());
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("a", absl::Minutes(1)));
  auto target = std::make_shared<MysqlTarget>();
  target->location = backend.location();
  MysqlSession writer(target);
  ASSERT_THAT(writer.Begin(), IsOk());
  ASSERT_THAT(writer.Send("UPDATE fence SET epoch = epoch WHERE id = 1"), IsOk());
  ASSERT_THAT(writer.Execute("REPLACE INTO counters VALUES ('next_queue_id', 77)", {}), IsOk());
  std::atomic<bool> recovered{false};
  absl::StatusOr<Stored> state;
  std::thread reader([&] {
    state = ReadBack(*store);
    recovered.store(true);
  });
  EXPECT_FALSE(test::WaitUntil([&] { return recovered.load(); }, std::chrono::seconds(1)));
  EXPECT_THAT(writer.Commit(), IsOk());
  reader.join();
  ASSERT_THAT(state, IsOk());
  EXPECT_EQ(state->next_queue_id, 77u);
}

TEST(MysqlStore, CheckpointsLongerThanAPacketComeBackWholeAndGoWhole) {
  MysqlBackend backend;
  ASSERT_OK_AND_ASSIGN(const auto factory, backend.Open());
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("a", absl::Minutes(1)));
  const auto checkpoints = [&] {
    absl::StatusOr<Stored> state = ReadBack(*store);
    EXPECT_THAT(state, IsOk());
    std::map<std::pair<std::string, std::uint32_t>, std::string> parts;
    if (!state.ok()) return parts;
    for (CheckpointPart& part : state->checkpoints) {
      parts[{part.state_key, part.part}] = std::move(part.payload);
    }
    return parts;
  };
  std::string longest;
  for (std::uint32_t i = 0; longest.size() < 20'000'000; ++i) longest += absl::StrCat(i, "'");
  const std::string longer = longest.substr(7, 11'000'000);
  FlushBatch batch;
  batch.checkpoints = {{"a", 0, longest}, {"a", 1, longer}, {"b", 0, "short"}};
  ASSERT_THAT(store->Flush(lease.fence, batch), IsOk());
  auto stored = checkpoints();
  ASSERT_THAT(stored, SizeIs(3));
  EXPECT_TRUE((stored[{"a", 0}]) == longest);
  EXPECT_TRUE((stored[{"a", 1}]) == longer);
  EXPECT_EQ((stored[{"b", 0}]), "short");

  batch.checkpoints = {{"a", 0, "shrunk"}};
  batch.dropped_checkpoints = {{"b", 0}};
  ASSERT_THAT(store->Flush(lease.fence, batch), IsOk());
  stored = checkpoints();
  ASSERT_THAT(stored, SizeIs(2));
  EXPECT_EQ((stored[{"a", 0}]), "shrunk");
  EXPECT_TRUE((stored[{"a", 1}]) == longer);

  batch.checkpoints = {};
  batch.dropped_checkpoints = {{"a", 0}, {"a", 1}};
  ASSERT_THAT(store->Flush(lease.fence, batch), IsOk());
  EXPECT_THAT(checkpoints(), SizeIs(0));
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Mysql, StoreContract, testing::Values(&MakeMysql));
INSTANTIATE_TEST_SUITE_P(Mysql, OutboxContract, testing::Values(&MakeMysql));

}  // namespace netsentinel::store
