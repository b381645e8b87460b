#include "aggregator/ingest/agreed_time.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::ingest {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

const base::CollectorId kFar("far");
constexpr char kOwnBoot[] = "own-boot";

// A host whose wall clock is set by others, beside true time.
class AgreedTimeTest : public ::testing::Test {
 protected:
  void Begin(const std::vector<TimeAnchor>& stored = {}, std::int64_t newest_us = 0) {
    agreed_->Begin(stored);
    agreed_->HearStored(newest_us);
  }
  // Another aggregator on the same host.
  void Renew() {
    true_us_ = absl::ToUnixMicros(clock_.WallNow());
    agreed_ = std::make_unique<AgreedClock>(clock_, kOwnBoot);
    Begin();
  }
  // True time passes, a second at a time, and everybody who is there is heard.
  void Pass(absl::Duration time) {
    for (absl::Duration gone; gone < time; gone += absl::Seconds(1)) {
      clock_.Advance(absl::Seconds(1));
      true_us_ += 1'000'000;
      if (far_) agreed_->HearCollector(kFar, "far-boot", true_us_ + far_off_us_);
      if (near_) agreed_->HearCollector(base::CollectorId("near"), kOwnBoot, true_us_);
      if (database_) agreed_->HearDatabase(true_us_);
      agreed_->Look();
    }
  }
  absl::Duration Off() const { return agreed_->WallNow() - absl::FromUnixMicros(true_us_); }

  test::FakeClock clock_;
  std::unique_ptr<AgreedClock> agreed_ = std::make_unique<AgreedClock>(clock_, kOwnBoot);
  std::int64_t true_us_ = absl::ToUnixMicros(clock_.WallNow());
  bool far_ = false;
  bool near_ = false;
  bool database_ = false;
  std::int64_t far_off_us_ = 0;
};

TEST_F(AgreedTimeTest, AClockThatGoesAlongIsTheTime) {
  far_ = true;
  Begin();
  Pass(absl::Minutes(10));
  EXPECT_TRUE(agreed_->agreed());
  EXPECT_EQ(Off(), absl::ZeroDuration());
  clock_.StepWall(absl::Milliseconds(900));
  Pass(absl::Seconds(1));
  EXPECT_EQ(Off(), absl::Milliseconds(900)) << "so little moves no byte";
  EXPECT_THAT(agreed_->trouble(), IsEmpty());
}

struct Jump {
  std::string name;
  absl::Duration by;
  absl::Duration lasts;
};
class JumpTest : public AgreedTimeTest, public ::testing::WithParamInterface<Jump> {};

TEST_P(JumpTest, AStepAndBackMovesNothingWhoeverIsThere) {
  for (int there = 0; there < 8; ++there) {
    far_ = (there & 1) != 0;
    near_ = (there & 2) != 0;
    database_ = (there & 4) != 0;
    Renew();
    Pass(absl::Minutes(3));
    clock_.StepWall(GetParam().by);
    for (absl::Duration gone; gone < GetParam().lasts; gone += absl::Seconds(1)) {
      Pass(absl::Seconds(1));
      ASSERT_EQ(Off(), absl::ZeroDuration()) << there;
      ASSERT_TRUE(agreed_->agreed());
    }
    EXPECT_THAT(agreed_->trouble(), HasSubstr("clock was set"));
    clock_.StepWall(-GetParam().by);
    Pass(absl::Minutes(20));
    EXPECT_EQ(Off(), absl::ZeroDuration()) << there;
    EXPECT_THAT(agreed_->trouble(), IsEmpty());
  }
}

INSTANTIATE_TEST_SUITE_P(Jumps, JumpTest,
                         ::testing::Values(Jump{"FortyDays", absl::Hours(960), absl::Seconds(4)},
                                           Jump{"MoreThanADay", absl::Hours(25), absl::Seconds(15)},
                                           Jump{"HoursBack", -absl::Hours(3), absl::Minutes(5)},
                                           Jump{"Seconds", absl::Seconds(7), absl::Minutes(2)}),
                         [](const auto& jump) { return jump.param.name; });

TEST_F(AgreedTimeTest, AStepThatOthersNeverAgreeWithIsNeverFollowed) {
  far_ = true;
  Begin();
  Pass(absl::Minutes(3));
  clock_.StepWall(-absl::Hours(3));
  Pass(absl::Hours(5));
  EXPECT_EQ(Off(), absl::ZeroDuration());
  EXPECT_THAT(agreed_->trouble(), HasSubstr("3h behind"));
}

TEST_F(AgreedTimeTest, AClockThatWasWrongIsFollowedOnceOthersAgreeForAMinute) {
  clock_.StepWall(-absl::Minutes(4));
  Begin();
  EXPECT_TRUE(agreed_->agreed()) << "nothing speaks against it yet";
  far_ = true;
  Pass(absl::Seconds(30));
  EXPECT_EQ(Off(), -absl::Minutes(4));
  clock_.StepWall(absl::Minutes(4));
  Pass(absl::Seconds(58));
  EXPECT_EQ(Off(), -absl::Minutes(4));
  Pass(absl::Seconds(5));
  EXPECT_EQ(Off(), absl::ZeroDuration());
}

TEST_F(AgreedTimeTest, AnInterruptedAgreementBeginsAnew) {
  far_ = true;
  Begin();
  Pass(absl::Minutes(3));
  clock_.StepWall(absl::Hours(1));
  far_off_us_ = absl::ToInt64Microseconds(absl::Hours(1));
  Pass(absl::Seconds(40));
  far_off_us_ = 0;
  Pass(absl::Seconds(2));
  far_off_us_ = absl::ToInt64Microseconds(absl::Hours(1));
  Pass(absl::Seconds(40));
  EXPECT_EQ(Off(), absl::ZeroDuration());
  Pass(absl::Seconds(30));
  EXPECT_EQ(Off(), absl::Hours(1));
}

TEST_F(AgreedTimeTest, WhereOnlyThisHostCanBeAskedAStepIsFollowedAfterTenMinutes) {
  for (const bool near : {false, true}) {
    near_ = near;
    Renew();
    Pass(absl::Minutes(12));
    clock_.StepWall(absl::Hours(2));
    true_us_ += absl::ToInt64Microseconds(absl::Hours(2));
    Pass(absl::Minutes(9));
    EXPECT_EQ(Off(), -absl::Hours(2));
    Pass(absl::Minutes(2));
    EXPECT_EQ(Off(), absl::ZeroDuration());
  }
}

TEST_F(AgreedTimeTest, AStartFarOffWhatIsStoredHasNoAgreedTimeUntilOthersAgree) {
  far_ = true;
  clock_.StepWall(absl::Hours(960));
  Begin({}, true_us_ - 60'000'000);
  EXPECT_FALSE(agreed_->agreed());
  EXPECT_EQ(agreed_->ReceiptUs(), 0);
  EXPECT_FALSE(agreed_->Anchor().has_value());
  EXPECT_THAT(agreed_->trouble(), HasSubstr("no day closes"));
  Pass(absl::Minutes(30));
  EXPECT_FALSE(agreed_->agreed());
  EXPECT_EQ(Off(), absl::ZeroDuration()) << "the best guess is the collectors'";
  clock_.StepWall(-absl::Hours(960));
  Pass(absl::Seconds(63));
  EXPECT_TRUE(agreed_->agreed());
  EXPECT_EQ(Off(), absl::ZeroDuration());
  EXPECT_EQ(agreed_->ReceiptUs(), true_us_);
}

TEST_F(AgreedTimeTest, AFirstStartIsDoubtedAtTheFirstHelloThatSaysOtherwise) {
  clock_.StepWall(absl::Hours(25));
  Begin();
  EXPECT_TRUE(agreed_->agreed());
  agreed_->HearCollector(kFar, "far-boot", true_us_);
  agreed_->Look();
  EXPECT_FALSE(agreed_->agreed());
  EXPECT_EQ(agreed_->ReceiptUs(), 0);
}

TEST_F(AgreedTimeTest, AnotherStartInOneBootGoesOnByTheTimeThatWasAgreed) {
  far_ = true;
  Begin();
  Pass(absl::Minutes(3));
  const std::optional<TimeAnchor> anchor = agreed_->Anchor();
  ASSERT_TRUE(anchor.has_value());
  Pass(absl::Hours(6));
  clock_.StepWall(absl::Hours(960));
  AgreedClock next(clock_, kOwnBoot);
  next.Begin({*anchor});
  next.HearStored(true_us_);
  EXPECT_TRUE(next.agreed());
  EXPECT_EQ(absl::ToUnixMicros(next.WallNow()), true_us_);
  AgreedClock elsewhere(clock_, "another-boot");
  elsewhere.Begin({*anchor});
  EXPECT_FALSE(elsewhere.agreed()) << "it was noted long ago";
}

// One wrong clock among five, heard first, with a look after each.
TEST_F(AgreedTimeTest, OneCollectorOfManyWithAWrongClockDecidesNothing) {
  const auto hear_all = [this] {
    for (int i = 0; i < 5; ++i) {
      const bool wrong = i == 0;
      agreed_->HearCollector(base::CollectorId(std::string(1, static_cast<char>('a' + i))), "b",
                             true_us_ + (wrong ? 3'456'000'000'000 : 0));
      agreed_->Look();
      EXPECT_EQ(Off(), absl::ZeroDuration()) << i;
    }
  };
  for (const bool stored : {false, true}) {
    Renew();
    if (stored) agreed_->HearStored(true_us_ - 60'000'000);
    hear_all();
    EXPECT_TRUE(agreed_->agreed()) << "the doubt of the first hello ended with the others";
    for (int second = 0; second < 200; ++second) {
      Pass(absl::Seconds(1));
      hear_all();
      EXPECT_TRUE(agreed_->agreed());
    }
    EXPECT_THAT(agreed_->trouble(), IsEmpty());
  }
}

TEST_F(AgreedTimeTest, AStartThatIsBorneOutIsDoubtedOnlyWhenItIsContradictedForAMinute) {
  Begin();
  Pass(absl::Minutes(3));
  const TimeAnchor anchor{
      kOwnBoot, absl::ToUnixMicros(clock_.WallNow()) - absl::ToInt64Microseconds(clock_.BootNow()),
      true_us_, std::nullopt};
  for (const bool anchored : {false, true}) {
    agreed_ = std::make_unique<AgreedClock>(clock_, kOwnBoot);
    if (anchored) {
      Begin({anchor});
    } else {
      Begin({}, true_us_);
    }
    far_ = true;
    far_off_us_ = absl::ToInt64Microseconds(absl::Hours(960));
    Pass(absl::Seconds(59));
    EXPECT_TRUE(agreed_->agreed());
    EXPECT_EQ(Off(), absl::ZeroDuration());
    EXPECT_EQ(agreed_->ReceiptUs(), true_us_);
    Pass(absl::Seconds(3));
    EXPECT_FALSE(agreed_->agreed());
    EXPECT_THAT(agreed_->trouble(), HasSubstr("no day closes"));
    far_off_us_ = 0;
    Pass(absl::Seconds(63));
    EXPECT_TRUE(agreed_->agreed());
    far_ = false;
    Pass(absl::Minutes(3));
  }
}

// The database is another container of this host: it goes wherever the host's clock is set to.
class SharedClockTest : public AgreedTimeTest {
 protected:
  void PassWithDatabase(absl::Duration time) {
    for (absl::Duration gone; gone < time; gone += absl::Seconds(1)) {
      Pass(absl::Seconds(1));
      agreed_->HearDatabase(absl::ToUnixMicros(clock_.WallNow()));
      agreed_->Look();
    }
  }
};

TEST_F(SharedClockTest, ADatabaseThatStepsTogetherWithThisHostIsNoWitness) {
  for (const bool restarted : {false, true}) {
    far_ = true;
    Renew();
    PassWithDatabase(absl::Minutes(3));
    if (restarted) {
      const std::optional<TimeAnchor> anchor = agreed_->Anchor();
      ASSERT_TRUE(anchor.has_value());
      ASSERT_OK_AND_ASSIGN(const TimeAnchor kept, DecodeAnchor(kOwnBoot, EncodeAnchor(*anchor)));
      agreed_ = std::make_unique<AgreedClock>(clock_, kOwnBoot);
      Begin({kept}, true_us_);
    }
    clock_.StepWall(absl::Hours(960));
    PassWithDatabase(absl::Minutes(30));
    EXPECT_EQ(Off(), absl::ZeroDuration()) << "collectors elsewhere contradict it";
    EXPECT_THAT(agreed_->trouble(), HasSubstr("960h"));
    clock_.StepWall(-absl::Hours(960));
    PassWithDatabase(absl::Minutes(3));
    EXPECT_THAT(agreed_->trouble(), IsEmpty());
  }
}

TEST_F(SharedClockTest, AloneItIsAskedLikeACollectorOfThisHost) {
  Begin();
  PassWithDatabase(absl::Minutes(12));
  clock_.StepWall(absl::Hours(2));
  PassWithDatabase(absl::Minutes(9));
  EXPECT_EQ(Off(), absl::ZeroDuration());
  PassWithDatabase(absl::Minutes(2));
  EXPECT_EQ(Off(), absl::Hours(2));
}

TEST_F(SharedClockTest, AStartAfterABootWithAWrongClockIsNotBelievedAgainstCollectors) {
  far_ = true;
  clock_.StepWall(absl::Hours(960));
  Begin({}, true_us_ - 60'000'000);
  PassWithDatabase(absl::Minutes(30));
  EXPECT_FALSE(agreed_->agreed());
  EXPECT_EQ(Off(), absl::ZeroDuration());
}

TEST_F(AgreedTimeTest, ACollectorThatContradictsOutweighsTheDatabase) {
  far_ = true;
  database_ = true;
  Begin();
  Pass(absl::Minutes(3));
  clock_.StepWall(-absl::Minutes(20));
  far_off_us_ = absl::ToInt64Microseconds(-absl::Minutes(20));
  Pass(absl::Minutes(10));
  EXPECT_EQ(Off(), absl::ZeroDuration()) << "the database stands near the old time";
}

TEST_F(AgreedTimeTest, AnAnchorComesBackFromItsBytesOrIsRefused) {
  const TimeAnchor anchor{"boot", -5, 1'700'000'000'000'000, std::nullopt};
  const std::string bytes = EncodeAnchor(anchor);
  ASSERT_OK_AND_ASSIGN(const TimeAnchor back, DecodeAnchor("boot", bytes));
  EXPECT_EQ(back, anchor);
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string bad = bytes;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeAnchor("boot", bad).ok()) << bit;
  }
  EXPECT_FALSE(DecodeAnchor("boot", "").ok());
  const TimeAnchor with_database{"boot", -5, 1'700'000'000'000'000, -7};
  ASSERT_OK_AND_ASSIGN(const TimeAnchor again, DecodeAnchor("boot", EncodeAnchor(with_database)));
  EXPECT_EQ(again, with_database);
}

}  // namespace
}  // namespace netsentinel::ingest
