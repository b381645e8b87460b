#include "common/rpc/peer_trouble.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::rpc {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const PeerNames kNames = {.what = "aggregator",
                          .target = "127.0.0.1:7444",
                          .authority_file = "/c/ca.crt",
                          .certificate_file = "/c/anna.crt",
                          .authority_key = "--ca",
                          .certificate_key = "--cert",
                          .other = "notifier"};

std::string Explained(const absl::Status& status) {
  return std::string(ExplainTrouble(status, kNames).message());
}

TEST(PeerTroubleTest, AServerOfAnotherKindIsNamed) {
  EXPECT_THAT(Explained(absl::UnimplementedError("")),
              AllOf(HasSubstr("127.0.0.1:7444 is not an aggregator"),
                    HasSubstr("is this the notifier's port")));
}

TEST(PeerTroubleTest, WhatIsBelowGrpcIsToldInWordsOfOurs) {
  EXPECT_THAT(Explained(absl::UnavailableError(
                  "failed to connect to all addresses; last error: UNKNOWN: "
                  "ipv4:127.0.0.1:7444: Failed to connect to remote host: Connection refused")),
              AllOf(HasSubstr("cannot reach the aggregator at 127.0.0.1:7444"),
                    HasSubstr("is it running"), Not(HasSubstr("ipv4:"))));
  EXPECT_THAT(Explained(absl::DeadlineExceededError("Deadline Exceeded")),
              HasSubstr("the aggregator at 127.0.0.1:7444 has not answered in time"));
  EXPECT_THAT(Explained(absl::UnavailableError("tlsv1 alert certificate revoked")),
              HasSubstr("does not take the certificate --cert /c/anna.crt"));
}

TEST(PeerTroubleTest, NoErrorIsWithoutWordsAndTheServersOwnStay) {
  EXPECT_THAT(Explained(absl::InternalError("")),
              AllOf(HasSubstr("refused without a reason"), HasSubstr("INTERNAL")));
  EXPECT_EQ(Explained(absl::NotFoundError("there is no site \"x\"")), "there is no site \"x\"");
  EXPECT_EQ(ExplainTrouble(absl::OkStatus(), kNames), absl::OkStatus());
}

}  // namespace
}  // namespace netsentinel::rpc
