#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/notifier/delivery/desk_fixture.h"

// What becomes of mails to addresses that a server calls wrong.
namespace netsentinel::delivery {
namespace {

using channel::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(DeskTest, AnAddressThatIsRefusedAgainAndAgainIsGivenUpAndNamed) {
  recipients_ = {"noc@example", "typo@example"};
  Start();
  channel_.answers = {{"typo@example", Outcome::kRejected}};
  Accept({SampleAlert(1)});
  for (int quarter = 0; quarter < 3; ++quarter) {
    Work();
    EXPECT_THAT(readiness_.Text(), HasSubstr("typo@example")) << quarter;
    clock_.Advance(absl::Minutes(15));
  }
  EXPECT_EQ(StatusFor("noc@example"), Status::kDelivered);
  EXPECT_EQ(StatusFor("typo@example"), Status::kParked);
  EXPECT_THAT(logger_.Text(), HasSubstr("delivery.parked"));
  EXPECT_THAT(readiness_.Text(), HasSubstr("mails were given up to 1 recipient: typo@example"));
  // A restart forgets it as little as a day does; a reload begins anew.
  Start();
  Work();
  EXPECT_THAT(readiness_.Text(), HasSubstr("mails were given up to 1 recipient: typo@example"));
  worker_->Unblock();
  Accept({SampleAlert(2, "karachi")});
  channel_.answers.clear();
  Work();
  EXPECT_THAT(readiness_.Text(), Not(HasSubstr("given up")));
}

TEST_F(DeskTest, AnAddressThatIsRefusedAtFirstGetsTheMailALittleLater) {
  recipients_ = {"noc@example", "new@example"};
  Start();
  channel_.answers = {{"new@example", Outcome::kRejected}};
  Accept({SampleAlert(1)});
  Work();
  channel_.answers.clear();
  clock_.Advance(absl::Minutes(15));
  Work();
  EXPECT_EQ(StatusFor("new@example"), Status::kDelivered);
}

TEST_F(DeskTest, WhileNobodysMailPassesNoAddressIsGivenUp) {
  channel_.answers = {{"noc@example", Outcome::kRejected}};
  Accept({SampleAlert(1)});
  for (int quarter = 0; quarter < 96 * 6; ++quarter) {
    Work();
    clock_.Advance(absl::Minutes(15));
  }
  EXPECT_EQ(StatusFor("noc@example"), Status::kWaiting);
  EXPECT_THAT(readiness_.Text(), HasSubstr("the server lets no mail pass"));
}

TEST_F(DeskTest, AnAlertThatNobodyGotGoesToTheCorrectedAddressAfterAReload) {
  recipients_ = {"typo@example"};
  Start();
  channel_.answers = {{"typo@example", Outcome::kRejected}};
  Accept({SampleAlert(1)});
  Work();
  clock_.Advance(absl::Seconds(60));
  channel_.sent.clear();
  desk_->Change({.channel = "smtp", .recipients = {"noc@example"}, .group = {}});
  worker_->Unblock();
  Work();
  EXPECT_THAT(Recipients(), ElementsAre("noc@example"));
  EXPECT_THAT(Subjects(), ElementsAre(HasSubstr("user-1")));
  // What somebody has is not sent again.
  worker_->Unblock();
  clock_.Advance(absl::Hours(1));
  Work();
  EXPECT_THAT(Recipients(), ElementsAre("noc@example"));
}

TEST_F(DeskTest, AReloadWithTheSameRecipientsMakesNoOtherMailOfWhatWaits) {
  recipients_ = {"a@example", "b@example"};
  Start();
  channel_.otherwise = Outcome::kRetry;
  Accept({SampleAlert(1)});
  Work();
  ASSERT_OK_AND_ASSIGN(const auto before, queue_->List(10));
  worker_->Unblock();
  channel_.sent.clear();
  Work();
  EXPECT_THAT(Recipients(), ElementsAre("a@example", "b@example"));
  ASSERT_OK_AND_ASSIGN(const auto after, queue_->List(10));
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 0; i < after.size(); ++i) {
    EXPECT_EQ(after[i].delivery_id, before[i].delivery_id);
  }
}

}  // namespace
}  // namespace netsentinel::delivery
