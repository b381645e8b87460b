#include "aggregator/ingest/position_rule.h"

#include <string>

#include "gtest/gtest.h"

namespace netsentinel::ingest {
namespace {

const std::string kSpoolA(16, 'a');
const std::string kSpoolB(16, 'b');

struct Row {
  const char* name;
  OfferedPosition offered;
  std::optional<counters::SnapshotPosition> watermark;
  std::uint64_t granted;
  PositionVerdict verdict;
};

class PositionRuleTest : public ::testing::TestWithParam<Row> {};

TEST_P(PositionRuleTest, Judges) {
  EXPECT_EQ(JudgePosition(GetParam().offered, GetParam().watermark, GetParam().granted),
            GetParam().verdict);
}

INSTANTIATE_TEST_SUITE_P(
    Table, PositionRuleTest,
    ::testing::Values(
        Row{"FirstEver", {{1, kSpoolA, 1}, 0}, std::nullopt, 1, PositionVerdict::kApply},
        Row{"OldSpoolNewStore", {{1, kSpoolA, 9}, 8}, std::nullopt, 2, PositionVerdict::kApply},
        Row{"Next", {{1, kSpoolA, 6}, 5}, {{1, kSpoolA, 5}}, 1, PositionVerdict::kApply},
        Row{"NextAfterThinning",
            {{1, kSpoolA, 9}, 4},
            {{1, kSpoolA, 5}},
            1,
            PositionVerdict::kApply},
        Row{"Again", {{1, kSpoolA, 5}, 4}, {{1, kSpoolA, 5}}, 1, PositionVerdict::kDuplicate},
        Row{"Older", {{1, kSpoolA, 2}, 1}, {{1, kSpoolA, 5}}, 1, PositionVerdict::kDuplicate},
        Row{"Gap", {{1, kSpoolA, 7}, 6}, {{1, kSpoolA, 5}}, 1, PositionVerdict::kGap},
        Row{"SpooledUnderTheLeaseBefore",
            {{1, kSpoolA, 6}, 5},
            {{1, kSpoolA, 5}},
            3,
            PositionVerdict::kApply},
        Row{"OtherSpoolOlderEpoch",
            {{1, kSpoolB, 50}, 49},
            {{2, kSpoolA, 5}},
            2,
            PositionVerdict::kSuperseded},
        Row{"OtherSpoolOlderThanBoth",
            {{1, kSpoolB, 50}, 49},
            {{2, kSpoolA, 5}},
            3,
            PositionVerdict::kSuperseded},
        Row{"NewSpoolBeforeItsOwnLease",
            {{2, kSpoolB, 6}, 5},
            {{2, kSpoolA, 5}},
            3,
            PositionVerdict::kSuperseded},
        Row{"OldSpoolUnderTheNewLease",
            {{2, kSpoolA, 6}, 5},
            {{2, kSpoolA, 5}},
            3,
            PositionVerdict::kApply},
        Row{"OtherSpoolNewerEpoch",
            {{3, kSpoolB, 1}, 0},
            {{2, kSpoolA, 5}},
            3,
            PositionVerdict::kApply},
        Row{"OtherSpoolSameEpoch",
            {{2, kSpoolB, 6}, 5},
            {{2, kSpoolA, 5}},
            2,
            PositionVerdict::kForeign},
        Row{"EpochNeverGranted",
            {{4, kSpoolA, 6}, 5},
            {{2, kSpoolA, 5}},
            3,
            PositionVerdict::kForeign},
        Row{"LeaseEpochFellWithinTheSpool",
            {{1, kSpoolA, 6}, 5},
            {{2, kSpoolA, 5}},
            3,
            PositionVerdict::kApply},
        Row{"SequenceZero", {{1, kSpoolA, 0}, 0}, std::nullopt, 1, PositionVerdict::kForeign}),
    [](const ::testing::TestParamInfo<Row>& test) { return test.param.name; });

}  // namespace
}  // namespace netsentinel::ingest
