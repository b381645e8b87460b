#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <unistd.h>

#include "collector/spool/spool_keeper.h"
#include "common/log/capturing_logger.h"
#include "tests/unit/collector/spool/spool_fixture.h"

namespace {

// While set, the disk has no room for the mark, and for nothing else: SQLite writes on its own.
std::atomic<bool> no_room{false};

}  // namespace

// The linker's --wrap=write leads here.
extern "C" {
ssize_t __real_write(int file, const void* bytes, std::size_t count);
ssize_t __wrap_write(int file, const void* bytes, std::size_t count) {
  if (no_room) {
    std::error_code error;
    const std::filesystem::path target =
        std::filesystem::read_symlink(absl::StrCat("/proc/self/fd/", file), error);
    if (absl::StrContains(target.string(), "/spool.mark.")) {
      errno = ENOSPC;
      return -1;
    }
  }
  return __real_write(file, bytes, count);
}
}

namespace netsentinel::spool {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class SpoolFullDiskTest : public SpoolFixture {
 protected:
  void TearDown() override { no_room = false; }
  static auto NoRoom() {
    return StatusIs(absl::StatusCode::kResourceExhausted,
                    AllOf(HasSubstr("spool.mark"), HasSubstr("free space there")));
  }
  // Files of the folder that the spool has no use for.
  int Leftovers() const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      if (absl::StrContains(entry.path().filename().string(), "spool.mark.")) ++count;
    }
    return count;
  }
  log::CapturingLogger logger_;
};

TEST_F(SpoolFullDiskTest, AReadingWaitsInMemoryWhileTheMarkCannotBeWritten) {
  std::string uuid;
  {
    SpoolKeeper keeper(Options(), clock_, random_, logger_);
    ASSERT_THAT(keeper.Start(), IsOk());
    uuid = keeper.spool()->uuid();
    keeper.Take(RowOf(Simple("a"), "1"));
    ASSERT_THAT(keeper.health(), IsOk());
    no_room = true;
    keeper.Take(RowOf(Simple("a"), "2"));  // past what the mark has reserved
    EXPECT_THAT(keeper.health(), NoRoom());
    EXPECT_EQ(logger_.Count("spool.failing"), 1U);
    EXPECT_TRUE(keeper.pending().Has(Simple("a")));
    EXPECT_THAT(ReadAll(*keeper.spool(), Simple("a")), SizeIs(1));
    EXPECT_EQ(Leftovers(), 0);
    no_room = false;
    clock_.Advance(absl::Minutes(1));
    keeper.Tick();
    EXPECT_THAT(keeper.health(), IsOk());
    EXPECT_THAT(ReadAll(*keeper.spool(), Simple("a")), SizeIs(2));
  }
  auto spool = Open();
  EXPECT_EQ(spool->uuid(), uuid);
  EXPECT_TRUE(spool->TakeIncidents().empty());
}

TEST_F(SpoolFullDiskTest, ARestartDeliversWhatIsThereAndGivesNoSequenceTwice) {
  auto spool = Open();
  const std::string uuid = spool->uuid();
  const std::uint64_t first = Put(*spool, {RowOf(Simple("a"), "1")})[0];
  no_room = true;
  EXPECT_THAT(spool->Append({{RowOf(Simple("a"), "2")}}), NoRoom());
  spool.reset();

  spool = Open();
  ASSERT_NE(spool, nullptr);
  EXPECT_EQ(spool->uuid(), uuid);
  EXPECT_TRUE(spool->TakeIncidents().empty());
  EXPECT_THAT(ReadAll(*spool, Simple("a")), SizeIs(1));
  EXPECT_THAT(spool->Acknowledge({{{Simple("a"), first}}}), IsOk());
  // Not even what was reserved before: the mark is owed for this very opening.
  EXPECT_THAT(spool->Append({{RowOf(Simple("a"), "2")}}), NoRoom());
  no_room = false;
  EXPECT_GT(Put(*spool, {RowOf(Simple("a"), "2")})[0], first);
}

TEST_F(SpoolFullDiskTest, ANewUuidThatCouldNotBeMarkedIsNoUuid) {
  auto spool = Open();
  const std::string uuid = spool->uuid();
  const std::uint64_t first = Put(*spool, {RowOf(Simple("a"), "1")})[0];
  no_room = true;
  EXPECT_THAT(spool->TakeNewUuid(), NoRoom());
  EXPECT_EQ(spool->uuid(), uuid);
  spool.reset();
  // The file names the new one already: neither may be gone on with while the mark is not written.
  EXPECT_THAT(Spool::Open(Options(), clock_, random_), NoRoom());
  no_room = false;
  spool = Open();
  EXPECT_NE(spool->uuid(), uuid);
  EXPECT_GT(Put(*spool, {RowOf(Simple("a"), "2")})[0], first);
  EXPECT_THAT(ReadAll(*spool, Simple("a")), SizeIs(2));
}

TEST_F(SpoolFullDiskTest, ANewSpoolWithoutItsMarkIsRefused) {
  no_room = true;
  EXPECT_THAT(Spool::Open(Options(), clock_, random_), NoRoom());
  no_room = false;
  EXPECT_NE(Open(), nullptr);
}

}  // namespace
}  // namespace netsentinel::spool
