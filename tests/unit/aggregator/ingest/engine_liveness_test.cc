#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/http/client.h"
#include "common/http/server.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/aggregator/ingest/engine_fixture.h"

namespace netsentinel::ingest {
namespace {

constexpr absl::Duration kSilence = absl::Minutes(5);

// Moves only when told. Any thread.
class SteppedClock final : public base::Clock {
 public:
  absl::Time WallNow() const override { return absl::FromUnixSeconds(1767225600) + MonotonicNow(); }
  absl::Duration MonotonicNow() const override { return absl::Seconds(seconds_.load()); }
  absl::Duration BootNow() const override { return MonotonicNow(); }
  void Advance(absl::Duration by) { seconds_ += absl::ToInt64Seconds(by); }

 private:
  std::atomic<std::int64_t> seconds_{3600};
};

// An engine whose word is a pulse of /healthz, as the aggregator has it; silence is measured by a
// clock of the test's own.
class EngineLivenessTest : public EngineFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(OpenStores());
    auto server =
        http::Server::Start({.address = {"127.0.0.1", 0}},
                            http::StandardHandlers(metrics_, liveness_, readiness_), logger_);
    ASSERT_THAT(server, test::IsOk());
    server_ = *std::move(server);
    EngineSettings settings;
    settings.instance = "test";
    settings.store_lease_ttl = absl::Milliseconds(60);
    EngineSignals signals = NoSignals();
    signals.readiness = [this](const absl::Status&) { pulse_.Beat(); };
    Run(settings, EnginePolicy(), std::move(signals));
  }
  std::string Healthz() {
    const auto answer = http::Fetch({"127.0.0.1", server_->port()}, "/healthz");
    return answer.ok() ? absl::StrCat(answer->status, " ", answer->body)
                       : answer.status().ToString();
  }

  SteppedClock silence_clock_;
  metrics::Registry metrics_;
  http::Readiness readiness_;
  http::Liveness liveness_{silence_clock_};
  http::Liveness::Pulse& pulse_ = liveness_.AddPulse("engine", kSilence);
  std::unique_ptr<http::Server> server_;
};

TEST_F(EngineLivenessTest, AHungEngineIsUnhealthyUntilItTurnsAgainAndAnIdleOneIsNot) {
  for (int i = 0; i < 3; ++i) {
    silence_clock_.Advance(kSilence + absl::Seconds(1));
    EXPECT_TRUE(test::WaitUntil([&] { return Healthz() == "200 alive\n"; })) << Healthz();
  }
  std::promise<void> hanging, go_on;
  std::shared_future<void> released = go_on.get_future().share();
  // Called until the engine is stopped, which is after this scope has ended.
  store_->OnRenew([&hanging, released, first = std::make_shared<std::atomic<bool>>(true)] {
    if (first->exchange(false)) hanging.set_value();
    released.wait();
  });
  hanging.get_future().wait();
  silence_clock_.Advance(kSilence - absl::Seconds(1));
  EXPECT_EQ(Healthz(), "200 alive\n");
  silence_clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(Healthz(), "503 engine: silent for 5m1s, which is longer than 5m\n");
  go_on.set_value();
  EXPECT_TRUE(test::WaitUntil([&] { return Healthz() == "200 alive\n"; })) << Healthz();
}

}  // namespace
}  // namespace netsentinel::ingest
