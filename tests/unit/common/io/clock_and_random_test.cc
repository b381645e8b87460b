#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/environment.h"
#include "common/io/host.h"
#include "common/io/os_random.h"
#include "common/io/sha256.h"
#include "common/io/system_clock.h"
#include "common/io/uuid.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::io {
namespace {

using test::IsOk;

TEST(SystemClockTest, BootTimeIsNeverBehindMonotonicTimeAndBothMoveForward) {
  const SystemClock clock;
  const absl::Duration monotonic = clock.MonotonicNow();
  EXPECT_GE(clock.BootNow(), monotonic);
  EXPECT_GE(clock.MonotonicNow(), monotonic);
  EXPECT_LT(absl::AbsDuration(clock.WallNow() - absl::Now()), absl::Seconds(5));
}

TEST(OsRandomTest, NumbersAndBytesDoNotRepeat) {
  OsRandom random;
  std::set<std::uint64_t> numbers;
  std::set<std::string> texts;
  for (int i = 0; i < 1000; ++i) {
    numbers.insert(random.Next());
    texts.insert(random.Bytes(16));
  }
  EXPECT_EQ(numbers.size(), 1000U);
  EXPECT_EQ(texts.size(), 1000U);
  EXPECT_EQ(random.Bytes(3).size(), 3U);
}

TEST(HostTest, TheBootIdIsTheSameEachTime) {
  const auto first = HostBootId();
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->size(), 36U);
  EXPECT_EQ(*HostBootId(), *first);
  EXPECT_FALSE(HostName().empty());
}

TEST(Sha256Test, AgreesWithThePublishedExamples) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abc").size(), 32U);
}

TEST(UuidTest, IsVersionFourAndReadable) {
  base::SeededRandom random(7);
  const std::string uuid = NewUuid(random);
  ASSERT_EQ(uuid.size(), 16U);
  EXPECT_THAT(FormatUuid(uuid),
              testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-"
                                    "[0-9a-f]{12}"));
  EXPECT_NE(NewUuid(random), uuid);
  EXPECT_EQ(FormatUuid("short"), "(not a uuid)");
}

TEST(EnvironmentTest, AVariableIsSeenAfterItIsSetAndNotBefore) {
  EXPECT_EQ(GetEnvironment("NS_TEST_UNSET_VARIABLE"), std::nullopt);
  SetEnvironment("NS_TEST_SET_VARIABLE", "here");
  EXPECT_EQ(GetEnvironment("NS_TEST_SET_VARIABLE"), "here");
}

}  // namespace
}  // namespace netsentinel::io
