// The suite on SQLite, and what only SQLite promises.
#include "aggregator/store/sqlite_store.h"

#include "gmock/gmock.h"
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/sqlite/database.h"
#include "tests/contract/store/store_contract.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::store {

namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;
using testing::SizeIs;

class SqliteBackend final : public Backend {
 public:
  absl::StatusOr<std::unique_ptr<StoreFactory>> Open() override {
    SqliteStoreOptions options;
    options.migration = migration;
    return OpenSqliteStore(path(), options);
  }
  absl::Status Sql(const std::string& statement) override {
    absl::StatusOr<std::unique_ptr<sqlite::Database>> database =
        sqlite::Database::Open(path(), sqlite::OpenOptions{});
    if (!database.ok()) return database.status();
    return (*database)->Execute(statement);
  }
  std::string path() const { return folder_.path() + "/ns.db"; }

 private:
  test::TempFolder folder_;
};

std::unique_ptr<Backend> MakeSqlite(bool /*fresh*/) { return std::make_unique<SqliteBackend>(); }

TEST(SqliteStore, ASecondProcessIsRefusedAndToldWhoHasTheFile) {
  test::TempFolder folder;
  const std::string path = folder.path() + "/ns.db";
  ASSERT_OK_AND_ASSIGN(const auto factory, OpenSqliteStore(path));
  const std::string owner = "process " + std::to_string(::getpid());
  const pid_t child = ::fork();
  if (child == 0) {
    const absl::Status status = OpenSqliteStore(path).status();
    const bool refused = absl::IsFailedPrecondition(status) &&
                         std::string(status.message()).find(owner) != std::string::npos;
    ::_exit(refused ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(SqliteStore, TheFileIsFreeAgainWhenTheLastStoreIsGone) {
  test::TempFolder folder;
  const std::string path = folder.path() + "/ns.db";
  ASSERT_OK_AND_ASSIGN(auto factory, OpenSqliteStore(path));
  ASSERT_OK_AND_ASSIGN(auto store, factory->Connect());
  factory.reset();
  EXPECT_THAT(OpenSqliteStore(path),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("in use")));
  store.reset();
  EXPECT_THAT(OpenSqliteStore(path), IsOk());
}

TEST(SqliteStore, TheLeaseOfADeadProcessEndsWithItsLock) {
  test::TempFolder folder;
  const std::string path = folder.path() + "/ns.db";
  const pid_t child = ::fork();
  if (child == 0) {
    auto factory = OpenSqliteStore(path);
    auto store = (*factory)->Connect();
    ::_exit((*store)->AcquireLease("dead", absl::Hours(1)).ok() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_OK_AND_ASSIGN(const auto factory, OpenSqliteStore(path));
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("next", absl::Minutes(1)));
  EXPECT_EQ(lease.fence.epoch, 2u);
}

TEST(SqliteStore, NetworkFileSystemsAreRefused) {
  test::TempFolder folder;
  SqliteStoreOptions options;
  options.file_system_magic = [](const std::string&) -> absl::StatusOr<std::int64_t> {
    return 0x6969;
  };
  EXPECT_THAT(OpenSqliteStore(folder.path() + "/ns.db", options),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("NFS")));
}

TEST(SqliteStore, AFolderThatIsMissingIsNamed) {
  EXPECT_THAT(OpenSqliteStore("/nonexistent/ns.db"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("/nonexistent")));
}

TEST(SqliteStore, ADamagedFileIsDataLoss) {
  test::TempFolder folder;
  const std::string path = folder.path() + "/ns.db";
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT, 0600);
  const std::string garbage(8192, 'x');
  ASSERT_EQ(::write(file, garbage.data(), garbage.size()), 8192);
  ::close(file);
  EXPECT_THAT(OpenSqliteStore(path), StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
}

TEST(SqliteStore, AFullDiskRefusesTheCommitAndLosesNothing) {
  test::TempFolder folder;
  const std::string path = folder.path() + "/ns.db";
  SqliteStoreOptions options;
  options.max_file_bytes = 2 << 20;
  std::uint64_t stored = 0;
  {
    ASSERT_OK_AND_ASSIGN(const auto factory, OpenSqliteStore(path, options));
    ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
    ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store->AcquireLease("a", absl::Minutes(1)));
    absl::Status status;
    for (std::uint64_t i = 1; i <= 1000; ++i) {
      JournalRow row = Journal(i, i);
      row.payload = std::string(50'000, 'x');
      status = store->Commit(lease.fence, JournalOnly({row}));
      if (!status.ok()) break;
      stored = i;
    }
    EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr(path)));
    EXPECT_GT(stored, 10u);
    // Room again: what was refused goes in.
    FlushBatch flush;
    flush.trims = {{base::RouterId("r1"), counters::Menu::kSimple, stored - 1}};
    ASSERT_THAT(store->Flush(lease.fence, flush), IsOk());
    EXPECT_THAT(store->Commit(lease.fence, JournalOnly({Journal(stored + 1, stored + 1)})), IsOk());
  }
  ASSERT_OK_AND_ASSIGN(const auto factory, OpenSqliteStore(path));
  ASSERT_OK_AND_ASSIGN(const auto store, factory->Connect());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store));
  ASSERT_THAT(state.journal, SizeIs(2));
  EXPECT_EQ(state.journal[0].journal_id, stored);
  EXPECT_EQ(state.journal[1].journal_id, stored + 1);
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, testing::Values(&MakeSqlite));
INSTANTIATE_TEST_SUITE_P(Sqlite, OutboxContract, testing::Values(&MakeSqlite));

}  // namespace netsentinel::store
