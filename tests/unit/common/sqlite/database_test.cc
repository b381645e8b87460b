#include "common/sqlite/database.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::sqlite {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

class DatabaseTest : public ::testing::Test {
 protected:
  std::string Path() const { return folder_.path() + "/test.db"; }
  test::TempFolder folder_;
};

TEST_F(DatabaseTest, KeepsTheLargestTotalAndRawBytes) {
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(Path(), {}));
  ASSERT_THAT(database->Execute("CREATE TABLE t(v INTEGER, b BLOB)"), IsOk());
  ASSERT_OK_AND_ASSIGN(Statement insert, database->Prepare("INSERT INTO t VALUES(?, ?)"));
  insert.BindUint(1, 9223372036854775807ULL);
  insert.BindBlob(2, std::string("a\0\xff", 3));
  ASSERT_THAT(insert.Run(), IsOk());
  ASSERT_OK_AND_ASSIGN(Statement select, database->Prepare("SELECT v, b FROM t"));
  ASSERT_OK_AND_ASSIGN(const bool row, select.Step());
  ASSERT_TRUE(row);
  EXPECT_EQ(select.Uint(0), 9223372036854775807ULL);
  EXPECT_EQ(select.Blob(1), std::string("a\0\xff", 3));
}

TEST_F(DatabaseTest, RefusesAValuePastTheSignedRange) {
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(Path(), {}));
  ASSERT_THAT(database->Execute("CREATE TABLE t(v INTEGER)"), IsOk());
  ASSERT_OK_AND_ASSIGN(Statement insert, database->Prepare("INSERT INTO t VALUES(?)"));
  insert.BindUint(1, 9223372036854775808ULL);
  EXPECT_THAT(insert.Run(), StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("2^63-1")));
}

TEST_F(DatabaseTest, ATransactionThatIsNotCommittedLeavesNothing) {
  ASSERT_OK_AND_ASSIGN(auto database, Database::Open(Path(), {}));
  ASSERT_THAT(database->Execute("CREATE TABLE t(v INTEGER)"), IsOk());
  {
    ASSERT_OK_AND_ASSIGN(Transaction transaction, Transaction::Begin(*database));
    ASSERT_THAT(database->Execute("INSERT INTO t VALUES(1)"), IsOk());
  }
  ASSERT_OK_AND_ASSIGN(const std::int64_t count, database->QueryInt("SELECT count(*) FROM t"));
  EXPECT_EQ(count, 0);
}

TEST_F(DatabaseTest, AnExclusiveFileRefusesASecondOpener) {
  ASSERT_OK_AND_ASSIGN(auto first, Database::Open(Path(), {.exclusive = true}));
  EXPECT_THAT(Database::Open(Path(), {.busy_timeout = absl::Milliseconds(10), .exclusive = true}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("test.db")));
}

TEST_F(DatabaseTest, NamesTheFolderThatCannotBeOpened) {
  EXPECT_THAT(Database::Open(folder_.path() + "/missing/test.db", {}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("missing/test.db")));
}

TEST_F(DatabaseTest, CallsAFileThatIsNoDatabaseDamaged) {
  std::ofstream(Path()) << std::string(4096, 'x');
  EXPECT_THAT(Database::Open(Path(), {}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("test.db")));
}

}  // namespace
}  // namespace netsentinel::sqlite
