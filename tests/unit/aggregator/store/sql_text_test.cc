#include "aggregator/store/sql_text.h"

#include "gmock/gmock.h"

#include "aggregator/store/limits.h"
#include "aggregator/store/mysql_error.h"
#include "aggregator/store/schema.h"
#include "aggregator/store/usage_sums.h"
#include "common/base/bytes.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::store {
namespace {

using test::StatusIs;
using testing::HasSubstr;

TEST(MysqlStatement, ValuesTakeThePlacesOfTheQuestionMarks) {
  ASSERT_OK_AND_ASSIGN(
      const std::string sql,
      MysqlStatement("a = ? AND b = ? AND c = ?",
                     {Int(-5), Text("it's ?"), Bytes(absl::string_view("\0\\", 2))}));
  EXPECT_EQ(sql, "a = -5 AND b = 'it\\'s ?' AND c = _binary'\\0\\\\'");
}

TEST(MysqlStatement, TooFewAndTooManyValuesAreRefused) {
  EXPECT_THAT(MysqlStatement("a = ? AND b = ?", {Int(1)}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("1 values")));
  EXPECT_THAT(MysqlStatement("a = ?", {Int(1), Int(2)}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("2 values")));
}

TEST(MysqlText, EveryByteThatCouldEndALiteralIsEscaped) {
  std::string out;
  AppendMysqlText(out, absl::string_view("\0\n\r\x1a'\"\\\xffx", 9));
  EXPECT_EQ(out, "'\\0\\n\\r\\Z\\'\\\"\\\\\xffx'");
}

TEST(InsertShapes, EachEngineGetsItsOwnUpsert) {
  const InsertShape shape{"t", {"k", "a", "b"}, 1, true};
  EXPECT_EQ(MysqlInsertHead(shape) + "(1,2,3)" + MysqlInsertTail(shape),
            "INSERT INTO t (k,a,b) VALUES (1,2,3) ON DUPLICATE KEY UPDATE a=VALUES(a),b=VALUES(b)");
  EXPECT_EQ(SqliteInsert(shape),
            "INSERT INTO t (k,a,b) VALUES (?,?,?) ON CONFLICT (k) DO UPDATE SET"
            " a=excluded.a,b=excluded.b");
  EXPECT_EQ(MysqlInsertTail({"t", {"k"}, 1, false}), "");
  // A row that is all key is there already or is new.
  const InsertShape keys{"t", {"k", "l"}, 2, true};
  EXPECT_EQ(MysqlInsertTail(keys), " ON DUPLICATE KEY UPDATE k=VALUES(k)");
  EXPECT_EQ(SqliteInsert(keys), "INSERT INTO t (k,l) VALUES (?,?) ON CONFLICT (k,l) DO NOTHING");
}

TEST(ParseDay, DaysAreReadBackAndNothingElse) {
  ASSERT_OK_AND_ASSIGN(const absl::CivilDay day, ParseDay(DayText(absl::CivilDay(2026, 2, 3))));
  EXPECT_EQ(day, absl::CivilDay(2026, 2, 3));
  EXPECT_THAT(ParseDay("0000-00-00x"), StatusIs(absl::StatusCode::kDataLoss, testing::_));
  EXPECT_THAT(ParseCounter("18446744073709551616"),
              StatusIs(absl::StatusCode::kDataLoss, testing::_));
}

TEST(Schema, EveryTypeIsKnownToBothEngines) {
  int last = 0;
  for (const Migration& step : Migrations()) {
    EXPECT_EQ(step.version, ++last);
    for (const std::string& statement : step.statements) {
      for (const Dialect dialect : {Dialect::kSqlite, Dialect::kMysql}) {
        EXPECT_THAT(ExpandTypes(statement, dialect), testing::Not(HasSubstr("{")));
      }
    }
  }
}

TEST(MysqlStatus, ErrorsMeanWhatTheStorePromises) {
  struct Case {
    int number;
    absl::StatusCode code;
    absl::StatusCode in_commit;
  };
  using absl::StatusCode;
  const Case cases[] = {
      {2006, StatusCode::kUnavailable, StatusCode::kUnknown},
      {2013, StatusCode::kUnavailable, StatusCode::kUnknown},
      {1927, StatusCode::kUnavailable, StatusCode::kUnknown},
      {1213, StatusCode::kUnavailable, StatusCode::kUnavailable},
      {1205, StatusCode::kUnavailable, StatusCode::kUnavailable},
      {1180, StatusCode::kUnavailable, StatusCode::kUnavailable},
      {1040, StatusCode::kUnavailable, StatusCode::kUnavailable},
      {1290, StatusCode::kUnavailable, StatusCode::kUnavailable},
      {1114, StatusCode::kResourceExhausted, StatusCode::kResourceExhausted},
      {1062, StatusCode::kAlreadyExists, StatusCode::kAlreadyExists},
      {1045, StatusCode::kFailedPrecondition, StatusCode::kFailedPrecondition},
      {1712, StatusCode::kDataLoss, StatusCode::kDataLoss},
      {1264, StatusCode::kInvalidArgument, StatusCode::kInvalidArgument},
      {9999, StatusCode::kInternal, StatusCode::kUnknown},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(MysqlStatus(c.number, "m", "d", false).code(), c.code) << c.number;
    EXPECT_EQ(MysqlStatus(c.number, "m", "d", true).code(), c.in_commit) << c.number;
  }
}

TEST(StorableText, IsUtf8AndCutBetweenCharacters) {
  EXPECT_EQ(StorableText("grün"), "grün");
  EXPECT_EQ(StorableText("\xff"), "\\xFF");
  std::string text(kMaxDetailBytes - 1, 'x');
  text += "ü";
  EXPECT_EQ(StorableText(text), std::string(kMaxDetailBytes - 1, 'x'));
}

StoredUsage Day(absl::CivilDay day, std::uint64_t bytes) {
  StoredUsage usage;
  usage.queue_id = usage.subscriber_id = 1;
  usage.row.day = day;
  usage.row.counted = {bytes, 1};
  usage.row.begin_inside = {10, 0};
  usage.row.end_inside = {100, 0};
  usage.row.first_reading_us = day.day() * 100;
  usage.row.last_reading_us = day.day() * 100 + 50;
  return usage;
}

TEST(MonthSums, OnlyTheMonthsOwnEdgesKeepTheirEstimates) {
  MonthSums sums;
  sums.AddDay(Day(absl::CivilDay(2026, 1, 31), 5));
  sums.AddDay(Day(absl::CivilDay(2026, 1, 1), 7));
  sums.AddDay(Day(absl::CivilDay(2026, 1, 9), 9));
  sums.AddDay(Day(absl::CivilDay(2026, 2, 1), 11));
  const std::vector<StoredUsage> months = sums.Take();
  ASSERT_EQ(months.size(), 2u);
  EXPECT_EQ(months[0].row.counted, (base::TrafficBytes{21, 3}));
  EXPECT_EQ(months[0].row.begin_inside.upload, 10u);
  EXPECT_EQ(months[0].row.end_inside.upload, 100u);
  EXPECT_EQ(months[0].row.first_reading_us, 100);
  EXPECT_EQ(months[0].row.last_reading_us, 3150);
  EXPECT_EQ(months[1].row.end_inside.upload, 0u);
  EXPECT_TRUE(sums.Take().empty());
}

TEST(MonthSums, ADayWithoutReadingsDoesNotMoveTheFirstOne) {
  MonthSums sums;
  StoredUsage silent = Day(absl::CivilDay(2026, 1, 2), 0);
  silent.row.first_reading_us = silent.row.last_reading_us = 0;
  sums.AddDay(silent);
  sums.AddDay(Day(absl::CivilDay(2026, 1, 3), base::kMaxStoredBytes));
  sums.AddDay(Day(absl::CivilDay(2026, 1, 4), 1));
  const std::vector<StoredUsage> months = sums.Take();
  ASSERT_EQ(months.size(), 1u);
  EXPECT_EQ(months[0].row.first_reading_us, 300);
  EXPECT_EQ(months[0].row.counted.upload, base::kMaxStoredBytes);
}

}  // namespace
}  // namespace netsentinel::store
