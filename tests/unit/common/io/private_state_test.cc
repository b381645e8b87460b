#include "common/io/private_state.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <sys/stat.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::io {
namespace {

using test::IsOk;

class PrivateStateTest : public ::testing::Test {
 protected:
  PrivateStateTest() : umask_(::umask(022)) {}
  ~PrivateStateTest() override { ::umask(umask_); }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void Write(const std::string& name, mode_t mode) const {
    std::ofstream(Path(name)) << "kept";
    ::chmod(Path(name).c_str(), mode);
  }
  mode_t ModeOf(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::stat(Path(name).c_str(), &info), 0) << name;
    return info.st_mode & 07777;
  }

  const mode_t umask_;
  test::TempFolder folder_;
};

TEST_F(PrivateStateTest, ANewFileIsItsOwnersAloneWhateverTheUmask) {
  for (const mode_t mask : {0U, 022U, 0277U}) {
    ::umask(mask);
    const std::string name = "file" + std::to_string(mask);
    ASSERT_THAT(MakePrivateFile(Path(name)), IsOk());
    EXPECT_EQ(ModeOf(name), 0600U) << mask;
  }
  Write("there", 0644);
  ASSERT_THAT(MakePrivateFile(Path("there")), IsOk());
  EXPECT_EQ(ModeOf("there"), 0644U) << "an existing one is CloseToOthers' matter";
}

TEST_F(PrivateStateTest, AFolderAndWhatLiesInItAreClosedToOthers) {
  ASSERT_OK_AND_ASSIGN(const auto fresh, MakePrivateFolder(Path("a/state")));
  EXPECT_TRUE(fresh.exposed.empty());
  EXPECT_TRUE(fresh.whole);
  EXPECT_EQ(ModeOf("a/state"), 0700U);
  ::chmod(Path("a/state").c_str(), 0755);
  Write("a/state/spool.db", 0644);
  Write("a/state/spool.db-wal", 0640);
  Write("a/state/mine", 0600);
  std::filesystem::create_directory(Path("a/state/folder"));
  ::chmod(Path("a/state/folder").c_str(), 0755);
  Write("outside", 0644);
  std::filesystem::create_symlink(Path("outside"), Path("a/state/link"));
  ASSERT_OK_AND_ASSIGN(const auto looked_at, MakePrivateFolder(Path("a/state")));
  EXPECT_EQ(looked_at.exposed.size(), 3U);
  for (const Exposed& one : looked_at.exposed) EXPECT_TRUE(one.closed) << one.path;
  EXPECT_EQ(ModeOf("a/state"), 0700U);
  EXPECT_EQ(ModeOf("a/state/spool.db"), 0600U);
  EXPECT_EQ(ModeOf("a/state/spool.db-wal"), 0600U);
  EXPECT_EQ(ModeOf("a/state/folder"), 0755U) << "not ours to know";
  EXPECT_EQ(ModeOf("outside"), 0644U) << "a link is not followed";
  ASSERT_OK_AND_ASSIGN(const auto again, MakePrivateFolder(Path("a/state")));
  EXPECT_TRUE(again.exposed.empty());
}

TEST_F(PrivateStateTest, AFolderThatIsNotLookedAtToItsEndSaysSo) {
  ASSERT_THAT(MakePrivateFolder(Path("state")), IsOk());
  for (const char* name : {"state/a", "state/b", "state/c"}) Write(name, 0644);
  ASSERT_OK_AND_ASSIGN(const PrivateFolder first, MakePrivateFolder(Path("state"), 2));
  EXPECT_EQ(first.exposed.size(), 2U);
  EXPECT_FALSE(first.whole);
  ASSERT_OK_AND_ASSIGN(const PrivateFolder all, MakePrivateFolder(Path("state"), 3));
  EXPECT_EQ(all.exposed.size(), 1U);
  EXPECT_TRUE(all.whole);
}

TEST_F(PrivateStateTest, NothingIsTakenFromWhatIsClosedOrMissing) {
  EXPECT_FALSE(CloseToOthers(Path("none")).has_value());
  Write("closed", 0600);
  EXPECT_FALSE(CloseToOthers(Path("closed")).has_value());
  Write("open", 0604);
  const auto exposed = CloseToOthers(Path("open"));
  ASSERT_TRUE(exposed.has_value());
  EXPECT_EQ(exposed->mode, 0604U);
  EXPECT_EQ(ModeOf("open"), 0600U);
}

}  // namespace
}  // namespace netsentinel::io
