#include "common/http2/frame_filter.h"

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/http2_frames.h"

namespace netsentinel::http2 {
namespace {

using Fault = FrameFilter::Fault;
using test::Http2Frame;
using test::Http2Frames;
using test::Http2Opening;
using test::Http2Preface;
using testing::HasSubstr;

constexpr std::uint8_t kEnd = 0x4;  // END_HEADERS

std::string Bytes(std::size_t count) { return std::string(count, 'x'); }

struct Case {
  const char* name;
  std::string bytes;
  std::optional<Fault> fault;

  friend void PrintTo(const Case& one, std::ostream* out) { *out << one.name; }
};

class FrameFilterTest : public testing::TestWithParam<Case> {};

TEST_P(FrameFilterTest, IsJudged) {
  // At once, and a byte at a time.
  for (const std::size_t piece : {GetParam().bytes.size(), std::size_t{1}}) {
    FrameFilter filter;
    std::optional<FrameFilter::Violation> violation;
    for (std::size_t at = 0; at < GetParam().bytes.size() && !violation; at += piece) {
      violation =
          filter.Look(absl::string_view(GetParam().bytes).substr(at, piece), absl::Seconds(1));
    }
    ASSERT_EQ(violation.has_value(), GetParam().fault.has_value())
        << (violation ? violation->words : "");
    if (violation) {
      EXPECT_EQ(FaultName(violation->fault), FaultName(*GetParam().fault)) << violation->words;
    }
  }
}

const std::string kOpen = Http2Opening();

INSTANTIATE_TEST_SUITE_P(
    All, FrameFilterTest,
    testing::ValuesIn(std::vector<Case>{
        {"Opening", kOpen, {}},
        {"SettingsOfAClient", Http2Preface() + Http2Frame(4, 0, 0, Bytes(36)), {}},
        {"Http1", "GET / HTTP/1.1\r\n\r\n", Fault::kPreface},
        {"PrefaceWithAWrongEnd", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", Fault::kPreface},
        {"PingBeforeSettings", Http2Preface() + Http2Frame(6, 0, 0, Bytes(8)), Fault::kFrame},
        {"AckBeforeSettings", Http2Preface() + Http2Frame(4, 1, 0, ""), Fault::kFrame},
        {"ACall",
         kOpen + Http2Frame(1, kEnd, 1, Bytes(300)) + Http2Frame(0, 1, 1, Bytes(9000)),
         {}},
        {"TwoMegabytesOfData", kOpen + Http2Frame(0, 0, 1, Bytes(std::size_t{2} << 20)), {}},
        {"HeaderBlockOf16KiB",
         kOpen + Http2Frame(1, 0, 1, Bytes(8192)) + Http2Frame(9, kEnd, 1, Bytes(8192)),
         {}},
        {"HeaderBlockOf16KiBAndAByte",
         kOpen + Http2Frame(1, 0, 1, Bytes(8192)) + Http2Frame(9, kEnd, 1, Bytes(8193)),
         Fault::kHeaderBlock},
        {"EndlessContinuation",
         kOpen + Http2Frame(1, 0, 1, "\x7f") + Http2Frames(2000, Http2Frame(9, 0, 1, Bytes(16000))),
         Fault::kHeaderBlock},
        {"EmptyContinuations",
         kOpen + Http2Frame(1, 0, 1, "x") + Http2Frames(16, Http2Frame(9, 0, 1, "")),
         Fault::kHeaderBlock},
        {"ContinuationAfterTheEnd", kOpen + Http2Frame(1, kEnd, 1, "x") + Http2Frame(9, 0, 1, "x"),
         Fault::kFrame},
        {"ContinuationOfAnotherStream",
         kOpen + Http2Frame(1, 0, 1, "x") + Http2Frame(9, kEnd, 3, "x"), Fault::kFrame},
        {"DataInsideAHeaderBlock", kOpen + Http2Frame(1, 0, 1, "x") + Http2Frame(0, 0, 1, "x"),
         Fault::kFrame},
        {"HeadersOfAServersStream", kOpen + Http2Frame(1, kEnd, 2, "x"), Fault::kFrame},
        {"HeadersWithoutAStream", kOpen + Http2Frame(1, kEnd, 0, "x"), Fault::kFrame},
        {"DataWithoutAStream", kOpen + Http2Frame(0, 0, 0, "x"), Fault::kFrame},
        {"PushPromise", kOpen + Http2Frame(5, kEnd, 1, Bytes(8)), Fault::kFrame},
        {"ShortPing", kOpen + Http2Frame(6, 0, 0, Bytes(7)), Fault::kFrame},
        {"PingOfAStream", kOpen + Http2Frame(6, 0, 1, Bytes(8)), Fault::kFrame},
        {"ShortReset", kOpen + Http2Frame(3, 0, 1, Bytes(3)), Fault::kFrame},
        {"ResetWithoutAStream", kOpen + Http2Frame(3, 0, 0, Bytes(4)), Fault::kFrame},
        {"LongPriority", kOpen + Http2Frame(2, 0, 1, Bytes(6)), Fault::kFrame},
        {"ShortWindowUpdate", kOpen + Http2Frame(8, 0, 0, Bytes(3)), Fault::kFrame},
        {"SettingsOfAStream", kOpen + Http2Frame(4, 0, 1, Bytes(6)), Fault::kFrame},
        {"SettingsCutShort", kOpen + Http2Frame(4, 0, 0, Bytes(7)), Fault::kFrame},
        {"SettingsWithHundredsOfEntries", kOpen + Http2Frame(4, 0, 0, Bytes(600)), Fault::kFrame},
        {"AckWithContent", kOpen + Http2Frame(4, 1, 0, Bytes(6)), Fault::kFrame},
        {"LongGoAway", kOpen + Http2Frame(7, 0, 0, Bytes(20000)), Fault::kFrame},
        {"UnknownType", kOpen + Http2Frame(200, 0, 7, Bytes(100)), {}},
        {"LongUnknownType", kOpen + Http2Frame(200, 0, 7, Bytes(20000)), Fault::kFrame},
        {"ManyPings", kOpen + Http2Frames(1000, Http2Frame(6, 0, 0, Bytes(8))), {}},
        {"PingFlood", kOpen + Http2Frames(1101, Http2Frame(6, 0, 0, Bytes(8))), Fault::kPingRate},
        {"AnswerFlood", kOpen + Http2Frames(1101, Http2Frame(6, 1, 0, Bytes(8))), Fault::kPingRate},
        {"RapidReset",
         kOpen + Http2Frames(400, Http2Frame(1, kEnd, 1, "x") + Http2Frame(3, 0, 1, Bytes(4))),
         Fault::kResetRate},
        {"StreamFlood", kOpen + Http2Frames(6001, Http2Frame(1, kEnd, 1, "x")), Fault::kStreamRate},
        {"SettingsFlood", kOpen + Http2Frames(111, Http2Frame(4, 0, 0, "")), Fault::kSettingsRate},
        {"WindowFlood", kOpen + Http2Frames(25001, Http2Frame(8, 0, 0, Bytes(4))),
         Fault::kWindowRate},
        {"PriorityFlood", kOpen + Http2Frames(111, Http2Frame(2, 0, 1, Bytes(5))),
         Fault::kPriorityRate},
        {"EmptyDataFlood", kOpen + Http2Frames(111, Http2Frame(0, 0, 1, "")),
         Fault::kEmptyFrameRate},
        {"ManyStreamsThatEndEmpty", kOpen + Http2Frames(1000, Http2Frame(0, 1, 1, "")), {}},
        {"UnknownFlood", kOpen + Http2Frames(111, Http2Frame(200, 0, 0, "")), Fault::kOtherRate},
    }),
    [](const auto& one) { return one.param.name; });

TEST(FrameFilterTimeTest, WhatIsTooFastInABurstIsFineAtItsRate) {
  FrameFilter filter;
  ASSERT_FALSE(filter.Look(kOpen, absl::ZeroDuration()));
  const std::string reset = Http2Frame(3, 0, 1, Bytes(4));
  absl::Duration now;
  for (int i = 0; i < 10'000; ++i) {
    now += absl::Milliseconds(20);
    ASSERT_FALSE(filter.Look(reset, now)) << i;
  }
  // A clock that stands still lets nothing more through than the burst.
  int taken = 0;
  while (!filter.Look(reset, now)) ++taken;
  EXPECT_EQ(taken, 299);
}

TEST(FrameFilterTimeTest, TheWordsNameWhatWasSentAndTheRate) {
  FrameFilter filter;
  const auto violation =
      filter.Look(kOpen + Http2Frames(1200, Http2Frame(6, 0, 0, Bytes(8))), absl::ZeroDuration());
  ASSERT_TRUE(violation);
  EXPECT_THAT(violation->words, HasSubstr("PING frames faster than 100 a second"));
}

TEST(FrameFilterTimeTest, ItIsOpenOnceTheHeadOfSettingsIsThere) {
  FrameFilter filter;
  ASSERT_FALSE(filter.Look(Http2Preface(), absl::ZeroDuration()));
  EXPECT_FALSE(filter.opened());
  ASSERT_FALSE(filter.Look(Http2Frame(4, 0, 0, ""), absl::ZeroDuration()));
  EXPECT_TRUE(filter.opened());
}

}  // namespace
}  // namespace netsentinel::http2
