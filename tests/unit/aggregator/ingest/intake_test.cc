#include "aggregator/ingest/intake.h"

#include <memory>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::ingest {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1 << 20;

CollectorMessage Part(std::uint64_t sequence, bool last = true) {
  SnapshotPart part;
  part.columns.last_part = last;
  part.router = base::RouterId("r1");
  part.offered.position.sequence = sequence;
  return part;
}

class IntakeTest : public ::testing::Test {
 protected:
  std::shared_ptr<StreamIntake> Stream() {
    return std::make_shared<StreamIntake>(limits_, budget_);
  }
  IntakeLimits limits_;
  std::shared_ptr<IntakeBudget> budget_ = std::make_shared<IntakeBudget>(limits_);
};

TEST_F(IntakeTest, BytesCountUntilWhatHoldsThemGoes) {
  const auto stream = Stream();
  auto counted = stream->Count(Part(1), kMiB);
  EXPECT_THAT(counted.status, IsOk());
  EXPECT_EQ(budget_->held(), kMiB + 1024);
  counted.hold.reset();
  EXPECT_EQ(budget_->held(), 0U);
}

TEST_F(IntakeTest, OneSnapshotMayBeLargerThanTheCreditButNothingBehindIt) {
  const auto stream = Stream();
  std::vector<StreamIntake::Counted> held;
  for (int i = 0; i < 40; ++i) {
    held.push_back(stream->Count(Part(1), kMiB));
    ASSERT_THAT(held.back().status, IsOk()) << i;
  }
  held.push_back(stream->Count(Part(2), kMiB));
  EXPECT_THAT(held.back().status,
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("keep to it")));
}

TEST_F(IntakeTest, SnapshotsWithinTheCreditAreTakenAndMoreAreNot) {
  const auto stream = Stream();
  std::vector<StreamIntake::Counted> held;
  std::uint64_t sequence = 0;
  do {
    held.push_back(stream->Count(Part(++sequence), kMiB / 4));
  } while (held.back().status.ok());
  EXPECT_GE(sequence * kMiB / 4, limits_.credit_bytes);
  EXPECT_LE(sequence * kMiB / 4, limits_.credit_bytes + 3 * kMiB);
}

TEST_F(IntakeTest, OtherMessagesUseNoCreditButHaveALimitToo) {
  const auto stream = Stream();
  std::vector<StreamIntake::Counted> held;
  // As many states as a collector has routers, and more.
  for (int i = 0; i < 40'000; ++i) {
    held.push_back(stream->Count(RouterStateMessage(), 500));
    ASSERT_THAT(held.back().status, IsOk()) << i;
  }
  while (held.back().status.ok()) held.push_back(stream->Count(RouterStateMessage(), kMiB));
  EXPECT_LE(budget_->held(), limits_.stream_bytes + 2 * kMiB);
}

TEST_F(IntakeTest, WithoutRoomAStreamWaitsUntilOthersAreDealtWithAndAnEmptyOneDoesNot) {
  limits_.total_bytes = 4 * kMiB;
  budget_ = std::make_shared<IntakeBudget>(limits_);
  const auto greedy = Stream();
  const auto other = Stream();
  auto first = greedy->Count(Part(1), 2 * kMiB);
  auto second = other->Count(Part(1), 10);
  int resumed = 0;
  EXPECT_FALSE(Stream()->WaitForRoom([&] { ++resumed; })) << "one message is always taken";
  EXPECT_TRUE(other->WaitForRoom([&] { ++resumed; }));
  EXPECT_TRUE(greedy->WaitForRoom([&] { ++resumed; }));
  second.hold.reset();
  EXPECT_EQ(resumed, 0);
  first.hold.reset();
  EXPECT_EQ(resumed, 2);
  EXPECT_FALSE(greedy->WaitForRoom([&] { ++resumed; }));
}

// A stream that brings snapshots of several frames, as far as it is read.
struct Bringing {
  std::shared_ptr<StreamIntake> intake;
  std::vector<std::shared_ptr<const void>> kept;
  int frames = 0;
  bool waits = false;
  int finished = 0;
};

TEST_F(IntakeTest, SnapshotsThatAreBegunAreFinishedOneAfterTheOtherWhereAllTogetherDoNotFit) {
  constexpr std::size_t kStreams = 100;
  constexpr int kFrames = 8;
  std::vector<Bringing> streams(kStreams);
  std::uint64_t most = 0;
  for (Bringing& one : streams) one.intake = Stream();
  const auto bring = [&](Bringing& one) {
    const bool last = ++one.frames % kFrames == 0;
    one.kept.push_back(one.intake->Count(Part(1, last), 2 * kMiB).hold);
    most = std::max(most, budget_->held());
    if (last) ++one.finished;
    one.waits = one.intake->WaitForRoom([&one] { one.waits = false; });
    // Only whole snapshots are dealt with.
    if (last) one.kept.clear();
  };
  bool moved = true;
  while (moved) {
    moved = false;
    for (Bringing& one : streams) {
      if (one.waits || one.finished > 0) continue;
      bring(one);
      moved = true;
    }
  }
  for (const Bringing& one : streams) EXPECT_EQ(one.finished, 1);
  // Whoever was let on while there was room brings one more message.
  EXPECT_LE(most, limits_.total_bytes + kStreams * (2 * kMiB + 1024));
  EXPECT_EQ(budget_->held(), 0U);
}

TEST_F(IntakeTest, TheOldestBegunSnapshotGoesFirstAndOneThatIsGoneHoldsUpNobody) {
  limits_.total_bytes = 4 * kMiB;
  budget_ = std::make_shared<IntakeBudget>(limits_);
  std::vector<std::shared_ptr<StreamIntake>> streams;
  std::vector<StreamIntake::Counted> held;
  std::vector<int> resumed;
  for (int i = 0; i < 4; ++i) {
    streams.push_back(Stream());
    held.push_back(streams.back()->Count(Part(1, false), kMiB));
  }
  EXPECT_FALSE(streams[1]->WaitForRoom([&] { resumed.push_back(1); })) << "one is read on";
  EXPECT_TRUE(streams[3]->WaitForRoom([&] { resumed.push_back(3); }));
  EXPECT_TRUE(streams[2]->WaitForRoom([&] { resumed.push_back(2); }));
  EXPECT_TRUE(streams[0]->WaitForRoom([&] { resumed.push_back(0); }));
  streams[0]->Close();
  EXPECT_THAT(resumed, ::testing::IsEmpty());
  // Whole, and dealt with: but still there is no room for all.
  auto rest = streams[1]->Count(Part(1, true), kMiB);
  EXPECT_THAT(resumed, ::testing::IsEmpty());
  rest.hold.reset();
  EXPECT_THAT(resumed, ::testing::ElementsAre(2));
  // A stream that ends in the middle gives its turn on.
  streams[2]->Close();
  EXPECT_THAT(resumed, ::testing::ElementsAre(2, 3));
}

TEST_F(IntakeTest, AnIdentityHasAsManyStreamsAsItMayAndOthersAreNotTouched) {
  StreamCounts counts(limits_);
  std::vector<std::shared_ptr<const void>> open;
  for (std::size_t i = 0; i < limits_.streams_per_identity; ++i) {
    ASSERT_OK_AND_ASSIGN(auto stream, counts.Open(base::CollectorId("c1")));
    open.push_back(std::move(stream));
  }
  EXPECT_THAT(counts.Open(base::CollectorId("c1")).status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("collector \"c1\" has 16 streams open")));
  EXPECT_THAT(counts.Open(base::CollectorId("c2")), IsOk());
  open.pop_back();
  EXPECT_THAT(counts.Open(base::CollectorId("c1")), IsOk());
}

}  // namespace
}  // namespace netsentinel::ingest
