#include "common/counters/limits.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/display_name.h"

namespace netsentinel::counters {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(ShortenedTest, KeepsWhatFits) {
  EXPECT_EQ(Shortened("", 20), "");
  EXPECT_EQ(Shortened(std::string(20, 'a'), 20), std::string(20, 'a'));
}

TEST(ShortenedTest, EndsALongerTextWithAHashOfAllOfIt) {
  const std::string text(21, 'a');
  // The digits are FNV-1a's for these bytes: stored texts are compared with later ones.
  EXPECT_EQ(Shortened(text, 20), "...#4c37049181f75a98");
  EXPECT_EQ(Shortened(std::string(100, 'a'), 30).size(), 30U);
  EXPECT_THAT(Shortened(std::string(100, 'a'), 30), StartsWith(std::string(10, 'a') + "...#"));
}

TEST(ShortenedTest, TellsApartWhatDiffersBehindTheCut) {
  const std::string text(5000, 'a');
  EXPECT_EQ(Shortened(text + "b", 4096), Shortened(text + "b", 4096));
  EXPECT_NE(Shortened(text + "b", 4096), Shortened(text + "c", 4096));
}

TEST(DeviceTextTest, IsValidUtf8OfAtMostTheLimit) {
  EXPECT_EQ(DeviceText("HB10"), "HB10");
  EXPECT_EQ(DeviceText("caf\xC3\xA9"), "caf\xC3\xA9");
  EXPECT_EQ(DeviceText("H\xFF"), "H\\xFF");
  EXPECT_EQ(DeviceText(std::string(256, 'a')), std::string(256, 'a'));
  for (const std::string& text :
       {std::string(257, 'a'), std::string(65, '\xFF'), std::string(60'000, '\xFF')}) {
    const std::string shown = DeviceText(text);
    EXPECT_TRUE(base::IsValidUtf8(shown));
    EXPECT_LE(shown.size(), kMaxDeviceTextBytes) << text.size();
    EXPECT_THAT(shown, HasSubstr("...#"));
  }
  EXPECT_NE(DeviceText(std::string(300, 'a')), DeviceText(std::string(301, 'a')));
}

}  // namespace
}  // namespace netsentinel::counters
