#include "common/base/display_name.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace netsentinel::base {
namespace {

TEST(DisplayNameTest, TextStaysAndTheRestIsEscaped) {
  EXPECT_EQ(DisplayName("alice"), "alice");
  EXPECT_EQ(DisplayName("علی"), "علی");
  EXPECT_EQ(DisplayName("caf\xE9"), "caf\\xE9");
  EXPECT_EQ(DisplayName("a\\b"), "a\\\\b");
  EXPECT_EQ(DisplayName(std::string("a\0b\n\x7F", 5)), "a\\x00b\\x0A\\x7F");
  EXPECT_EQ(DisplayName("\xC2\x85"), "\\xC2\\x85");           // a C1 control
  EXPECT_EQ(DisplayName("\xC0\xAF"), "\\xC0\\xAF");           // overlong
  EXPECT_EQ(DisplayName("\xED\xA0\x80"), "\\xED\\xA0\\x80");  // a surrogate
  EXPECT_EQ(DisplayName("\xF4\x90\x80\x80"), "\\xF4\\x90\\x80\\x80");
  EXPECT_EQ(DisplayName("\xE2\x82"), "\\xE2\\x82");  // cut short
}

TEST(DisplayNameTest, EveryNameComesBackToTheByte) {
  std::mt19937 random(5);
  for (int i = 0; i < 5000; ++i) {
    std::string raw;
    for (std::size_t n = random() % 12; n > 0; --n) {
      // Bytes that matter: escapes, leads and continuations.
      static constexpr char kBytes[] = "\\xA0\x80\xBF\xC2\xE2\xED\xF0\xF4\xFFz";
      raw.push_back(kBytes[random() % (sizeof(kBytes) - 1)]);
    }
    const std::string display = DisplayName(raw);
    EXPECT_TRUE(IsValidUtf8(display));
    const auto back = RawName(display);
    ASSERT_THAT(back, test::IsOk());
    EXPECT_EQ(*back, raw) << display;
  }
}

TEST(DisplayNameTest, AStrayBackslashIsRefusedInWords) {
  for (const char* text : {"a\\", "a\\x", "a\\x4", "a\\n", "\\xG0"}) {
    EXPECT_THAT(RawName(text), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                              ::testing::HasSubstr("backslash at position")))
        << text;
  }
  EXPECT_EQ(*RawName("\\xe9"), "\xE9");
}

TEST(DisplayNameTest, Utf8IsThatOfRfc3629) {
  EXPECT_TRUE(IsValidUtf8(""));
  EXPECT_TRUE(IsValidUtf8("\xF4\x8F\xBF\xBF"));
  EXPECT_FALSE(IsValidUtf8("\xF4\x90\x80\x80"));
  EXPECT_FALSE(IsValidUtf8("\xE0\x80\x80"));
  EXPECT_FALSE(IsValidUtf8("ab\x80"));
}

}  // namespace
}  // namespace netsentinel::base
