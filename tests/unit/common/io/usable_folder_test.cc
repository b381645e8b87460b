#include "common/io/usable_folder.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::io {
namespace {

TEST(UsableFolderTest, OneThatIsThereOrCanBeMadeIsUsableAndNothingIsMade) {
  const test::TempFolder folder;
  EXPECT_THAT(CheckUsableFolder(folder.path()), test::IsOk());
  EXPECT_THAT(CheckUsableFolder(folder.path() + "/state/of/it"), test::IsOk());
  EXPECT_FALSE(std::filesystem::exists(folder.path() + "/state"));
}

TEST(UsableFolderTest, AFileInTheWayIsNamed) {
  const test::TempFolder folder;
  const std::string file = folder.path() + "/file";
  std::ofstream(file) << "x";
  EXPECT_THAT(CheckUsableFolder(file),
              test::StatusIs(absl::StatusCode::kFailedPrecondition, file + " is not a folder"));
  EXPECT_THAT(CheckUsableFolder(file + "/a/b"),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             file + "/a/b cannot be made: " + file + " is not a folder"));
}

}  // namespace
}  // namespace netsentinel::io
