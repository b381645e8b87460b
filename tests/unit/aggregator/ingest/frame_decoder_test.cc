#include "aggregator/ingest/frame_decoder.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::ingest {
namespace {

using counters::QueueDescriptor;
using counters::QueueReading;
using test::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

QueueDescriptor Queue(std::uint64_t row_id, std::string name) {
  QueueDescriptor descriptor;
  descriptor.row_id = row_id;
  descriptor.name = std::move(name);
  return descriptor;
}

// A frame with columns of its own.
struct Frame {
  std::vector<std::uint32_t> retired, index;
  std::vector<std::int64_t> upload, download, packets;
  FrameColumns columns;

  explicit Frame(std::uint32_t queue_count, bool absolute = true) {
    counters::SnapshotHeader header;
    header.host_boot_id = "boot";
    header.begin_us = 10;
    header.end_us = 20;
    columns.header = header;
    columns.queue_count = queue_count;
    columns.absolute = absolute;
    columns.last_part = true;
  }
  Frame& Add(QueueDescriptor descriptor) {
    columns.added.push_back(std::move(descriptor));
    return *this;
  }
  Frame& Retire(std::uint32_t entry) {
    retired.push_back(entry);
    return *this;
  }
  Frame& Row(std::uint32_t gap, std::int64_t up, std::int64_t down, std::int64_t pkts) {
    index.push_back(gap);
    upload.push_back(up);
    download.push_back(down);
    packets.push_back(pkts);
    return *this;
  }
  Frame& Part(std::uint32_t number, bool last) {
    columns.part = number;
    columns.last_part = last;
    if (number > 0) columns.header.reset();
    return *this;
  }
  FrameColumns View() const {
    FrameColumns view = columns;
    view.retired = retired;
    view.queue_index = index;
    view.upload = upload;
    view.download = download;
    view.packets = packets;
    return view;
  }
};

Frame TwoQueues() {
  Frame frame(2);
  frame.Add(Queue(1, "alice")).Add(Queue(2, "bob")).Row(0, 100, 200, 3).Row(1, 10, 20, 1);
  return frame;
}

TEST(FrameDecoderTest, TakesAnAbsoluteSnapshot) {
  FrameDecoder decoder;
  ASSERT_OK_AND_ASSIGN(auto snapshot, decoder.Take(TwoQueues().View()));
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_THAT(snapshot->readings,
              ElementsAre(QueueReading{0, 100, 200, 3}, QueueReading{1, 10, 20, 1}));
  EXPECT_EQ(decoder.dictionary()->table.Find(1)->name, "bob");
}

TEST(FrameDecoderTest, ADifferenceLeavesQueuesWithoutARowAsTheyWere) {
  FrameDecoder decoder;
  ASSERT_TRUE(decoder.Take(TwoQueues().View()).ok());
  ASSERT_OK_AND_ASSIGN(auto snapshot, decoder.Take(Frame(2, false).Row(1, 5, -20, 1).View()));
  EXPECT_THAT(snapshot->readings,
              ElementsAre(QueueReading{0, 100, 200, 3}, QueueReading{1, 15, 0, 2}));
}

TEST(FrameDecoderTest, AddedAndRetiredEntriesChangeTheMenu) {
  FrameDecoder decoder;
  ASSERT_TRUE(decoder.Take(TwoQueues().View()).ok());
  ASSERT_OK_AND_ASSIGN(
      auto snapshot,
      decoder.Take(Frame(2, false).Retire(0).Add(Queue(7, "carol")).Row(2, 9, 8, 7).View()));
  EXPECT_THAT(snapshot->readings,
              ElementsAre(QueueReading{1, 10, 20, 1}, QueueReading{2, 9, 8, 7}));
}

TEST(FrameDecoderTest, PutsPartsTogether) {
  FrameDecoder decoder;
  ASSERT_OK_AND_ASSIGN(
      auto first,
      decoder.Take(Frame(2).Add(Queue(1, "alice")).Row(0, 1, 2, 3).Part(0, false).View()));
  EXPECT_FALSE(first.has_value());
  ASSERT_OK_AND_ASSIGN(
      auto snapshot,
      decoder.Take(Frame(0).Add(Queue(2, "bob")).Row(1, 4, 5, 6).Part(1, true).View()));
  ASSERT_TRUE(snapshot.has_value());
  EXPECT_THAT(snapshot->readings, ElementsAre(QueueReading{0, 1, 2, 3}, QueueReading{1, 4, 5, 6}));
}

TEST(FrameDecoderTest, ACounterPast2To63ArrivesWhole) {
  FrameDecoder decoder;
  ASSERT_OK_AND_ASSIGN(auto snapshot,
                       decoder.Take(Frame(1).Add(Queue(1, "a")).Row(0, -1, 0, 0).View()));
  EXPECT_EQ(snapshot->readings[0].upload, 18446744073709551615ULL);
}

struct BadFrame {
  const char* name;
  Frame frame;
  const char* message;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

class BadFrameTest : public ::testing::TestWithParam<BadFrame> {};

TEST_P(BadFrameTest, IsRefusedWithItsReasonAndTakesOnlyAnAbsoluteAfterwards) {
  FrameDecoder decoder({.queues_max = 3});
  ASSERT_TRUE(decoder.Take(TwoQueues().View()).ok());
  EXPECT_THAT(decoder.Take(GetParam().frame.View()),
              StatusIs(GetParam().code, HasSubstr(GetParam().message)));
  EXPECT_THAT(decoder.Take(Frame(2, false).View()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("without an absolute")));
  EXPECT_TRUE(decoder.Take(TwoQueues().View()).ok());
}

Frame WithoutHeader() {
  Frame frame(2, false);
  frame.columns.header.reset();
  return frame;
}
Frame Backwards() {
  Frame frame(2, false);
  frame.columns.header->end_us = 5;
  return frame;
}
Frame UnequalColumns() {
  Frame frame(2, false);
  frame.Row(0, 1, 1, 1).packets.clear();
  return frame;
}
Frame LongName() {
  Frame frame(3, false);
  frame.Add(Queue(9, std::string(5000, 'x')));
  return frame;
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadFrameTest,
    ::testing::Values(
        BadFrame{"NoHeader", WithoutHeader(), "no header"},
        BadFrame{"EndsBeforeItBegins", Backwards(), "ends before"},
        BadFrame{"UnknownIndex", Frame(2, false).Row(2, 1, 1, 1), "queue index 2"},
        BadFrame{"IndexOverflow", Frame(2, false).Row(1, 1, 1, 1).Row(4294967295U, 1, 1, 1),
                 "not in the dictionary"},
        BadFrame{"IndexTwice", Frame(2, false).Row(1, 1, 1, 1).Row(0, 1, 1, 1), "is repeated"},
        BadFrame{"RetiredTwice", Frame(1, false).Retire(0).Retire(0), "retired but not live"},
        BadFrame{"RowOfRetired", Frame(1, false).Retire(0).Row(0, 1, 1, 1), "queue index 0"},
        BadFrame{"UnequalColumns", UnequalColumns(), "unequal length"},
        BadFrame{"WrongCount", Frame(3, false), "the columns hold 2 queues, the header says 3"},
        BadFrame{"PartMissing", Frame(2, false).Part(1, true), "part 0 was due"},
        BadFrame{"TooManyQueues", Frame(2, false).Add(Queue(3, "c")).Add(Queue(4, "d")),
                 "more than 3 queues", absl::StatusCode::kResourceExhausted},
        BadFrame{"CountTooLarge", Frame(4, false), "the limit is 3",
                 absl::StatusCode::kResourceExhausted},
        BadFrame{"LongName", LongName(), "5000 bytes", absl::StatusCode::kResourceExhausted}),
    [](const ::testing::TestParamInfo<BadFrame>& test) { return test.param.name; });

TEST(FrameDecoderTest, TextsBeyondWhatAMenuMayHaveAreRefusedAndNothingIsKept) {
  FrameDecoder decoder;
  Frame frame(3'000);
  for (std::uint32_t i = 0; i < 3'000; ++i) {
    QueueDescriptor queue = Queue(i, std::to_string(i) + std::string(1'900, 'n'));
    queue.comment.assign(3'900, 'c');
    queue.target.assign(3'900, 't');
    frame.Add(std::move(queue)).Row(i == 0 ? 0 : 1, 1, 1, 1);
  }
  EXPECT_THAT(decoder.Take(frame.View()).status(),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("of 3000 queues have 29110890 bytes")));
  EXPECT_EQ(decoder.dictionary()->table.live(), 0U);
}

TEST(FrameDecoderTest, ADictionaryOfRetiredEntriesIsStartedAnew) {
  FrameDecoder decoder({.entries_max = 100, .entries_per_queue_max = 8});
  Frame first(10);
  for (std::uint32_t i = 0; i < 10; ++i) first.Add(Queue(i, "q")).Row(i == 0 ? 0 : 1, 1, 1, 1);
  ASSERT_TRUE(decoder.Take(first.View()).ok());
  absl::Status status;
  std::uint32_t next = 10;
  while (status.ok() && next < 1'000) {
    Frame frame(10, /*absolute=*/false);
    frame.Retire(next - 10).Add(Queue(next, "q")).Row(next, 1, 1, 1);
    status = decoder.Take(frame.View()).status();
    ++next;
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               HasSubstr("start it anew with an absolute snapshot")));
  EXPECT_EQ(next, 101U);
}

TEST(FrameDecoderTest, EntriesThatOnlyMergedStepsNeededGoWithTheNextSnapshot) {
  FrameDecoder decoder;
  for (int round = 0; round < 20; ++round) {
    Frame frame(1, /*absolute=*/round == 0);
    if (round == 0) frame.Add(Queue(1, "alice"));
    frame.Row(0, 1, 1, 1);
    FrameColumns columns = frame.View();
    FrameColumns::Step step;
    step.header = *columns.header;
    step.queues = {Queue(2, std::string(1'000, static_cast<char>('a' + round)))};
    step.readings = {QueueReading{0, 1, 1, 1}};
    columns.steps.push_back(step);
    auto taken = decoder.Take(std::move(columns));
    ASSERT_TRUE(taken.ok() && taken->has_value());
    const auto steps = decoder.InternSteps(std::move((*taken)->steps));
    ASSERT_EQ(steps.size(), 1U);
    EXPECT_EQ(decoder.dictionary()->table.Find(steps[0].readings[0].descriptor)->name.size(),
              1'000U);
    EXPECT_EQ(decoder.dictionary()->table.live(), 2U);
  }
}

}  // namespace
}  // namespace netsentinel::ingest
