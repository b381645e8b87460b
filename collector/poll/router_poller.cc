#include "collector/poll/router_poller.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "collector/poll/attribution.h"
#include "collector/routeros/device.h"
#include "collector/routeros/router_error.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::poll {
namespace {

namespace asio = boost::asio;

// The plan may change while waiting, and the aggregator's clock is learned better.
constexpr absl::Duration kLongestSleep = absl::Seconds(30);
constexpr absl::Duration kGuardMin = absl::Seconds(2);
constexpr absl::Duration kGuardMax = absl::Seconds(10);
// Fewer readings are encoded sooner than a thread is woken.
constexpr std::size_t kRowsForAWorker = 2000;
// How often a reading that waits for what other routers tell is looked at.
constexpr absl::Duration kPauseLook = absl::Seconds(1);

bool IsRefusal(RouterState state) {
  return state == RouterState::kLoginRefused || state == RouterState::kTlsRefused ||
         state == RouterState::kPolicyMissing;
}

}  // namespace

RouterPoller::RouterPoller(RouterPollerOptions options, Parts parts)
    : options_(std::move(options)),
      sessions_(std::move(parts.sessions)),
      clock_(parts.clock),
      aggregator_clock_(parts.aggregator_clock),
      sink_(parts.sink),
      host_pauses_(parts.host_pauses),
      executor_(parts.executor),
      budget_(parts.budget),
      workers_(std::move(parts.workers)),
      timer_(executor_),
      states_(options_.router),
      unreachable_(options_.unreachable, parts.random),
      refused_(options_.refused, parts.random),
      interval_(options_.interval) {
  for (const counters::Menu menu : options_.menus) {
    menus_.push_back({.menu = menu, .table = nullptr, .reader = nullptr});
    MakeReader(menus_.back());
  }
  phase_us_ = static_cast<std::int64_t>(
      parts.random.Next() %
      static_cast<std::uint64_t>(std::max<std::int64_t>(1, absl::ToInt64Microseconds(interval_))));
}

RouterPoller::~RouterPoller() { LeaveBudget(); }

void RouterPoller::MakeReader(MenuReader& menu) {
  menu.reader.reset();
  menu.table = std::make_unique<counters::DescriptorTable>();
  menu.reader = std::make_unique<routeros::QueueMenuReader>(menu.menu, *menu.table);
}

void RouterPoller::Start() {
  done_ = false;
  Report(std::nullopt, RouterState::kStarting, "configured, not tried yet");
  asio::co_spawn(executor_, Run(), asio::detached);
}

void RouterPoller::Wake() { timer_.cancel(); }

void RouterPoller::Stop() {
  stopping_ = true;
  Wake();
}

void RouterPoller::Abort() {
  Stop();
  if (session_ != nullptr) session_->Close();
}

void RouterPoller::SetPlan(std::vector<std::int64_t> boundaries_us, absl::Duration interval) {
  boundaries_us_ = std::move(boundaries_us);
  interval_ = interval > absl::ZeroDuration() ? interval : options_.interval;
  Wake();
}

void RouterPoller::SetMayPoll(bool may_poll) {
  may_poll_ = may_poll;
  Wake();
}

void RouterPoller::RaiseFloor(std::int64_t attribution_us) {
  floor_us_ = std::max(floor_us_, attribution_us);
}

asio::awaitable<void> RouterPoller::Sleep(absl::Duration duration) {
  timer_.expires_after(absl::ToChronoMicroseconds(std::min(duration, kLongestSleep)));
  boost::system::error_code woken;
  co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
}

asio::awaitable<void> RouterPoller::Run() {
  while (!stopping_) {
    if (!may_poll_) {
      DropSession();
      host_pauses_.Forget(options_.router);
      co_await Sleep(kLongestSleep);
      continue;
    }
    if (session_ == nullptr && (!co_await AwaitTurn() || !co_await Connect())) continue;
    const NextPoll next = Next();
    const std::int64_t wait_us = next.at_us - NowUs();
    if (wait_us > 0) {
      co_await Sleep(absl::Microseconds(wait_us));
      continue;
    }
    co_await PollOnce(next);
    // Others have waited long enough; not with a boundary at hand, which would be missed.
    if (budget_ != nullptr && !Next().boundary && budget_->ShouldYield(this)) DropSession();
  }
  DropSession();
  host_pauses_.Forget(options_.router);
  done_ = true;
}

NextPoll RouterPoller::Next() {
  const std::int64_t now_us = NowUs();
  // Of a clock that has been set back since; near it, it must not pass for served any more.
  if (served_boundary_us_ > now_us + kBoundaryGraceUs) served_boundary_us_ = 0;
  const absl::Duration guard = std::clamp(last_took_ * 2, kGuardMin, kGuardMax);
  return DecideNextPoll({.now_us = now_us,
                         .last_poll_us = last_poll_us_,
                         .interval_us = absl::ToInt64Microseconds(interval_),
                         .phase_us = phase_us_,
                         .guard_us = absl::ToInt64Microseconds(std::min(guard, interval_ / 2)),
                         .served_boundary_us = served_boundary_us_,
                         .boundaries_us = boundaries_us_});
}

asio::awaitable<bool> RouterPoller::AwaitTurn() {
  if (budget_ == nullptr || budget_->Take(this, [this] { Wake(); })) co_return true;
  Report(std::nullopt, RouterState::kUnreachable, waiting_words_);
  co_await Sleep(kLongestSleep);
  co_return false;
}

asio::awaitable<bool> RouterPoller::Connect() {
  absl::StatusOr<std::unique_ptr<RouterSession>> made = sessions_();
  absl::Status status = made.status();
  if (status.ok()) {
    session_ = *std::move(made);
    // One number for each connection of this host boot, also after a restart of the process.
    session_id_ = std::max(session_id_ + 1,
                           static_cast<std::uint64_t>(absl::ToInt64Microseconds(clock_.BootNow())));
    status = co_await session_->Connect(options_.connect_deadline);
    if (status.ok()) {
      auto device = co_await session_->ReadDevice(options_.patience);
      status = device.status();
      if (status.ok()) status = routeros::CheckSameDevice(device_, device->device);
      if (status.ok()) TakeDevice(*std::move(device));
    }
  } else {
    // What hinders is on this side: a password file, a certificate.
    status = routeros::RouterStatus(routeros::RouterError::kLoginRefused,
                                    absl::StrCat("cannot log in: ", status.message()));
  }
  if (status.ok()) {
    last_poll_us_ = 0;
    if (states_.StateOfRouter() == RouterState::kStarting) {
      Report(std::nullopt, RouterState::kStarting, "logged in, not read yet");
    }
    co_return true;
  }
  DropSession();
  if (stopping_) co_return false;
  Failed(std::nullopt, status);
  const absl::Duration until = clock_.MonotonicNow() + PauseAfter(status);
  while (!stopping_ && may_poll_ && clock_.MonotonicNow() < until) {
    co_await Sleep(until - clock_.MonotonicNow());
  }
  co_return false;
}

absl::Duration RouterPoller::PauseAfter(const absl::Status& failure) {
  if (IsRefusal(StateOf(failure))) return options_.refused_pause + refused_.NextDelay();
  return unreachable_.NextDelay();
}

void RouterPoller::TakeDevice(routeros::DeviceReport report) {
  device_ = std::move(report.device);
  device_remark_ = std::move(report.remark);
  device_read_at_ = clock_.MonotonicNow();
  states_.SetDevice(device_);
}

void RouterPoller::LeaveBudget() {
  if (budget_ != nullptr) budget_->Release(this);
}

void RouterPoller::DropSession() {
  LeaveBudget();
  if (session_ == nullptr) return;
  session_->Close();
  session_.reset();
}

asio::awaitable<void> RouterPoller::RefreshDevice() {
  if (clock_.MonotonicNow() - device_read_at_ < options_.device_refresh) co_return;
  device_read_at_ = clock_.MonotonicNow();
  auto device = co_await session_->ReadDevice(options_.patience);
  if (!device.ok() || !routeros::CheckSameDevice(device_, device->device).ok()) co_return;
  TakeDevice(*std::move(device));
}

asio::awaitable<void> RouterPoller::PollOnce(const NextPoll& poll) {
  const absl::Duration began = clock_.MonotonicNow();
  last_poll_us_ = NowUs();
  bool all = true;
  any_read_ = false;
  last_failure_ = absl::OkStatus();
  for (MenuReader& menu : menus_) {
    if (poll.boundary && menu.served_boundary_us == poll.at_us) continue;
    const bool alive = co_await PollMenu(menu, poll);
    if (!alive) {
      all = false;
      break;
    }
  }
  last_took_ = clock_.MonotonicNow() - began;
  if (poll.boundary && all && Served(poll.at_us)) {
    served_boundary_us_ = poll.at_us;
    // A clock that is set back brings the same boundary once more.
    tried_boundary_us_ = 0;
    for (MenuReader& menu : menus_) menu.served_boundary_us = 0;
  }
  if (!all || stopping_) co_return;
  if (!any_read_ && !last_failure_.ok()) {
    Report(std::nullopt, StateOf(last_failure_), std::string(last_failure_.message()));
  }
  unreachable_.Reset();
  refused_.Reset();
  // After the boundary, never before it.
  if (!poll.boundary) co_await RefreshDevice();
  if (session_ != nullptr && !session_->connected()) DropSession();
}

bool RouterPoller::Served(std::int64_t boundary_us) {
  const bool read = std::all_of(menus_.begin(), menus_.end(), [&](const MenuReader& menu) {
    return menu.served_boundary_us == boundary_us;
  });
  return read || std::exchange(tried_boundary_us_, boundary_us) == boundary_us;
}

asio::awaitable<bool> RouterPoller::PollMenu(MenuReader& menu, const NextPoll& poll) {
  const absl::Duration begin = clock_.BootNow();
  menu.reader->SetDay(NowUs() / absl::ToInt64Microseconds(absl::Hours(24)));
  auto reply = co_await session_->ReadQueues(*menu.reader, options_.patience);
  const absl::Duration end = clock_.BootNow();
  const std::int64_t wall_us = absl::ToUnixMicros(clock_.WallNow());
  if (!reply.ok()) {
    const bool lost = !session_->connected();
    if (stopping_ && lost) co_return false;
    Failed(lost ? std::nullopt : std::optional(menu.menu), reply.status());
    last_failure_ = reply.status();
    if (!lost) co_return true;
    DropSession();
    const absl::Duration until = clock_.MonotonicNow() + PauseAfter(reply.status());
    while (!stopping_ && clock_.MonotonicNow() < until) {
      co_await Sleep(until - clock_.MonotonicNow());
    }
    co_return false;
  }
  const AttributedTime begun = aggregator_clock_.At(begin);
  const Attribution attribution =
      Attribute({.begin_us = absl::ToUnixMicros(begun.time),
                 .end_us = absl::ToUnixMicros(aggregator_clock_.At(end).time),
                 .boundary_us = poll.boundary ? std::optional(poll.at_us) : std::nullopt},
                floor_us_);
  floor_us_ = attribution.attribution_us;
  if (poll.boundary) menu.served_boundary_us = poll.at_us;
  counters::SnapshotHeader header;
  header.host_boot_id = options_.host_boot_id;
  header.begin_us = absl::ToInt64Microseconds(begin);
  header.end_us = absl::ToInt64Microseconds(end);
  header.session_id = session_id_;
  header.attribution_us = attribution.attribution_us;
  header.clock = begun.clock;
  header.router_uptime_s = reply->uptime_s;
  header.device = device_;
  header.settings_fingerprint = menu.reader->settings_fingerprint();
  header.at_boundary = attribution.at_boundary;
  header.boundary_skew_ms = attribution.boundary_skew_ms;
  const UptimeReading uptime{.router = options_.router,
                             .menu = menu.menu,
                             .device_key = device_.Key(),
                             .begin_us = header.begin_us,
                             .end_us = header.end_us,
                             .wall_us = wall_us,
                             .uptime_s = reply->uptime_s};
  const PauseJudgement pause = co_await JudgePause(uptime);
  header.host_paused_us = pause.host_paused_us;
  header.pause_decided = pause.decided;
  co_await Deliver(menu, *std::move(reply), std::move(header));
  co_return true;
}

asio::awaitable<PauseJudgement> RouterPoller::JudgePause(const UptimeReading& reading) {
  PauseJudgement judged = host_pauses_.Observe(reading);
  if (!judged.waiting) co_return judged;
  absl::Duration left = interval_;
  const std::int64_t now_us = NowUs();
  const auto boundary = std::upper_bound(boundaries_us_.begin(), boundaries_us_.end(), now_us);
  if (boundary != boundaries_us_.end()) {
    left = std::min(left, absl::Microseconds(*boundary - now_us) - kGuardMax);
  }
  const absl::Duration until = clock_.MonotonicNow() + left;
  while (judged.waiting && !stopping_ && clock_.MonotonicNow() < until) {
    co_await Sleep(std::min(kPauseLook, until - clock_.MonotonicNow()));
    judged = host_pauses_.Ask(reading.router, reading.menu);
  }
  if (judged.waiting) judged = host_pauses_.GiveUp(reading.router, reading.menu);
  co_return judged;
}

asio::awaitable<void> RouterPoller::Deliver(MenuReader& menu, routeros::QueueReply reply,
                                            counters::SnapshotHeader header) {
  const counters::Snapshot snapshot{.router = options_.router,
                                    .menu = menu.menu,
                                    .header = std::move(header),
                                    .readings = std::move(reply.readings),
                                    .steps = {}};
  std::string payload;
  if (workers_.has_value() && snapshot.readings.size() >= kRowsForAWorker) {
    payload = co_await asio::co_spawn(
        *workers_,
        [&snapshot, &menu]() -> asio::awaitable<std::string> {
          co_return counters::EncodeSelfContained(snapshot, *menu.table);
        },
        asio::use_awaitable);
  } else {
    payload = counters::EncodeSelfContained(snapshot, *menu.table);
  }
  sink_.OnReading({.router = options_.router,
                   .menu = menu.menu,
                   .attribution_us = snapshot.header.attribution_us,
                   .at_boundary = snapshot.header.at_boundary,
                   .payload = std::move(payload),
                   .queues = snapshot.readings.size(),
                   .took = absl::Microseconds(snapshot.header.end_us - snapshot.header.begin_us)});
  any_read_ = true;
  Report(std::nullopt, RouterState::kReachable, device_remark_);
  Report(menu.menu, RouterState::kReachable, reply.remark);
}

void RouterPoller::Failed(std::optional<counters::Menu> menu, const absl::Status& status) {
  const RouterState state = StateOf(status);
  sink_.OnFailure(options_.router, state);
  Report(menu, state, std::string(status.message()));
}

void RouterPoller::Report(std::optional<counters::Menu> menu, RouterState state,
                          const std::string& detail) {
  if (const auto report = states_.Update(menu, state, detail, NowUs()); report.has_value()) {
    sink_.OnState(*report);
  }
}

}  // namespace netsentinel::poll
