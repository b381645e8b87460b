#include "collector/uplink/uplink.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/check.h"
#include "common/counters/snapshot_codec.h"
#include "common/log/capturing_logger.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::uplink {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The stream at hand, as the aggregator sees it.
struct FakeStream {
  IngestStreamListener* listener = nullptr;
  std::vector<CollectorMessage> sent;
  bool alive = true;
};

class FakeConnector final : public IngestConnector {
 public:
  class Stream final : public IngestStream {
   public:
    explicit Stream(std::shared_ptr<FakeStream> fake) : fake_(std::move(fake)) {}
    ~Stream() override { fake_->alive = false; }
    std::size_t Send(CollectorMessage message) override {
      fake_->sent.push_back(std::move(message));
      return 1000;
    }

   private:
    std::shared_ptr<FakeStream> fake_;
  };
  std::unique_ptr<IngestStream> Open(IngestStreamListener& listener) override {
    streams.push_back(std::make_shared<FakeStream>());
    streams.back()->listener = &listener;
    return std::make_unique<Stream>(streams.back());
  }
  std::vector<std::shared_ptr<FakeStream>> streams;
};

class UplinkTest : public ::testing::Test, private UplinkListener {
 protected:
  UplinkTest() : aggregator_clock_(clock_) { Restart(); }

  void Restart(std::int64_t file_pages_max = 0) {
    uplink_.reset();
    keeper_.reset();
    keeper_ = std::make_unique<spool::SpoolKeeper>(
        spool::SpoolOptions{.folder = folder_.path(), .file_pages_max = file_pages_max}, clock_,
        random_, logger_);
    ASSERT_THAT(keeper_->Start(), test::IsOk());
    uplink_ = std::make_unique<Uplink>(
        UplinkOptions{
            .collector = base::CollectorId("c"), .software_version = "1", .host_boot_id = "boot"},
        Uplink::Parts{*keeper_, clock_, random_, logger_, aggregator_clock_, connector_, *this});
    uplink_->SetRouters({base::RouterId("a"), base::RouterId("b")});
  }

  static spool::MenuKey Key(const std::string& router) {
    return {base::RouterId(router), counters::Menu::kSimple};
  }
  // Writes a snapshot of one queue.
  void Spool(const std::string& router, std::uint64_t download) {
    counters::DescriptorTable table;
    counters::QueueDescriptor descriptor;
    descriptor.name = "q";
    counters::Snapshot snapshot;
    snapshot.router = base::RouterId(router);
    snapshot.header.host_boot_id = "boot";
    snapshot.readings.push_back({.descriptor = table.Intern(descriptor), .download = download});
    keeper_->Take({.key = Key(router),
                   .lease_epoch = uplink_->LeaseEpoch(base::RouterId(router)),
                   .payload = counters::EncodeSelfContained(snapshot, table)});
    uplink_->OnSpooled({Key(router)});
  }
  FakeStream& stream() { return *connector_.streams.back(); }
  void Connect() {
    clock_.Advance(absl::Minutes(1));
    uplink_->Tick();
  }
  WelcomeMessage Welcome(const std::vector<std::string>& routers, std::uint64_t epoch = 5) {
    WelcomeMessage welcome{.protocol_version = 1,
                           .aggregator_time_us = absl::ToUnixMicros(clock_.WallNow()),
                           .aggregator_id = "agg",
                           .routers = {},
                           .credit_bytes = 1 << 20};
    for (const std::string& router : routers) {
      RouterWelcome entry;
      entry.router = base::RouterId(router);
      entry.lease = LeaseGrantMessage{entry.router, epoch, 30'000};
      welcome.routers.push_back(std::move(entry));
    }
    return welcome;
  }
  void Say(AggregatorMessage message) { stream().listener->OnMessage(std::move(message)); }
  void ConnectAndWelcome() {
    Connect();
    Say(Welcome({"a", "b"}));
  }
  void Ack(const std::string& router, std::uint64_t sequence) {
    Say(AckMessage{.key = Key(router),
                   .lease_epoch = 5,
                   .sequence = sequence,
                   .aggregator_time_us = absl::ToUnixMicros(clock_.WallNow())});
  }
  static RefusalMessage Refused(const std::string& router, std::uint64_t sequence,
                                RefusalReason reason) {
    return {.router = base::RouterId(router),
            .menu = counters::Menu::kSimple,
            .sequence = sequence,
            .reason = reason,
            .detail = "the detail"};
  }
  // Sequences of the frames of one router on the stream at hand.
  std::vector<std::uint64_t> Sent(const std::string& router) {
    std::vector<std::uint64_t> sequences;
    for (const CollectorMessage& message : stream().sent) {
      const auto* frame = std::get_if<FrameMessage>(&message);
      if (frame != nullptr && frame->key.router.value() == router) {
        sequences.push_back(frame->sequence);
      }
    }
    return sequences;
  }
  const FrameMessage& LastFrame() {
    const FrameMessage* last = nullptr;
    for (const CollectorMessage& message : stream().sent) {
      if (const auto* frame = std::get_if<FrameMessage>(&message)) last = frame;
    }
    NS_CHECK(last != nullptr, "no frame was sent");
    return *last;
  }

  static poll::RouterStateReport StateOfA(poll::RouterState state) {
    poll::RouterStateReport report;
    report.router = base::RouterId("a");
    report.state = state;
    return report;
  }

  void OnPlan(const spool::RouterPlan& plan) override { plans_.push_back(plan); }
  void OnLease(const base::RouterId& router, bool may_poll) override {
    leases_.emplace_back(router.value(), may_poll);
  }

  test::TempFolder folder_;
  test::FakeClock clock_;
  base::SeededRandom random_{1};
  log::CapturingLogger logger_;
  poll::AggregatorClock aggregator_clock_;
  FakeConnector connector_;
  std::unique_ptr<spool::SpoolKeeper> keeper_;
  std::unique_ptr<Uplink> uplink_;
  std::vector<spool::RouterPlan> plans_;
  std::vector<std::pair<std::string, bool>> leases_;
};

TEST_F(UplinkTest, SaysHelloWithTheSpoolsPositionsAndSendsOnlyAfterTheWelcome) {
  Spool("a", 10);
  Connect();
  ASSERT_THAT(stream().sent, SizeIs(1));
  const auto& hello = std::get<HelloMessage>(stream().sent[0]);
  EXPECT_EQ(hello.spool_uuid, keeper_->spool()->uuid());
  ASSERT_THAT(hello.routers, SizeIs(2));
  ASSERT_THAT(hello.routers[0].positions, SizeIs(1));
  EXPECT_EQ(hello.routers[0].positions[0].newest_sequence, 1U);
  EXPECT_FALSE(uplink_->connected());
  Say(Welcome({"a", "b"}));
  EXPECT_TRUE(uplink_->connected());
  EXPECT_THAT(Sent("a"), ElementsAre(1));
  EXPECT_TRUE(LastFrame().columns.absolute);
  EXPECT_TRUE(LastFrame().columns.last_part);
}

TEST_F(UplinkTest, AfterTheFirstSnapshotFramesHoldDifferences) {
  ConnectAndWelcome();
  Spool("a", 10);
  Spool("a", 25);
  EXPECT_FALSE(LastFrame().columns.absolute);
  EXPECT_THAT(LastFrame().columns.download, ElementsAre(15));
  EXPECT_EQ(LastFrame().lease_epoch, 5U);
  EXPECT_EQ(LastFrame().previous_sequence, 1U);
}

TEST_F(UplinkTest, WhatIsAcknowledgedIsNeverSentAgainAndTheRestIsAfterAReconnect) {
  ConnectAndWelcome();
  for (std::uint64_t i = 1; i <= 4; ++i) Spool("a", i);
  Ack("a", 2);
  stream().listener->OnClosed(absl::UnavailableError("gone"));
  EXPECT_FALSE(uplink_->connected());
  Restart();
  Connect();
  WelcomeMessage welcome = Welcome({"a", "b"});
  welcome.routers[0].resume_points.push_back({.menu = counters::Menu::kSimple,
                                              .lease_epoch = 5,
                                              .spool_uuid = keeper_->spool()->uuid(),
                                              .sequence = 2});
  Say(std::move(welcome));
  EXPECT_THAT(Sent("a"), ElementsAre(3, 4));
}

TEST_F(UplinkTest, ALostAcknowledgementIsMadeGoodByTheResumePoint) {
  ConnectAndWelcome();
  Spool("a", 1);
  Spool("a", 2);
  stream().listener->OnClosed(absl::UnavailableError("gone"));
  Connect();
  WelcomeMessage welcome = Welcome({"a", "b"});
  welcome.routers[0].resume_points.push_back({.menu = counters::Menu::kSimple,
                                              .lease_epoch = 5,
                                              .spool_uuid = keeper_->spool()->uuid(),
                                              .sequence = 2});
  Say(std::move(welcome));
  EXPECT_THAT(Sent("a"), IsEmpty());
  EXPECT_EQ(keeper_->spool()->stats().waiting_rows, 0U);
}

TEST_F(UplinkTest, ASpoolBehindTheResumePointTakesANewUuidAndSaysHelloAgain) {
  Spool("a", 1);
  Connect();
  const std::string uuid = keeper_->spool()->uuid();
  WelcomeMessage welcome = Welcome({"a", "b"});
  welcome.routers[0].resume_points.push_back(
      {.menu = counters::Menu::kSimple, .lease_epoch = 5, .spool_uuid = uuid, .sequence = 900});
  Say(std::move(welcome));
  EXPECT_FALSE(uplink_->connected());
  uplink_->Tick();
  const auto& hello = std::get<HelloMessage>(stream().sent[0]);
  EXPECT_NE(hello.spool_uuid, uuid);
  EXPECT_EQ(logger_.Count("spool.behind"), 1U);
}

TEST_F(UplinkTest, ARefusalHoldsUpOnlyItsRouterAndIsTriedAgainLater) {
  ConnectAndWelcome();
  Spool("a", 1);
  Say(RefusalMessage{.router = base::RouterId("a"),
                     .menu = counters::Menu::kSimple,
                     .sequence = 1,
                     .reason = RefusalReason::kNotGranted,
                     .detail = "grant a to c"});
  Spool("a", 2);
  Spool("b", 3);
  EXPECT_THAT(Sent("a"), ElementsAre(1));
  EXPECT_THAT(Sent("b"), ElementsAre(3));
  EXPECT_THAT(uplink_->HeldBack(base::RouterId("a")), HasSubstr("grant a to c"));
  EXPECT_TRUE(uplink_->connected());
  Ack("b", 3);
  clock_.Advance(absl::Seconds(31));
  uplink_->Tick();
  EXPECT_THAT(Sent("a"), ElementsAre(1, 1, 2));
  EXPECT_FALSE(LastFrame().columns.absolute);
}

TEST_F(UplinkTest, ARouterRefusedBeforeTheWelcomeHoldsUpNoneOfTheOthers) {
  Spool("a", 1);
  Spool("b", 2);
  Connect();
  Say(Refused("a", 0, RefusalReason::kNotGranted));
  Say(Welcome({"b"}));
  EXPECT_TRUE(uplink_->connected());
  EXPECT_THAT(Sent("b"), ElementsAre(2));
  EXPECT_THAT(Sent("a"), IsEmpty());
  // For as long as the stream lives, since it will not be granted on it.
  clock_.Advance(absl::Hours(1));
  EXPECT_THAT(uplink_->HeldBack(base::RouterId("a")), HasSubstr("the detail"));
  EXPECT_THAT(uplink_->HeldBack(base::RouterId("b")), IsEmpty());
}

TEST_F(UplinkTest, ARouterThatIsConfiguredNowhereIsOfferedForADayAndThenDropped) {
  Spool("a", 1);
  Spool("b", 2);
  uplink_->SetRouters({base::RouterId("b")});
  Connect();
  Say(Refused("a", 0, RefusalReason::kUnknownRouter));
  Say(Welcome({"b"}));
  EXPECT_EQ(keeper_->spool()->Waiting(base::RouterId("a")), 1U);
  clock_.Advance(absl::Hours(25));
  stream().listener->OnClosed(absl::UnavailableError("gone"));
  Connect();
  EXPECT_THAT(std::get<HelloMessage>(stream().sent[0]).routers, SizeIs(2));
  Say(Refused("a", 0, RefusalReason::kUnknownRouter));
  EXPECT_EQ(keeper_->spool()->Waiting(base::RouterId("a")), 0U);
  EXPECT_EQ(keeper_->spool()->Waiting(base::RouterId("b")), 1U);
  EXPECT_EQ(logger_.Count("uplink.router_dropped"), 1U);
  stream().listener->OnClosed(absl::UnavailableError("gone"));
  Connect();
  EXPECT_THAT(std::get<HelloMessage>(stream().sent[0]).routers, SizeIs(1));
}

TEST_F(UplinkTest, ARouterOfTheConfigurationIsNeverDropped) {
  Spool("a", 1);
  clock_.Advance(absl::Hours(25));
  Connect();
  Say(Refused("a", 0, RefusalReason::kNotGranted));
  EXPECT_EQ(keeper_->spool()->Waiting(base::RouterId("a")), 1U);
}

TEST_F(UplinkTest, ASnapshotRefusedThreeTimesForWhatItIsMakesWayForTheNext) {
  ConnectAndWelcome();
  Spool("a", 1);
  Spool("a", 2);
  for (int time = 1; time <= 3; ++time) {
    EXPECT_EQ(LastFrame().sequence, 2U) << time;
    Say(Refused("a", 1, RefusalReason::kMalformed));
    if (time == 3) break;
    // The one behind it has nothing to follow; its refusal comes late.
    Say(Refused("a", 2, RefusalReason::kMalformed));
    clock_.Advance(absl::Minutes(5));
    uplink_->Tick();
  }
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 1, 2, 1, 2, 2));
  EXPECT_EQ(LastFrame().previous_sequence, 0U);
  EXPECT_TRUE(LastFrame().columns.absolute);
  EXPECT_EQ(keeper_->spool()->stats().damaged_rows, 1U);
  keeper_->Tick();
  EXPECT_EQ(logger_.Count("spool.row_set_aside"), 1U);
}

TEST_F(UplinkTest, ASnapshotRefusedForWhereItComesFromIsKept) {
  ConnectAndWelcome();
  Spool("a", 1);
  for (int time = 1; time <= 5; ++time) {
    Say(Refused("a", 1, RefusalReason::kLease));
    clock_.Advance(absl::Minutes(20));
    uplink_->Tick();
  }
  EXPECT_EQ(keeper_->spool()->stats().damaged_rows, 0U);
  EXPECT_EQ(keeper_->spool()->Waiting(base::RouterId("a")), 1U);
}

TEST_F(UplinkTest, ALeaseGrantedToAnotherSpoolStampsNothing) {
  ConnectAndWelcome();
  EXPECT_EQ(uplink_->LeaseEpoch(base::RouterId("a")), 5U);
  ASSERT_THAT(keeper_->spool()->TakeNewUuid(), test::IsOk());
  EXPECT_EQ(uplink_->LeaseEpoch(base::RouterId("a")), 0U);
  uplink_->Tick();  // notices,
  uplink_->Tick();  // and says hello anew
  Say(Welcome({"a", "b"}, 6));
  EXPECT_EQ(uplink_->LeaseEpoch(base::RouterId("a")), 6U);
}

TEST_F(UplinkTest, NeitherDoesOneOfAnEarlierRunWhenTheSpoolHasANewUuid) {
  ConnectAndWelcome();
  ASSERT_THAT(keeper_->spool()->TakeNewUuid(), test::IsOk());
  Restart();
  uplink_->RestorePlans();
  EXPECT_EQ(uplink_->LeaseEpoch(base::RouterId("a")), 0U);
}

TEST_F(UplinkTest, OnAFullDiskWhatIsSpooledIsDeliveredAllTheSame) {
  Spool("a", 1);
  const auto fill = [this] {
    while (keeper_->spool()
               ->Append({{spool::NewRow{.key = Key("b"), .payload = std::string(3000, 'x')}}})
               .ok()) {
    }
  };
  Restart(/*file_pages_max=*/40);
  fill();
  Connect();
  WelcomeMessage welcome = Welcome({"a"});
  // More than fits into the pages there are.
  for (std::int64_t i = 0; i < 900; ++i) {
    welcome.routers[0].boundary_us.push_back(std::int64_t{1} << 50);
  }
  plans_.clear();
  Say(std::move(welcome));
  EXPECT_TRUE(uplink_->connected());
  ASSERT_THAT(plans_, SizeIs(1));
  EXPECT_THAT(Sent("a"), ElementsAre(1));
  Ack("a", 1);
  uplink_->Tick();
  EXPECT_TRUE(uplink_->connected());
}

TEST_F(UplinkTest, AcknowledgementsThatAFullDiskDoesNotTakeStayInMemoryWithoutADisconnect) {
  Restart(/*file_pages_max=*/60);
  std::vector<std::string> routers;
  std::vector<base::RouterId> ids;
  // Fills the file with menus whose entries grow when their positions are written.
  while (keeper_->health().ok() && routers.size() < 2000) {
    routers.push_back(absl::StrCat("router-", routers.size()));
    ids.emplace_back(routers.back());
    Spool(routers.back(), 1);
  }
  ASSERT_LT(routers.size(), 2000U);
  routers.pop_back();  // its row is in memory
  ids.pop_back();
  uplink_->SetRouters(ids);
  Connect();
  WelcomeMessage welcome = Welcome(routers);
  welcome.credit_bytes = std::uint64_t{1} << 30;
  Say(std::move(welcome));
  for (std::uint64_t i = 0; i < routers.size(); ++i) Ack(routers[i], i + 1);
  uplink_->Tick();
  EXPECT_TRUE(uplink_->connected());
  ASSERT_GT(keeper_->spool()->stats().waiting_rows, 0U);
  clock_.Advance(absl::Seconds(10));
  uplink_->Tick();
  EXPECT_TRUE(uplink_->connected());
  for (const std::string& router : routers) EXPECT_THAT(Sent(router), SizeIs(1));
}

TEST_F(UplinkTest, AMenuWithABacklogLetsTheOthersTakeTurns) {
  for (std::uint64_t i = 1; i <= 20; ++i) Spool("a", i);  // 1 … 20
  Spool("b", 1);                                          // 21
  Connect();
  WelcomeMessage welcome = Welcome({"a", "b"});
  welcome.credit_bytes = 3500;
  Say(std::move(welcome));
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 3));
  EXPECT_THAT(Sent("b"), IsEmpty());
  Ack("a", 1);
  EXPECT_THAT(Sent("b"), ElementsAre(21));
}

TEST_F(UplinkTest, AfterTwoFailedPollsTheLeaseIsNotExtendedUntilOneSucceeds) {
  const auto reports = [this] {
    return std::count_if(stream().sent.begin(), stream().sent.end(), [](const auto& message) {
      const auto* report = std::get_if<LeaseReportMessage>(&message);
      return report != nullptr && report->router.value() == "a";
    });
  };
  const auto later = [this] {
    clock_.Advance(absl::Seconds(11));
    uplink_->Tick();
  };
  ConnectAndWelcome();
  uplink_->OnPolled(base::RouterId("a"), false);
  later();
  EXPECT_EQ(reports(), 1);
  uplink_->OnPolled(base::RouterId("a"), false);
  later();
  EXPECT_EQ(reports(), 1);
  uplink_->OnPolled(base::RouterId("a"), true);
  later();
  EXPECT_EQ(reports(), 2);
}

TEST_F(UplinkTest, AGapIsSentAgainFromWhereTheAggregatorStands) {
  ConnectAndWelcome();
  for (std::uint64_t i = 1; i <= 3; ++i) Spool("a", i * 10);
  const RefusalMessage gap{.router = base::RouterId("a"),
                           .menu = counters::Menu::kSimple,
                           .sequence = 3,
                           .reason = RefusalReason::kGap,
                           .detail = "",
                           .expected_sequence = 1};
  Say(gap);
  // A second one of the same burst asks for nothing more.
  Say(gap);
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 3));
  clock_.Advance(absl::Seconds(1));
  uplink_->Tick();
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 3, 2, 3));
}

TEST_F(UplinkTest, KeepsToTheCreditAndGoesOnWithAcknowledgements) {
  Connect();
  WelcomeMessage welcome = Welcome({"a", "b"});
  welcome.credit_bytes = 3500;
  Say(std::move(welcome));
  for (std::uint64_t i = 1; i <= 6; ++i) Spool("a", i);
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 3));
  Ack("a", 2);
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 3, 4, 5));
  Say(CreditMessage{1000});
  EXPECT_THAT(Sent("a"), ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST_F(UplinkTest, ASnapshotLargerThanTheCreditStillTravelsAlone) {
  Connect();
  WelcomeMessage welcome = Welcome({"a", "b"});
  welcome.credit_bytes = 10;
  Say(std::move(welcome));
  Spool("a", 1);
  Spool("a", 2);
  EXPECT_THAT(Sent("a"), ElementsAre(1));
}

TEST_F(UplinkTest, AStreamWithoutAnswersIsTakenForDead) {
  ConnectAndWelcome();
  Spool("a", 1);
  clock_.Advance(absl::Seconds(31));
  uplink_->Tick();
  EXPECT_FALSE(uplink_->connected());
  EXPECT_FALSE(connector_.streams[0]->alive);
  EXPECT_THAT(uplink_->trouble(), HasSubstr("no answer"));
}

TEST_F(UplinkTest, AnAggregatorThatNeverWelcomesIsLeft) {
  Connect();
  clock_.Advance(absl::Seconds(11));
  uplink_->Tick();
  EXPECT_FALSE(stream().alive);
  EXPECT_THAT(uplink_->trouble(), HasSubstr("no welcome"));
}

TEST_F(UplinkTest, AWithdrawnLeaseStopsPollingUntilTheNextGrant) {
  ConnectAndWelcome();
  leases_.clear();
  Say(WithdrawalMessage{base::RouterId("a"), 5, "another collector took over"});
  Spool("a", 1);
  EXPECT_THAT(Sent("a"), IsEmpty());
  Say(LeaseGrantMessage{base::RouterId("a"), 7, 30'000});
  EXPECT_THAT(leases_, ElementsAre(std::pair("a", false), std::pair("a", true)));
  EXPECT_THAT(Sent("a"), ElementsAre(1));
  EXPECT_EQ(uplink_->LeaseEpoch(base::RouterId("a")), 7U);
}

TEST_F(UplinkTest, PlansOutliveARestartWithoutTheAggregator) {
  Connect();
  WelcomeMessage welcome = Welcome({"a"});
  welcome.routers[0].boundary_us = {100, 200};
  welcome.routers[0].poll_interval_ms = 1500;
  Say(std::move(welcome));
  plans_.clear();
  Restart();
  uplink_->RestorePlans();
  ASSERT_THAT(plans_, SizeIs(1));
  EXPECT_THAT(plans_[0].boundary_us, ElementsAre(100, 200));
  EXPECT_EQ(plans_[0].poll_interval_ms, 1500U);
  EXPECT_EQ(uplink_->LeaseEpoch(base::RouterId("a")), 5U);
}

TEST_F(UplinkTest, StatesAreSentOnceAfterEachWelcomeAndWhenTheyChange) {
  uplink_->ReportState(StateOfA(poll::RouterState::kUnreachable));
  const auto states = [this] {
    return std::count_if(stream().sent.begin(), stream().sent.end(), [](const auto& message) {
      return std::holds_alternative<poll::RouterStateReport>(message);
    });
  };
  ConnectAndWelcome();
  EXPECT_EQ(states(), 1);
  uplink_->ReportState(StateOfA(poll::RouterState::kReachable));
  EXPECT_EQ(states(), 2);
  stream().listener->OnClosed(absl::OkStatus());
  ConnectAndWelcome();
  EXPECT_EQ(states(), 1);
}

TEST_F(UplinkTest, LeasesAreExtendedWhileNothingIsApplied) {
  ConnectAndWelcome();
  clock_.Advance(absl::Seconds(11));
  uplink_->Tick();
  const bool reported = std::any_of(
      stream().sent.begin(), stream().sent.end(),
      [](const auto& message) { return std::holds_alternative<LeaseReportMessage>(message); });
  EXPECT_TRUE(reported);
}

TEST_F(UplinkTest, TheAggregatorsTimeIsLearnedFromTheWelcome) {
  Connect();
  WelcomeMessage welcome = Welcome({"a"});
  welcome.aggregator_time_us += 3'600'000'000;
  Say(std::move(welcome));
  const poll::AttributedTime now = aggregator_clock_.Now();
  EXPECT_EQ(now.clock, counters::AttributionClock::kAggregator);
  EXPECT_EQ(now.time, clock_.WallNow() + absl::Hours(1));
}

TEST_F(UplinkTest, ASpooledRowThatCannotBeReadIsSetAsideAndTheNextFollows) {
  keeper_->Take({.key = Key("a"), .payload = "no snapshot"});
  Spool("a", 2);
  ConnectAndWelcome();
  EXPECT_THAT(Sent("a"), ElementsAre(2));
  EXPECT_EQ(LastFrame().previous_sequence, 0U);
}

}  // namespace
}  // namespace netsentinel::uplink
