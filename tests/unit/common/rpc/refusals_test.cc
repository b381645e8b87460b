#include "common/rpc/refusals.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/log/capturing_logger.h"
#include "common/rpc/peer_table.h"
#include "tests/support/fake_clock.h"

namespace netsentinel::rpc {
namespace {

using testing::HasSubstr;

class RefusalsTest : public testing::Test {
 protected:
  double Counted(const char* reason) {
    return metrics_.AddCounter("netsentinel_grpc_refused_total", "", {{"reason", reason}}).value();
  }

  test::FakeClock clock_;
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  Refusals refusals_{clock_, logger_, metrics_};
};

TEST_F(RefusalsTest, ARefusalIsLoggedWithAddressNameAndReasonAndCounted) {
  refusals_.Refuse({"role", "10.0.0.7:51234", "viewer eve", "viewer eve may not connect here"});
  EXPECT_THAT(logger_.Text(), AllOf(HasSubstr("rpc.refused"), HasSubstr("reason=role"),
                                    HasSubstr("10.0.0.7:51234"), HasSubstr("viewer eve")));
  EXPECT_EQ(Counted("role"), 1);
}

TEST_F(RefusalsTest, TheSameAgainIsLoggedEveryTenSecondsWithTheNumberInBetween) {
  for (int i = 0; i < 1000; ++i) {
    refusals_.Refuse({"slow", absl::StrCat("10.0.0.7:", 1000 + i), "", "was slow"});
  }
  EXPECT_EQ(logger_.Count("rpc.refused"), 1U);
  EXPECT_EQ(Counted("slow"), 1000);
  clock_.Advance(absl::Seconds(11));
  refusals_.Refuse({"slow", "10.0.0.7:9", "", "was slow"});
  EXPECT_EQ(logger_.Count("rpc.refused"), 2U);
  EXPECT_THAT(logger_.Text(), HasSubstr("more_like_it=999"));
}

TEST_F(RefusalsTest, ManyHostsFillNeitherTheLogNorTheMemory) {
  for (int i = 0; i < 100'000; ++i) {
    refusals_.Refuse({"slow", absl::StrCat("10.0.", i / 250, ".", i % 250, ":1"), "", "was slow"});
  }
  EXPECT_EQ(logger_.Count("rpc.refused"), 20U);
  EXPECT_EQ(Counted("slow"), 100'000);
  clock_.Advance(absl::Seconds(2));
  refusals_.Refuse({"slow", "192.0.2.1:1", "", "was slow"});
  // Nothing like this one was held back; the others are another matter.
  EXPECT_THAT(logger_.Text(),
              AllOf(HasSubstr("more_like_it=0 others_untold=99980"), Not(HasSubstr("it=99980"))));
}

TEST_F(RefusalsTest, WhatIsOnlyCountedIsNotLogged) {
  refusals_.Count("left");
  EXPECT_EQ(Counted("left"), 1);
  EXPECT_EQ(logger_.Text(), "");
}

TEST(PeerTableTest, AConnectionThatIsOverIsKnownForAMinute) {
  PeerTable table;
  const PeerTable::Peer eve = {{Role::kViewer, "eve", true}, "10.0.0.7:1"};
  table.Put("a", eve);
  table.Put("b", eve);
  EXPECT_EQ(table.Find("a"), eve);
  EXPECT_EQ(table.Find("c"), std::nullopt);
  table.Retire("a", absl::Seconds(10));
  EXPECT_EQ(table.Find("a"), eve);
  table.Retire("b", absl::Seconds(80));
  EXPECT_EQ(table.Find("a"), std::nullopt);
  EXPECT_EQ(table.Find("b"), eve);
}

TEST(PeerTableTest, OfThoseThatAreOverTheOldestAreForgottenFirst) {
  PeerTable table;
  for (int i = 0; i < 5000; ++i) {
    table.Put(absl::StrCat(i), {{Role::kViewer, "eve", true}, ""});
    table.Retire(absl::StrCat(i), absl::ZeroDuration());
  }
  EXPECT_FALSE(table.Find("0"));
  EXPECT_FALSE(table.Find("903"));
  EXPECT_TRUE(table.Find("904"));
}

}  // namespace
}  // namespace netsentinel::rpc
