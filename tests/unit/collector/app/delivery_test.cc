#include "collector/app/delivery.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/grpcpp.h>

#include "common/io/os_random.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::app {
namespace {

using test::IsOk;
using testing::HasSubstr;
using testing::SizeIs;

TEST(DeliveryTest, ACollectorWhoseDiskIsFullSaysSoOfEachOfItsRouters) {
  const test::TempFolder folder;
  const io::SystemClock clock;
  io::OsRandom random;
  log::CapturingLogger logger;
  poll::AggregatorClock aggregator_clock(clock);
  // The file may grow to so many pages, as on a disk that is full then.
  Delivery delivery(
      {.folder = folder.path(), .file_pages_max = 40},
      {.collector = base::CollectorId("c1"), .software_version = "test", .host_boot_id = "boot"},
      {.channel = grpc::CreateChannel("127.0.0.1:1", grpc::InsecureChannelCredentials()),
       .clock = clock,
       .random = random,
       .logger = logger,
       .aggregator_clock = aggregator_clock},
      {.plan = [](const spool::RouterPlan&) {},
       .lease = [](const base::RouterId&, bool) {},
       .floor = [](const base::RouterId&, std::int64_t) {}});
  ASSERT_THAT(delivery.Start(), IsOk());
  delivery.SetRouters({base::RouterId("hq")});
  delivery.ReportState({.router = base::RouterId("hq"),
                        .menu = std::nullopt,
                        .state = poll::RouterState::kReachable,
                        .since_us = 1,
                        .detail = "",
                        .device = {}});
  std::int64_t at_us = 0;
  std::string detail;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (detail.empty() && std::chrono::steady_clock::now() < until) {
    delivery.Take({.router = base::RouterId("hq"),
                   .menu = counters::Menu::kSimple,
                   .attribution_us = ++at_us,
                   .at_boundary = true,
                   .payload = std::string(20'000, 'x'),
                   .queues = 1,
                   .took = absl::ZeroDuration()});
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const DeliveryStatus status = delivery.status();
    if (!status.states.empty()) detail = status.states.front().detail;
  }
  EXPECT_THAT(detail, HasSubstr("its collector cannot store readings"));
  delivery.Stop();
}

}  // namespace
}  // namespace netsentinel::app
