#pragma once

#include <cstddef>
#include <memory>
#include <thread>
#include <utility>

#include "gtest/gtest.h"

#include "aggregator/ingest/engine.h"
#include "aggregator/store/sqlite_store.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/ingest/flaky_store.h"

namespace netsentinel::ingest {

// What an engine needs around it, over stores whose calls can be made to fail.
class EngineFixture : public ::testing::Test {
 protected:
  // Opens the stores and takes the lease.
  void OpenStores() {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(auto engine_store, factory_->Connect());
    store_ = std::make_unique<store::FlakyStore>(std::move(engine_store));
    ASSERT_OK_AND_ASSIGN(auto flush_store, factory_->Connect());
    flush_store_ = std::make_unique<store::FlakyStore>(std::move(flush_store));
    flush_worker_ = std::make_unique<FlushWorker>(*flush_store_);
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Minutes(5)));
    fence_ = lease.fence;
  }
  static EngineSignals NoSignals() {
    return {.breaches_stored = [] {},
            .readiness = [](const absl::Status&) {},
            .committed = [](std::size_t, std::size_t, absl::Duration) {},
            .flushed = [](std::size_t, absl::Duration) {},
            .flushing = [](const absl::Status&) {},
            .refused = [](RefusalReason) {}};
  }
  // The engine on its thread.
  void Run(const EngineSettings& settings, const EnginePolicy& policy, EngineSignals signals) {
    engine_ = std::make_unique<Engine>(EngineParts{.book = book_,
                                                   .store = *store_,
                                                   .flush_worker = *flush_worker_,
                                                   .events = events_,
                                                   .board = board_,
                                                   .readings = readings_,
                                                   .clock = agreed_clock_,
                                                   .random = random_,
                                                   .logger = logger_,
                                                   .signals = std::move(signals)},
                                       settings, policy);
    thread_ = std::thread([this, policy] { result_ = engine_->Run(fence_, policy); });
  }
  void Stop() {
    engine_->Stop();
    thread_.join();
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    Stop();
    EXPECT_THAT(result_, test::IsOk());
  }

  test::TempFolder folder_;
  io::SystemClock clock_;
  AgreedClock agreed_clock_{clock_, "the-aggregators-boot"};
  base::SeededRandom random_{7};
  log::CapturingLogger logger_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::FlakyStore> store_, flush_store_;
  store::Fence fence_;
  SharedBook book_;
  EventQueue events_;
  RouterBoard board_;
  ReadingBoard readings_;
  std::unique_ptr<FlushWorker> flush_worker_;
  std::unique_ptr<Engine> engine_;
  std::thread thread_;
  absl::Status result_;
};

}  // namespace netsentinel::ingest
