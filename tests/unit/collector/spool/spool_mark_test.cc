#include "collector/spool/spool_mark.h"

#include <fstream>
#include <string>

#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::spool {
namespace {

TEST(SpoolMarkTest, ReadsWhatItWrote) {
  test::TempFolder folder;
  const std::string path = folder.path() + "/spool.mark";
  const SpoolMark mark{.spool_uuid = std::string("0123\0\xff"
                                                 "6789abcdef",
                                                 16),
                       .reserved_sequence = 18446744073709551615ULL};
  ASSERT_THAT(WriteMark(path, mark), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const auto read, ReadMark(path));
  EXPECT_EQ(read, mark);
}

TEST(SpoolMarkTest, NoFileIsNoMark) {
  test::TempFolder folder;
  ASSERT_OK_AND_ASSIGN(const auto read, ReadMark(folder.path() + "/spool.mark"));
  EXPECT_FALSE(read.has_value());
}

TEST(SpoolMarkTest, EveryChangedByteMakesItNoMark) {
  const std::string text =
      FormatMark({.spool_uuid = "0123456789abcdef", .reserved_sequence = 4097});
  ASSERT_TRUE(ParseMark(text).has_value());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string changed = text;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    EXPECT_FALSE(ParseMark(changed).has_value()) << i;
    EXPECT_FALSE(ParseMark(text.substr(0, i)).has_value()) << i;
  }
}

}  // namespace
}  // namespace netsentinel::spool
