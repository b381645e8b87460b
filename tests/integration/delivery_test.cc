#include "collector/app/delivery.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/mutex.h"
#include "common/counters/snapshot_codec.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "common/rpc/grpc_channel.h"
#include "tests/support/child_process.h"
#include "tests/support/ingest_recorder.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

// Spool and uplink on their thread, between readings from another one and an aggregator that
// counts nothing.
namespace netsentinel::app {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeliveryTest : public ::testing::Test {
 protected:
  void Start() {
    auto channel = rpc::MakeChannel({.peer = {recorder_.target(), {true, {}}}}, clock_);
    ASSERT_THAT(channel, test::IsOk());
    delivery_ = std::make_unique<Delivery>(
        spool::SpoolOptions{.folder = folder_.path()},
        uplink::UplinkOptions{
            .collector = base::CollectorId("c"), .software_version = "1", .host_boot_id = "boot"},
        Delivery::Parts{.channel = *std::move(channel),
                        .clock = clock_,
                        .random = random_,
                        .logger = logger_,
                        .aggregator_clock = aggregator_clock_},
        DeliveryCallbacks{.plan =
                              [this](const spool::RouterPlan& plan) {
                                base::MutexLock lock(mutex_);
                                plans_.push_back(plan);
                              },
                          .lease = [](const base::RouterId&, bool) {},
                          .floor =
                              [this](const base::RouterId&, std::int64_t floor_us) {
                                base::MutexLock lock(mutex_);
                                floor_us_ = floor_us;
                              }});
    ASSERT_THAT(delivery_->Start(), test::IsOk());
    delivery_->SetRouters({base::RouterId("a"), base::RouterId("b")});
  }
  void Read(const std::string& router, std::uint64_t download) {
    counters::DescriptorTable table;
    counters::QueueDescriptor descriptor;
    descriptor.name = "q";
    counters::Snapshot snapshot;
    snapshot.router = base::RouterId(router);
    snapshot.header.host_boot_id = "boot";
    snapshot.header.attribution_us = static_cast<std::int64_t>(1000 + download);
    snapshot.readings.push_back({.descriptor = table.Intern(descriptor), .download = download});
    delivery_->Take({.router = snapshot.router,
                     .menu = snapshot.menu,
                     .attribution_us = snapshot.header.attribution_us,
                     .at_boundary = false,
                     .payload = counters::EncodeSelfContained(snapshot, table),
                     .queues = 1,
                     .took = absl::ZeroDuration()});
  }
  bool Acknowledged(const std::string& router, std::size_t snapshots) {
    return recorder_.WaitUntil(
        [&] { return recorder_.acknowledged(router, v1::MENU_SIMPLE).size() >= snapshots; });
  }
  std::string DetailOf(const std::string& router) {
    for (const poll::RouterStateReport& report : delivery_->status().states) {
      if (report.router.value() == router && !report.menu.has_value()) return report.detail;
    }
    return "?";
  }

  test::TempFolder folder_;
  io::SystemClock clock_;
  base::SeededRandom random_{1};
  log::CapturingLogger logger_;
  poll::AggregatorClock aggregator_clock_{clock_};
  test::IngestRecorder recorder_;
  base::Mutex mutex_;
  std::vector<spool::RouterPlan> plans_ ABSL_GUARDED_BY(mutex_);
  std::int64_t floor_us_ ABSL_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<Delivery> delivery_;
};

TEST_F(DeliveryTest, WhyARoutersSnapshotsWaitIsSaidOfTheRouterAndTheOthersGoOn) {
  recorder_.Refuse("a", v1::REFUSAL_REASON_NOT_GRANTED);
  Start();
  for (const char* router : {"a", "b"}) {
    poll::RouterStateReport report;
    report.router = base::RouterId(router);
    report.state = poll::RouterState::kReachable;
    delivery_->ReportState(report);
  }
  Read("a", 1);
  Read("b", 1);
  ASSERT_TRUE(Acknowledged("b", 1));
  EXPECT_TRUE(test::WaitUntil([this] { return DetailOf("a") != ""; }));
  EXPECT_THAT(DetailOf("a"), HasSubstr("snapshots wait: refused by the aggregator (not granted)"));
  EXPECT_THAT(DetailOf("b"), IsEmpty());
  EXPECT_TRUE(recorder_.acknowledged("a", v1::MENU_SIMPLE).empty());
}

TEST_F(DeliveryTest, WhatWasTakenBeforeTheStopIsDeliveredByTheNextRun) {
  recorder_.WithholdAcks(true);
  recorder_.SetBoundaries({5'000});
  Start();
  Read("a", 1);
  ASSERT_TRUE(recorder_.WaitUntil([this] { return !recorder_.frames().empty(); }));
  for (std::uint64_t i = 2; i <= 40; ++i) Read("a", i);
  delivery_->Stop();
  delivery_.reset();
  recorder_.WithholdAcks(false);
  {
    base::MutexLock lock(mutex_);
    plans_.clear();
  }
  Start();
  {
    // Known before anybody answers.
    base::MutexLock lock(mutex_);
    ASSERT_FALSE(plans_.empty());
    EXPECT_EQ(plans_[0].boundary_us, std::vector<std::int64_t>{5'000});
    EXPECT_EQ(floor_us_, 1040);
  }
  EXPECT_TRUE(Acknowledged("a", 40));
}

}  // namespace
}  // namespace netsentinel::app
