#include "collector/routeros/reply_budget.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "collector/routeros/queue_menu_reader.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {
namespace {

using counters::DescriptorTable;
using counters::Menu;
using counters::QueueReading;
using test::IsOk;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Replies of one router, through the reader.
class ReplyBudgetTest : public testing::Test {
 protected:
  struct Shape {
    int queues = 1;
    std::size_t name_bytes = 8;
    std::size_t text_bytes = 0;  // of target and comment each
  };
  // Queues whose names begin with `prefix`.
  absl::Status Read(const std::string& prefix, const Shape& shape, int first_id = 1) {
    reader_.Begin();
    for (int i = 0; i < shape.queues; ++i) {
      std::string name = absl::StrCat(prefix, i, "-");
      name.resize(std::max(name.size(), shape.name_bytes), 'n');
      const std::vector<std::string> row = {
          absl::StrCat("=.id=*", absl::Hex(first_id + i)),
          absl::StrCat("=name=", name),
          absl::StrCat("=target=", std::string(shape.text_bytes, 't')),
          absl::StrCat("=comment=", std::string(shape.text_bytes, 'c')),
          "=bytes=1/2",
          "=packets=1/1"};
      reader_.AddRow(std::vector<absl::string_view>(row.begin(), row.end()));
    }
    return reader_.Finish(readings_);
  }
  DescriptorTable table_;
  QueueMenuReader reader_{Menu::kSimple, table_};
  std::vector<QueueReading> readings_;
};

TEST_F(ReplyBudgetTest, TextsWithoutMeasureAreRefusedAndTheRouterIsReadAgainWhenTheyShrink) {
  const absl::Status refused =
      Read("a", {.queues = 3'000, .name_bytes = 1'900, .text_bytes = 3'900});
  EXPECT_THAT(std::string(refused.message()),
              AllOf(HasSubstr("of 3000 queues have 29100000 bytes"), HasSubstr("shorten them")));
  EXPECT_THAT(Read("a", {.queues = 3'000, .name_bytes = 40, .text_bytes = 60}), IsOk());
  EXPECT_EQ(readings_.size(), 3'000U);
}

TEST_F(ReplyBudgetTest, ARouterOfManyOrdinaryQueuesIsTaken) {
  EXPECT_THAT(Read("pppoe-", {.queues = 190'000, .name_bytes = 40, .text_bytes = 40}), IsOk());
}

TEST_F(ReplyBudgetTest, AReplyIsGivenUpWhereItsTextIsMoreThanAnyMayHave) {
  const absl::Status refused = Read("a", {.queues = 8'000, .name_bytes = 40, .text_bytes = 4'096});
  EXPECT_THAT(std::string(refused.message()), HasSubstr("takes the texts of the reply beyond"));
}

TEST_F(ReplyBudgetTest, NewNamesInEveryReplyAreRefusedUntilTheNextDay) {
  reader_.SetDay(20'000);
  int taken = 0;
  absl::Status status;
  for (; taken < 100; ++taken) {
    status = Read(absl::StrCat("poll", taken, "-"), {.queues = 3'000, .name_bytes = 1'900});
    if (!status.ok()) break;
  }
  EXPECT_EQ(taken, 1);
  EXPECT_THAT(std::string(status.message()), HasSubstr("never seen before"));
  EXPECT_THAT(Read("poll0-", {.queues = 3'000, .name_bytes = 1'900}), IsOk()) << "known names";
  EXPECT_FALSE(Read("poll7-", {.queues = 3'000, .name_bytes = 1'900}).ok());
  reader_.SetDay(20'001);
  EXPECT_THAT(Read("poll7-", {.queues = 3'000, .name_bytes = 1'900}), IsOk());
}

TEST_F(ReplyBudgetTest, ARouterWhoseUsersDialAgainAllDayIsNeverRefused) {
  reader_.SetDay(20'000);
  for (int redial = 0; redial < 50; ++redial) {
    ASSERT_THAT(
        Read("pppoe-", {.queues = 20'000, .name_bytes = 40, .text_bytes = 20}, 1 + redial * 20'000),
        IsOk());
  }
}

}  // namespace
}  // namespace netsentinel::routeros
