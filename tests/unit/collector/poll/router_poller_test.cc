#include "collector/poll/router_poller.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "collector/poll/poll_group.h"
#include "collector/routeros/router_error.h"
#include "common/counters/snapshot_codec.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/collector/poll/second.h"

// Pollers over sessions that do as they are told. Time is the fake clock's: a step of it and a new
// plan, which wakes the poller, stand for waiting.
namespace netsentinel::poll {
namespace {

using routeros::RouterError;
using routeros::RouterStatus;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

namespace asio = boost::asio;

// How a router answers, and what it was asked.
struct FakeRouter {
  std::deque<absl::Status> connects;  // then OK
  std::deque<absl::Status> reads;     // of any menu, then OK
  absl::Status tree = absl::OkStatus();
  bool hangs_in_connect = false;
  bool hangs_in_read = false;
  int connections = 0;
  int closed = 0;
  std::vector<std::string> asked;
  std::function<std::uint64_t()> uptime_s = [] { return 0; };
};

class FakeSession final : public RouterSession {
 public:
  FakeSession(asio::any_io_executor executor, FakeRouter& router)
      : router_(router), never_(std::move(executor)) {}
  ~FakeSession() override { Close(); }

  asio::awaitable<absl::Status> Connect(absl::Duration) override {
    ++router_.connections;
    if (router_.hangs_in_connect) co_return co_await Hang();
    absl::Status status = Next(router_.connects);
    connected_ = status.ok();
    co_return status;
  }
  asio::awaitable<absl::StatusOr<routeros::DeviceReport>> ReadDevice(routeros::Patience) override {
    routeros::DeviceReport report;
    report.device.identity = "fake";
    co_return report;
  }
  asio::awaitable<absl::StatusOr<routeros::QueueReply>> ReadQueues(
      routeros::QueueMenuReader& reader, routeros::Patience) override {
    router_.asked.emplace_back(counters::MenuName(reader.menu()));
    if (router_.hangs_in_read) co_return co_await Hang();
    if (reader.menu() == counters::Menu::kTree && !router_.tree.ok()) co_return router_.tree;
    const absl::Status status = Next(router_.reads);
    if (!status.ok()) {
      connected_ = !absl::IsUnavailable(status);
      co_return status;
    }
    routeros::QueueReply reply;
    reply.uptime_s = router_.uptime_s();
    co_return reply;
  }
  void Close() override {
    if (!std::exchange(closed_, true)) ++router_.closed;
    connected_ = false;
    never_.cancel();
  }
  bool connected() const override { return connected_; }

 private:
  static absl::Status Next(std::deque<absl::Status>& answers) {
    if (answers.empty()) return absl::OkStatus();
    absl::Status status = answers.front();
    answers.pop_front();
    return status;
  }
  asio::awaitable<absl::Status> Hang() {
    never_.expires_at(asio::steady_timer::time_point::max());
    boost::system::error_code cancelled;
    co_await never_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    co_return RouterStatus(RouterError::kUnreachable, "closed");
  }

  FakeRouter& router_;
  asio::steady_timer never_;
  bool connected_ = false;
  bool closed_ = false;
};

class RouterPollerTest : public ::testing::Test, protected PollSink {
 protected:
  RouterPollerTest() : aggregator_clock_(clock_) {}
  ~RouterPollerTest() override { EndPollers(); }

  // What still hangs in the loop refers to the pollers.
  void EndPollers() {
    for (auto& [name, poller] : pollers_) poller->Abort();
    Settle();
    pollers_.clear();
  }

  static RouterPollerOptions Options(const std::string& router) {
    return {.router = base::RouterId(router),
            .menus = {counters::Menu::kSimple, counters::Menu::kTree},
            .interval = absl::Seconds(30),
            .host_boot_id = "boot"};
  }
  RouterPoller& Start(const std::string& name) {
    FakeRouter& router = routers_[name];
    auto poller = std::make_unique<RouterPoller>(
        Options(name),
        RouterPoller::Parts{
            .executor = io_.get_executor(),
            .sessions = [this, &router]() -> absl::StatusOr<std::unique_ptr<RouterSession>> {
              return std::make_unique<FakeSession>(io_.get_executor(), router);
            },
            .clock = clock_,
            .aggregator_clock = aggregator_clock_,
            .random = random_,
            .sink = *this,
            .host_pauses = host_pauses_,
            .budget = budget_});
    RouterPoller& started = *(pollers_[name] = std::move(poller));
    started.SetPlan(boundaries_, absl::ZeroDuration());
    started.Start();
    Settle();
    return started;
  }
  void Settle() {
    io_.restart();
    io_.poll();
  }
  void Advance(absl::Duration by) {
    clock_.Advance(by);
    Wake();
  }
  void Wake() {
    for (auto& [name, poller] : pollers_) poller->SetPlan(boundaries_, absl::ZeroDuration());
    Settle();
  }
  std::int64_t NowUs() const { return absl::ToUnixMicros(clock_.WallNow()); }

  void OnReading(Reading reading) override { readings_.push_back(std::move(reading)); }
  void OnState(const RouterStateReport& report) override { states_.push_back(report); }
  void OnFailure(const base::RouterId& router, RouterState) override {
    failures_.push_back(router.value());
  }
  void OnPause(const PauseNote& note) override { notes_.push_back(note.kind); }
  std::size_t ReadingsOf(const std::string& router) const {
    return static_cast<std::size_t>(
        std::count_if(readings_.begin(), readings_.end(),
                      [&router](const Reading& r) { return r.router.value() == router; }));
  }

  asio::io_context io_;
  test::FakeClock clock_;
  base::SeededRandom random_{1};
  AggregatorClock aggregator_clock_;
  SessionBudget* budget_ = nullptr;
  std::map<std::string, FakeRouter> routers_;
  std::vector<std::int64_t> boundaries_;
  std::vector<Reading> readings_;
  std::vector<RouterStateReport> states_;
  std::vector<std::string> failures_;
  std::vector<PauseNote::Kind> notes_;
  HostPauses host_pauses_{[this](const PauseNote& note) { OnPause(note); }};
  std::map<std::string, std::unique_ptr<RouterPoller>> pollers_;
};

TEST_F(RouterPollerTest, ReadsBothMenusAtOnceAndThenOncePerInterval) {
  Start("a");
  EXPECT_THAT(routers_["a"].asked, ElementsAre("simple", "tree"));
  for (int second = 0; second < 300; ++second) Advance(absl::Seconds(1));
  EXPECT_EQ(routers_["a"].connections, 1);
  EXPECT_EQ(readings_.size(), 22U);
}

TEST_F(RouterPollerTest, AReadingAtABoundaryStandsForItAndTheOthersForTheirOwnTime) {
  const std::int64_t boundary = NowUs() + 20 * kSecond;
  boundaries_ = {boundary};
  Start("a");
  for (int second = 0; second < 60; ++second) Advance(absl::Seconds(1));
  std::vector<std::int64_t> at_boundary;
  std::int64_t last = 0;
  for (const Reading& reading : readings_) {
    EXPECT_GE(reading.attribution_us, last);
    last = reading.attribution_us;
    if (reading.at_boundary) at_boundary.push_back(reading.attribution_us);
  }
  EXPECT_THAT(at_boundary, ElementsAre(boundary, boundary));  // each menu once
}

TEST_F(RouterPollerTest, ABoundaryAtWhichTheSessionBrokeIsReadOverTheNextOne) {
  boundaries_ = {NowUs() + 20 * kSecond};
  Start("a");
  Advance(absl::Seconds(19));
  readings_.clear();
  routers_["a"].reads = {absl::OkStatus(), RouterStatus(RouterError::kUnreachable, "reset")};
  Advance(absl::Seconds(1));
  ASSERT_THAT(readings_, SizeIs(1));
  for (int i = 0; i < 10; ++i) Advance(absl::Milliseconds(200));
  // The menu that was read is not read again for it.
  std::vector<counters::Menu> at_boundary;
  for (const Reading& reading : readings_) {
    if (reading.at_boundary) at_boundary.push_back(reading.menu);
  }
  EXPECT_THAT(at_boundary, ElementsAre(counters::Menu::kSimple, counters::Menu::kTree));
  EXPECT_EQ(routers_["a"].connections, 2);
}

TEST_F(RouterPollerTest, AMenuThatFailsAtABoundaryIsAskedTwiceAndNotWithoutEnd) {
  boundaries_ = {NowUs() + 20 * kSecond};
  routers_["a"].tree = RouterStatus(RouterError::kMenuAbsent, "no such command");
  Start("a");
  Advance(absl::Seconds(19));
  routers_["a"].asked.clear();
  Advance(absl::Seconds(1));
  EXPECT_THAT(routers_["a"].asked, ElementsAre("simple", "tree", "tree"));
}

TEST_F(RouterPollerTest, AClockThatIsSetBackStopsNeitherPollsNorTheBoundary) {
  const std::int64_t boundary = NowUs() + 20 * kSecond;
  boundaries_ = {boundary};
  Start("a");
  for (int second = 0; second < 60; ++second) Advance(absl::Seconds(1));
  readings_.clear();
  clock_.StepWall(-absl::Minutes(2));
  Wake();
  EXPECT_THAT(readings_, SizeIs(2));
  for (int second = 0; second < 31; ++second) Advance(absl::Seconds(1));
  EXPECT_GE(readings_.size(), 4U);
  readings_.clear();
  for (int second = 0; second < 60; ++second) Advance(absl::Seconds(1));
  EXPECT_TRUE(std::any_of(readings_.begin(), readings_.end(), [&](const Reading& reading) {
    return reading.at_boundary && reading.attribution_us == boundary;
  }));
}

TEST_F(RouterPollerTest, OneMenuThatFailsLeavesTheOtherAlone) {
  routers_["a"].tree = RouterStatus(RouterError::kMenuAbsent, "no such command");
  Start("a");
  ASSERT_THAT(readings_, SizeIs(1));
  EXPECT_EQ(readings_[0].menu, counters::Menu::kSimple);
  EXPECT_EQ(states_.back().menu, counters::Menu::kTree);
  EXPECT_EQ(states_.back().state, RouterState::kMenuAbsent);
  EXPECT_EQ(routers_["a"].closed, 0);
}

TEST_F(RouterPollerTest, ALoginBettersNoStateAndAReadingDoes) {
  routers_["a"].reads.assign(100, RouterStatus(RouterError::kUnreachable, "nothing came for 30s"));
  Start("a");
  for (int second = 0; second < 200; ++second) Advance(absl::Seconds(1));
  EXPECT_GE(routers_["a"].connections, 4) << "every login succeeds";
  for (const RouterStateReport& state : states_) {
    EXPECT_NE(state.state, RouterState::kReachable);
  }
  EXPECT_EQ(states_.back().state, RouterState::kUnreachable);
  routers_["a"].reads.clear();
  for (int second = 0; second < 70; ++second) Advance(absl::Seconds(1));
  EXPECT_EQ(states_.back().state, RouterState::kReachable);
  EXPECT_EQ(states_.back().menu, std::nullopt);
}

TEST_F(RouterPollerTest, ARouterOfWhichNoMenuCanBeReadIsNotReachable) {
  routers_["a"].tree = RouterStatus(RouterError::kMenuAbsent, "no tree");
  routers_["a"].reads = {RouterStatus(RouterError::kIncompleteReply, "row 3 has no bytes")};
  Start("a");
  EXPECT_EQ(states_.back().menu, std::nullopt);
  EXPECT_EQ(states_.back().state, RouterState::kMenuAbsent);
  EXPECT_EQ(routers_["a"].closed, 0);
  for (int second = 0; second < 40; ++second) Advance(absl::Seconds(1));
  EXPECT_EQ(routers_["a"].connections, 1);
  const auto router_state = [this] {
    for (auto state = states_.rbegin(); state != states_.rend(); ++state) {
      if (!state->menu.has_value()) return state->state;
    }
    return RouterState::kStarting;
  };
  EXPECT_EQ(router_state(), RouterState::kReachable) << "one menu is read";
}

TEST_F(RouterPollerTest, WithFewerSessionsThanRoutersEveryRouterIsReadInTurnAndTheOthersAreNamed) {
  SessionBudget budget(clock_, 2, absl::Minutes(2));
  budget_ = &budget;
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    Start(name).SetWaitingWords("waits for its turn");
  }
  EXPECT_EQ(budget.held(), 2U);
  EXPECT_EQ(budget.waiting(), 3U);
  EXPECT_EQ(states_.back().state, RouterState::kUnreachable);
  for (int second = 0; second < 20 * 60; ++second) {
    Advance(absl::Seconds(1));
    ASSERT_LE(budget.held(), 2U);
  }
  for (const char* name : {"a", "b", "c", "d", "e"}) {
    EXPECT_GE(ReadingsOf(name), 8U) << name;
    EXPECT_LE(routers_[name].connections, 8) << name << " is not torn from hand to hand";
  }
  EXPECT_THAT(failures_, IsEmpty());
  EndPollers();
}

TEST_F(RouterPollerTest, ARouterThatCannotBeReachedHoldsNoSession) {
  SessionBudget budget(clock_, 1, absl::Minutes(2));
  budget_ = &budget;
  routers_["gone"].connects.assign(1000, RouterStatus(RouterError::kUnreachable, "no route"));
  Start("gone");
  Start("good");
  for (int second = 0; second < 100; ++second) Advance(absl::Seconds(1));
  EXPECT_GE(ReadingsOf("good"), 6U);
  EXPECT_EQ(routers_["good"].connections, 1);
  EndPollers();
}

TEST_F(RouterPollerTest, ARouterThatHangsDelaysNoOther) {
  routers_["hangs"].hangs_in_read = true;
  Start("hangs");
  Start("good");
  for (int second = 0; second < 100; ++second) Advance(absl::Seconds(1));
  EXPECT_EQ(ReadingsOf("hangs"), 0U);
  EXPECT_GE(ReadingsOf("good"), 6U);
}

TEST_F(RouterPollerTest, ARefusedLoginIsTriedAgainNoSoonerThanAfterThePause) {
  routers_["a"].connects.assign(3, RouterStatus(RouterError::kLoginRefused, "wrong password"));
  Start("a");
  EXPECT_EQ(routers_["a"].connections, 1);
  EXPECT_EQ(states_.back().state, RouterState::kLoginRefused);
  Advance(absl::Seconds(4));
  EXPECT_EQ(routers_["a"].connections, 1);
  for (int second = 0; second < 120; ++second) Advance(absl::Seconds(1));
  EXPECT_EQ(routers_["a"].connections, 4);
  EXPECT_EQ(states_.back().state, RouterState::kReachable);
  EXPECT_THAT(failures_, SizeIs(3));
}

TEST_F(RouterPollerTest, AnUnreachableRouterIsTriedAgainWithinAMinute) {
  routers_["a"].connects.assign(30, RouterStatus(RouterError::kUnreachable, "no route"));
  Start("a");
  for (int second = 0; second < 30 * 60; ++second) Advance(absl::Seconds(1));
  EXPECT_GE(routers_["a"].connections, 25);
}

TEST_F(RouterPollerTest, ARouterThatIsReadNoMoreIsForgotten) {
  RouterPoller& poller = Start("a");
  for (int second = 0; second < 60; ++second) Advance(absl::Seconds(1));
  ASSERT_EQ(host_pauses_.streams(), 2U) << "both menus";
  poller.Stop();
  for (int second = 0; second < 60; ++second) Advance(absl::Seconds(1));
  ASSERT_TRUE(poller.done());
  EXPECT_EQ(host_pauses_.streams(), 0U);
}

TEST_F(RouterPollerTest, StopsWhileItConnects) {
  routers_["a"].hangs_in_connect = true;
  RouterPoller& poller = Start("a");
  poller.Stop();
  Settle();
  EXPECT_FALSE(poller.done());
  poller.Abort();
  Settle();
  EXPECT_TRUE(poller.done());
  EXPECT_EQ(routers_["a"].closed, 1);
}

TEST_F(RouterPollerTest, WithoutTheLeaseTheSessionIsClosedAndNothingIsRead) {
  RouterPoller& poller = Start("a");
  poller.SetMayPoll(false);
  Settle();
  EXPECT_EQ(routers_["a"].closed, 1);
  readings_.clear();
  for (int second = 0; second < 100; ++second) Advance(absl::Seconds(1));
  EXPECT_THAT(readings_, IsEmpty());
  poller.SetMayPoll(true);
  Settle();
  EXPECT_THAT(readings_, SizeIs(2));
}

// The host's clock stands still while the routers go on.
TEST_F(RouterPollerTest, AReadingWhoseUptimeRanAheadWaitsForWhatOtherRoutersTell) {
  absl::Duration frozen;
  for (const std::string name : {"a", "b"}) {
    const absl::Duration booted = name == "a" ? absl::Hours(5) : absl::Hours(9);
    routers_[name].uptime_s = [this, booted, &frozen] {
      return static_cast<std::uint64_t>(absl::ToInt64Seconds(clock_.BootNow() + booted + frozen));
    };
    Start(name);
  }
  for (int second = 0; second < 100; ++second) Advance(absl::Seconds(1));
  frozen = absl::Seconds(45);
  for (int second = 0; second < 100; ++second) Advance(absl::Seconds(1));
  EXPECT_THAT(notes_, ElementsAre(PauseNote::Kind::kHostPaused));
  std::map<std::pair<std::string, counters::Menu>, std::vector<counters::SnapshotHeader>> headers;
  for (const Reading& reading : readings_) {
    ASSERT_OK_AND_ASSIGN(const counters::SelfContained decoded,
                         counters::DecodeSelfContained(reading.payload));
    headers[{reading.router.value(), reading.menu}].push_back(decoded.snapshot.header);
  }
  ASSERT_EQ(headers.size(), 4U);
  for (const auto& [key, list] : headers) {
    EXPECT_FALSE(list.front().pause_decided) << key.first << ": its first reading";
    EXPECT_EQ(list.front().host_paused_us, 0);
    for (std::size_t i = 1; i < list.size(); ++i) EXPECT_TRUE(list[i].pause_decided) << key.first;
    EXPECT_NEAR(static_cast<double>(list.back().host_paused_us), 45e6, 2e6) << key.first;
  }
}

TEST_F(RouterPollerTest, AGroupStartsStopsAndReplacesRoutersOneByOne) {
  PollGroup group({.executor = io_.get_executor(),
                   .clock = clock_,
                   .aggregator_clock = aggregator_clock_,
                   .random = random_,
                   .sink = *this,
                   .sessions = [this](const RouterSetup& setup) -> SessionFactory {
                     FakeRouter& router = routers_[setup.options.router.value()];
                     return [this, &router]() -> absl::StatusOr<std::unique_ptr<RouterSession>> {
                       return std::make_unique<FakeSession>(io_.get_executor(), router);
                     };
                   }});
  const auto setup = [](const std::string& router, const std::string& fingerprint) {
    return RouterSetup{.options = Options(router), .endpoint = {}, .fingerprint = fingerprint};
  };
  const std::int64_t floor = NowUs() + 2 * kSecond;
  group.RaiseFloor(base::RouterId("b"), floor);
  group.SetRouters({setup("a", "1"), setup("b", "1")});
  Settle();
  EXPECT_EQ(ReadingsOf("a"), 2U);
  EXPECT_EQ(ReadingsOf("b"), 2U);
  for (const Reading& reading : readings_) {
    if (reading.router.value() != "b") continue;
    EXPECT_EQ(reading.attribution_us, floor);
  }
  group.SetRouters({setup("b", "2"), setup("c", "1")});
  Settle();
  EXPECT_EQ(routers_["a"].closed, 1);
  EXPECT_EQ(routers_["b"].connections, 2);
  EXPECT_EQ(ReadingsOf("c"), 2U);
  group.Stop();
  Settle();
  EXPECT_TRUE(group.done());
}

}  // namespace
}  // namespace netsentinel::poll
