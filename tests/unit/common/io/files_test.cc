#include "common/io/files.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <sys/stat.h>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::io {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

class FilesTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  test::TempFolder folder_;
};

TEST_F(FilesTest, WhatWasWrittenIsReadBackWithItsMode) {
  const std::string bytes("a\0b\nc", 5);
  ASSERT_THAT(WriteFileDurably(Path("x"), bytes, 0640), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::string back, ReadFile(Path("x")));
  EXPECT_EQ(back, bytes);
  struct stat info {};
  ASSERT_EQ(::stat(Path("x").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777U, 0640U);
}

TEST_F(FilesTest, AReplacedFileLeavesNothingElseBehind) {
  ASSERT_THAT(WriteFileDurably(Path("x"), "one"), IsOk());
  ASSERT_THAT(WriteFileDurably(Path("x"), "two"), IsOk());
  EXPECT_EQ(*ReadFile(Path("x")), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(FilesTest, AFailedReplacementLeavesTheFolderAsItWas) {
  ASSERT_TRUE(std::filesystem::create_directory(Path("taken")));
  EXPECT_THAT(WriteFileDurably(Path("taken"), "x"),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(Path("taken"))));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
  EXPECT_THAT(WriteFileDurably(Path("no/such/folder"), "x"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no/such/folder")));
}

TEST_F(FilesTest, WhatCannotBeReadIsNamed) {
  EXPECT_THAT(ReadFile(Path("nothing")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(Path("nothing"))));
  EXPECT_THAT(ReadFile(folder_.path()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
  ASSERT_EQ(::mkfifo(Path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(ReadFile(Path("pipe")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not a regular file")));
}

TEST_F(FilesTest, ALimitHoldsToTheByte) {
  ASSERT_THAT(WriteFileDurably(Path("x"), "12345"), IsOk());
  EXPECT_THAT(ReadFile(Path("x"), 5), IsOk());
  EXPECT_THAT(ReadFile(Path("x"), 4),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("4")));
}

TEST_F(FilesTest, ASecretLosesOneNewlineAndNoMore) {
  ASSERT_THAT(WriteFileDurably(Path("s"), " pass word \n\n", 0600), IsOk());
  ASSERT_OK_AND_ASSIGN(const base::Secret secret, ReadSecretFile(Path("s")));
  EXPECT_EQ(secret.reveal(), " pass word \n");
}

TEST_F(FilesTest, ASecretThatOthersCanReachIsRefusedWithTheChmod) {
  for (const mode_t mode : {0640U, 0604U, 0620U, 0601U}) {
    ASSERT_THAT(WriteFileDurably(Path("s"), "x", mode), IsOk());
    EXPECT_THAT(ReadSecretFile(Path("s")), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    HasSubstr("chmod 0600 " + Path("s"))))
        << mode;
  }
  ASSERT_THAT(WriteFileDurably(Path("s"), "x", 0400), IsOk());
  EXPECT_THAT(ReadSecretFile(Path("s")), IsOk());
}

TEST_F(FilesTest, AnEmptySecretIsRefused) {
  ASSERT_THAT(WriteFileDurably(Path("s"), "\n", 0600), IsOk());
  EXPECT_THAT(ReadSecretFile(Path("s")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is empty")));
}

TEST_F(FilesTest, FoldersAreMadeWithTheirParents) {
  EXPECT_THAT(MakeFolder(Path("a/b/c"), 0700), IsOk());
  EXPECT_THAT(MakeFolder(Path("a/b/c"), 0700), IsOk());
  EXPECT_TRUE(std::filesystem::is_directory(Path("a/b/c")));
  ASSERT_THAT(WriteFileDurably(Path("file"), "x"), IsOk());
  EXPECT_FALSE(MakeFolder(Path("file/below")).ok());
}

TEST(PathsTest, AreSplitAndResolved) {
  EXPECT_EQ(FolderOf("a/b.yaml"), "a");
  EXPECT_EQ(FolderOf("b.yaml"), ".");
  EXPECT_EQ(FolderOf("/b.yaml"), "/");
  EXPECT_EQ(ResolvePath("/etc/ns", "ca.crt"), "/etc/ns/ca.crt");
  EXPECT_EQ(ResolvePath("/etc/ns", "/run/ca.crt"), "/run/ca.crt");
}

}  // namespace
}  // namespace netsentinel::io
