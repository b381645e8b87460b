#include "common/log/logger.h"

#include <string>
#include <type_traits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/display_name.h"
#include "common/base/secret.h"
#include "common/log/capturing_logger.h"
#include "common/log/format.h"
#include "common/log/stderr_logger.h"
#include "tests/support/fake_clock.h"

namespace netsentinel::log {
namespace {

using testing::HasSubstr;
using testing::Not;

static_assert(!std::is_constructible_v<Field, absl::string_view, base::Secret>);
static_assert(!std::is_constructible_v<Field, absl::string_view, const base::Secret&>);
static_assert(!std::is_constructible_v<Field, absl::string_view, void*>);
static_assert(!std::is_constructible_v<Field, absl::string_view, double>);
static_assert(std::is_constructible_v<Field, absl::string_view, std::uint64_t>);

std::string Logfmt(std::vector<Field> fields) {
  return FormatRecord(Format::kLogfmt, {Level::kWarn, "a.b", "It is so", std::move(fields)},
                      absl::FromUnixMicros(1500000));
}
std::string Json(std::vector<Field> fields) {
  return FormatRecord(Format::kJson, {Level::kWarn, "a.b", "It is so", std::move(fields)},
                      absl::FromUnixMicros(1500000));
}

TEST(FormatTest, EveryKindOfValueIsWrittenInBothFormats) {
  const std::vector<Field> fields = {{"text", "x"},
                                     {"count", 7},
                                     {"big", std::uint64_t{18446744073709551615U}},
                                     {"yes", true},
                                     {"took", absl::Milliseconds(1500)},
                                     {"at", absl::FromUnixSeconds(0)},
                                     {"router", base::RouterId("hq-core")},
                                     {"reason", absl::NotFoundError("no file")}};
  EXPECT_EQ(Logfmt(fields),
            "time=1970-01-01T00:00:01.500000Z level=warn event=a.b msg=\"It is so\" text=x count=7 "
            "big=18446744073709551615 yes=true took=1.5s at=1970-01-01T00:00:00.000000Z "
            "router=hq-core reason=\"NOT_FOUND: no file\"");
  EXPECT_EQ(Json(fields),
            "{\"time\":\"1970-01-01T00:00:01.500000Z\",\"level\":\"warn\",\"event\":\"a.b\","
            "\"msg\":\"It is so\",\"text\":\"x\",\"count\":7,\"big\":18446744073709551615,"
            "\"yes\":true,\"took\":\"1.5s\",\"at\":\"1970-01-01T00:00:00.000000Z\","
            "\"router\":\"hq-core\",\"reason\":\"NOT_FOUND: no file\"}");
}

struct Hostile {
  const char* name;
  std::string value;
  const char* logfmt;
  const char* json;
};
void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }

class HostileValueTest : public testing::TestWithParam<Hostile> {};

TEST_P(HostileValueTest, StaysOnItsLineAndInItsQuotes) {
  const std::string logfmt = Logfmt({{"queue", GetParam().value}});
  const std::string json = Json({{"queue", GetParam().value}});
  EXPECT_THAT(logfmt, testing::EndsWith(std::string(" queue=") + GetParam().logfmt));
  EXPECT_THAT(json, testing::EndsWith(std::string(",\"queue\":") + GetParam().json + "}"));
  for (const std::string& line : {logfmt, json}) {
    EXPECT_TRUE(base::IsValidUtf8(line));
    for (const char c : line) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, HostileValueTest,
    testing::Values(Hostile{"Newline", "a\nlevel=error", R"("a\x0Alevel=error")",
                            R"("a\u000Alevel=error")"},
                    Hostile{"CarriageReturn", "a\rb", R"("a\x0Db")", R"("a\u000Db")"},
                    Hostile{"Escape", "\x1B[2J", R"("\x1B[2J")", R"("\u001B[2J")"},
                    Hostile{"Nul", std::string("a\0b", 3), R"("a\x00b")", R"("a\u0000b")"},
                    Hostile{"Delete", "\x7F", R"("\x7F")", R"("\u007F")"},
                    Hostile{"NextLineOfC1", "\xC2\x85", R"("\xC2\x85")", R"("\u0085")"},
                    Hostile{"Quote", "a\"b", R"("a\"b")", R"("a\"b")"},
                    Hostile{"Backslash", "a\\b", R"("a\\b")", R"("a\\b")"},
                    Hostile{"Space", "a b", R"("a b")", R"("a b")"},
                    Hostile{"EqualsSign", "a=b", R"("a=b")", R"("a=b")"},
                    Hostile{"Empty", "", R"("")", R"("")"},
                    Hostile{"Latin1", "caf\xE9", R"("caf\xE9")", R"("caf\\xE9")"},
                    Hostile{"Utf8", "لاہور", R"("لاہور")", R"("لاہور")"}),
    [](const auto& test) { return test.param.name; });

TEST(FormatTest, ALongValueIsCutBetweenTwoCharacters) {
  std::string value;
  while (value.size() < 3 * kMaxValueBytes) value += "ü";
  const std::string line = Logfmt({{"v", "a" + value}});
  EXPECT_LT(line.size(), kMaxValueBytes + 200);
  EXPECT_THAT(line, testing::EndsWith("ü…\""));
  EXPECT_TRUE(base::IsValidUtf8(line));
}

TEST(StderrLoggerTest, WritesOneLineAnEventAndDropsWhatIsBelowItsLevel) {
  const test::FakeClock clock(absl::FromUnixSeconds(0));
  const auto logger = MakeStderrLogger(clock, {.format = Format::kLogfmt, .level = Level::kWarn});
  testing::internal::CaptureStderr();
  logger->Info("a.info", "not shown");
  logger->Warn("a.warn", "100 % {} shown", {{"n", 1}});
  logger->Error("a.error", "shown");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "time=1970-01-01T00:00:00.000000Z level=warn event=a.warn msg=\"100 % {} shown\" n=1\n"
            "time=1970-01-01T00:00:00.000000Z level=error event=a.error msg=shown\n");
}

TEST(StderrLoggerTest, ItsLevelAndFormatChangeWithTheNextEvent) {
  const test::FakeClock clock(absl::FromUnixSeconds(0));
  const auto logger = MakeStderrLogger(clock, {.format = Format::kLogfmt, .level = Level::kWarn});
  testing::internal::CaptureStderr();
  logger->Info("a.info", "not shown");
  logger->Change({.format = Format::kJson, .level = Level::kInfo});
  logger->Info("a.info", "shown");
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"info\",\"event\":\"a.info\","
            "\"msg\":\"shown\"}\n");
}

TEST(CapturingLoggerTest, KeepsEventsForTests) {
  CapturingLogger logger;
  logger.Info("a.b", "One", {{"n", 1}});
  logger.Error("a.b", "Two");
  EXPECT_EQ(logger.Count("a.b"), 2U);
  EXPECT_EQ(logger.Count("a"), 0U);
  EXPECT_TRUE(logger.WaitFor("a.b", absl::ZeroDuration()));
  EXPECT_FALSE(logger.WaitFor("b", absl::Milliseconds(1)));
  EXPECT_TRUE(logger.WaitForText("msg=One n=1", absl::ZeroDuration()));
  EXPECT_THAT(logger.Text(), Not(HasSubstr("time=")));
}

}  // namespace
}  // namespace netsentinel::log
