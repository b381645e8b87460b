#include "collector/uplink/wire.h"

#include <string>
#include <utility>
#include <variant>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::uplink {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;

TEST(WireTest, AWelcomeOfAnotherVersionSaysWhichToUpgrade) {
  v1::IngestResponse response;
  response.mutable_welcome()->set_protocol_version(2);
  EXPECT_THAT(FromWire(response),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("upgrade the older")));
}

TEST(WireTest, AMessageOfALaterVersionIsNoError) {
  EXPECT_THAT(FromWire(v1::IngestResponse()),
              StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("nothing of it")));
}

TEST(WireTest, AnAckWithoutItsMenuIsRefused) {
  v1::IngestResponse response;
  response.mutable_ack()->set_router_id("r");
  EXPECT_THAT(FromWire(response), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("menu")));
}

TEST(WireTest, AWelcomeKeepsLeaseResumePointsAndBoundaries) {
  v1::IngestResponse response;
  v1::Welcome* welcome = response.mutable_welcome();
  welcome->set_protocol_version(1);
  welcome->set_credit_bytes(5);
  v1::RouterWelcome* router = welcome->add_routers();
  router->set_router_id("r");
  router->mutable_lease()->set_lease_epoch(9);
  router->mutable_lease()->set_ttl_ms(1000);
  router->add_boundary_us(-1);
  router->add_boundary_us(7);
  v1::ResumePoint* point = router->add_resume_points();
  point->set_menu(v1::MENU_TREE);
  point->set_sequence(4);
  point->set_spool_uuid(std::string(16, 'u'));
  welcome->add_routers()->set_router_id("not-granted");
  ASSERT_OK_AND_ASSIGN(const AggregatorMessage message, FromWire(response));
  const auto& plain = std::get<WelcomeMessage>(message);
  ASSERT_EQ(plain.routers.size(), 2U);
  EXPECT_EQ(plain.routers[0].lease->lease_epoch, 9U);
  EXPECT_EQ(plain.routers[0].boundary_us, (std::vector<std::int64_t>{-1, 7}));
  EXPECT_EQ(plain.routers[0].resume_points[0].menu, counters::Menu::kTree);
  EXPECT_EQ(plain.routers[0].resume_points[0].sequence, 4U);
  EXPECT_FALSE(plain.routers[1].lease.has_value());
}

TEST(WireTest, AHeaderSaysHowLongTheHostStoodStillAndWhetherThatIsKnown) {
  FrameMessage frame;
  frame.key = {base::RouterId("r"), counters::Menu::kSimple};
  frame.columns.header = counters::SnapshotHeader();
  frame.columns.header->host_paused_us = 45'000'000;
  frame.columns.header->pause_decided = true;
  const v1::IngestRequest sent = ToWire(CollectorMessage(std::move(frame)));
  EXPECT_EQ(sent.snapshot().header().host_paused_us(), 45'000'000);
  EXPECT_TRUE(sent.snapshot().header().pause_decided());
}

// One string that is not UTF-8 would end the stream for every router of the collector.
TEST(WireTest, TextsThatAreNotUtf8AreEscaped) {
  counters::DeviceIdentity device;
  device.serial_number = "SN\xFF";
  device.system_id = "\xC3\x28";
  device.identity = "raw \xE9";
  device.board_name = "caf\xC3\xA9";
  device.version = "7\xFE";
  poll::RouterStateReport report;
  report.router = base::RouterId("r");
  report.detail = "said \xFF";
  report.device = device;
  FrameMessage frame;
  frame.key = {base::RouterId("r"), counters::Menu::kSimple};
  frame.columns.header = counters::SnapshotHeader();
  frame.columns.header->device = device;
  const v1::IngestRequest state = ToWire(CollectorMessage(report));
  const v1::IngestRequest snapshot = ToWire(CollectorMessage(std::move(frame)));
  for (const v1::IngestRequest* sent : {&state, &snapshot}) {
    v1::IngestRequest received;
    ASSERT_TRUE(received.ParseFromString(sent->SerializeAsString()));
    const v1::DeviceIdentity& got = received.has_router_state()
                                        ? received.router_state().device()
                                        : received.snapshot().header().device();
    EXPECT_EQ(got.serial_number(), "SN\\xFF");
    EXPECT_EQ(got.system_id(), "\\xC3(");
    EXPECT_EQ(got.identity(), "raw \xE9");
    EXPECT_EQ(got.board_name(), "caf\xC3\xA9");
    EXPECT_EQ(got.version(), "7\\xFE");
  }
  EXPECT_EQ(state.router_state().detail(), "said \\xFF");
}

}  // namespace
}  // namespace netsentinel::uplink
