#include "aggregator/ingest/wire.h"

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::ingest {
namespace {

using test::StatusIs;
using ::testing::HasSubstr;

std::shared_ptr<v1::IngestRequest> Request() { return std::make_shared<v1::IngestRequest>(); }

TEST(WireTest, AnEmptyMessageIsNoProtocol) {
  EXPECT_THAT(FromWire(Request()),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("known")));
}

TEST(WireTest, ARouterIdMustBeAnId) {
  auto request = Request();
  request->mutable_snapshot()->set_router_id("../etc");
  EXPECT_THAT(FromWire(request),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("router_id")));
}

TEST(WireTest, ABrokenSnapshotKeepsItsAddressSoThatOnlyItsRouterIsRefused) {
  auto request = Request();
  request->mutable_snapshot()->set_router_id("hq");
  request->mutable_snapshot()->set_menu(v1::MENU_TREE);
  request->mutable_snapshot()->set_sequence(4);
  request->mutable_snapshot()->set_spool_uuid("short");
  ASSERT_OK_AND_ASSIGN(CollectorMessage message, FromWire(request));
  const auto& part = std::get<SnapshotPart>(message);
  EXPECT_EQ(part.router.value(), "hq");
  EXPECT_EQ(part.offered.position.sequence, 4U);
  EXPECT_THAT(part.defect, StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("16 bytes")));
}

TEST(WireTest, AMergedStepNeedsColumnsOfOneLength) {
  auto request = Request();
  v1::SnapshotFrame* frame = request->mutable_snapshot();
  frame->set_router_id("hq");
  frame->set_menu(v1::MENU_SIMPLE);
  frame->set_spool_uuid(std::string(16, 'u'));
  frame->add_steps()->add_upload(1);
  ASSERT_OK_AND_ASSIGN(CollectorMessage message, FromWire(request));
  EXPECT_THAT(std::get<SnapshotPart>(message).defect,
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("unequal")));
}

TEST(WireTest, AHeaderKeepsThePausesOfTheHost) {
  for (const bool decided : {true, false}) {
    auto request = Request();
    v1::SnapshotFrame* frame = request->mutable_snapshot();
    frame->set_router_id("hq");
    frame->set_menu(v1::MENU_SIMPLE);
    frame->set_spool_uuid(std::string(16, 'u'));
    frame->mutable_header()->set_host_paused_us(decided ? 45'000'000 : 0);
    frame->mutable_header()->set_pause_decided(decided);
    ASSERT_OK_AND_ASSIGN(CollectorMessage message, FromWire(std::move(request)));
    const auto& part = std::get<SnapshotPart>(message);
    ASSERT_TRUE(part.columns.header.has_value());
    EXPECT_EQ(part.columns.header->host_paused_us, decided ? 45'000'000 : 0);
    EXPECT_EQ(part.columns.header->pause_decided, decided);
  }
}

TEST(WireTest, ColumnsLookIntoTheMessageTheyKeepAlive) {
  auto request = Request();
  v1::SnapshotFrame* frame = request->mutable_snapshot();
  frame->set_router_id("hq");
  frame->set_menu(v1::MENU_SIMPLE);
  frame->set_spool_uuid(std::string(16, 'u'));
  frame->add_queue_index(3);
  frame->add_upload(-5);
  ASSERT_OK_AND_ASSIGN(CollectorMessage message, FromWire(std::move(request)));
  const auto& part = std::get<SnapshotPart>(message);
  ASSERT_EQ(part.columns.upload.size(), 1U);
  EXPECT_EQ(part.columns.upload[0], -5);
}

}  // namespace
}  // namespace netsentinel::ingest
