#include "common/rpc/admission.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace netsentinel::rpc {
namespace {

using Id = Admission::Id;
using Verdict = Admission::Verdict;

constexpr Admission::Limits kSmall = {
    .newcomers = 6, .newcomers_per_host = 4, .peers = 8, .peers_per_name = 3};

TEST(AdmissionTest, AHostsOldestNewcomerMakesRoomForItsNext) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 4; ++id) EXPECT_EQ(admission.Enter(id, "a"), std::nullopt);
  EXPECT_EQ(admission.Enter(5, "a"), std::optional<Id>(1));
  EXPECT_EQ(admission.Enter(6, "a"), std::optional<Id>(2));
  EXPECT_EQ(admission.newcomers(), 4U);
  EXPECT_EQ(admission.Enter(7, "b"), std::nullopt);
}

TEST(AdmissionTest, WhereAllIsFullTheFullestHostMakesRoom) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 4; ++id) admission.Enter(id, "flood");
  admission.Enter(5, "b");
  admission.Enter(6, "c");
  EXPECT_EQ(admission.Enter(7, "d"), std::optional<Id>(1));
  EXPECT_EQ(admission.newcomers(), 6U);
}

TEST(AdmissionTest, WhereAllHostsHaveAsManyTheOldestMakesRoom) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 30; ++id) {
    const std::optional<Id> gone = admission.Enter(id, absl::StrCat("host ", id));
    EXPECT_EQ(gone, id <= 6 ? std::nullopt : std::optional<Id>(id - 6));
  }
}

TEST(AdmissionTest, WhoHasShownACertificateCountsForItsNameAndNotForItsHost) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 6; ++id) {
    EXPECT_EQ(admission.Enter(id, "nat"), std::nullopt);
    EXPECT_EQ(admission.Prove(id, absl::StrCat("collector ", id)), Verdict::kTaken);
  }
  EXPECT_EQ(admission.newcomers(), 0U);
  EXPECT_EQ(admission.peers(), 6U);
}

TEST(AdmissionTest, ANameHasAtMostItsConnectionsUntilOneLeaves) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 3; ++id) {
    admission.Enter(id, "a");
    EXPECT_EQ(admission.Prove(id, "viewer eve"), Verdict::kTaken);
  }
  admission.Enter(4, "b");
  EXPECT_EQ(admission.Prove(4, "viewer eve"), Verdict::kNameFull);
  admission.Leave(2);
  EXPECT_EQ(admission.Prove(4, "viewer eve"), Verdict::kTaken);
  EXPECT_EQ(admission.newcomers(), 0U);
}

TEST(AdmissionTest, PlacesOfThoseWhoWereHereAreKeptForThem) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 2; ++id) {
    admission.Enter(id, "a");
    admission.Prove(id, absl::StrCat("old ", id));
    admission.Leave(id);
  }
  Id next = 10;
  int taken = 0;
  for (;; ++next, ++taken) {
    admission.Enter(next, "b");
    if (admission.Prove(next, absl::StrCat("new ", next)) != Verdict::kTaken) break;
  }
  EXPECT_EQ(taken, 6);
  EXPECT_EQ(admission.Prove(next, absl::StrCat("new ", next)), Verdict::kKeptForOthers);
  for (Id id = 1; id <= 2; ++id) {
    admission.Enter(100 + id, "a");
    EXPECT_EQ(admission.Prove(100 + id, absl::StrCat("old ", id)), Verdict::kTaken);
  }
  EXPECT_EQ(admission.Prove(next, "anybody"), Verdict::kFull);
}

TEST(AdmissionTest, WithoutAbsenteesAllPlacesAreForNewNames) {
  Admission admission(kSmall);
  for (Id id = 1; id <= 8; ++id) {
    admission.Enter(id, "a");
    EXPECT_EQ(admission.Prove(id, absl::StrCat("first ", id)), Verdict::kTaken);
  }
}

TEST(AdmissionTest, WhoIsNotKnownLeavesWithoutATrace) {
  Admission admission(kSmall);
  admission.Leave(7);
  admission.Enter(1, "a");
  admission.Leave(1);
  admission.Leave(1);
  EXPECT_EQ(admission.newcomers(), 0U);
  EXPECT_EQ(admission.peers(), 0U);
}

}  // namespace
}  // namespace netsentinel::rpc
