#include "collector/app/delivery.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include <boost/asio/post.hpp>

namespace netsentinel::app {
namespace {

constexpr std::uint64_t kInboxBytesMax = std::uint64_t{64} << 20;
constexpr std::chrono::milliseconds kTickInterval{100};
constexpr absl::Duration kCallsEndWithin = absl::Seconds(3);

}  // namespace

Delivery::Delivery(spool::SpoolOptions spool, uplink::UplinkOptions uplink, const Parts& parts,
                   DeliveryCallbacks callbacks)
    : parts_(parts),
      callbacks_(std::move(callbacks)),
      work_(boost::asio::make_work_guard(io_)),
      timer_(io_),
      keeper_(std::move(spool), parts.clock, parts.random, parts.logger),
      connector_(parts.channel,
                 [this](std::function<void()> run) { boost::asio::post(io_, std::move(run)); }),
      uplink_(std::move(uplink), {.keeper = keeper_,
                                  .clock = parts.clock,
                                  .random = parts.random,
                                  .logger = parts.logger,
                                  .aggregator_clock = parts.aggregator_clock,
                                  .connector = connector_,
                                  .listener = *this}) {}

Delivery::~Delivery() { Stop(); }

absl::Status Delivery::Start() {
  if (const absl::Status status = keeper_.Start(); !status.ok()) return status;
  uplink_.RestorePlans();
  RaiseFloors();
  Publish();
  thread_ = std::thread([this] {
    ArmTimer();
    io_.run();
  });
  return absl::OkStatus();
}

void Delivery::RaiseFloors() {
  if (keeper_.spool() == nullptr) return;
  const auto positions = keeper_.spool()->Positions();
  if (!positions.ok()) return keeper_.Fail(positions.status());
  for (const spool::MenuPosition& position : *positions) {
    keys_.insert(position.key);
    callbacks_.floor(position.key.router, position.newest_attribution_us);
  }
}

void Delivery::ArmTimer() {
  timer_.expires_after(kTickInterval);
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    Tick();
    ArmTimer();
  });
}

void Delivery::Take(poll::Reading reading) {
  spool::NewRow row{.key = {reading.router, reading.menu},
                    .lease_epoch = 0,
                    .attribution_us = reading.attribution_us,
                    .at_boundary = reading.at_boundary,
                    .payload = std::move(reading.payload)};
  {
    base::MutexLock lock(mutex_);
    const std::uint64_t bytes = row.payload.size();
    if (!overflow_.empty() || inbox_bytes_ + bytes > kInboxBytesMax) {
      overflow_.Add(std::move(row));
    } else {
      inbox_.push_back(std::move(row));
      inbox_bytes_ += bytes;
    }
  }
  boost::asio::post(io_, [this] { Drain(); });
}

void Delivery::Drain() {
  std::vector<spool::NewRow> rows;
  {
    base::MutexLock lock(mutex_);
    rows = std::exchange(inbox_, {});
    inbox_bytes_ = 0;
    for (spool::NewRow& row : overflow_.All()) rows.push_back(std::move(row));
    overflow_.Clear();
  }
  if (rows.empty()) return;
  std::set<spool::MenuKey> written;
  for (spool::NewRow& row : rows) {
    row.lease_epoch = uplink_.LeaseEpoch(row.key.router);
    uplink_.OnPolled(row.key.router, /*succeeded=*/true);
    written.insert(row.key);
  }
  keys_.insert(written.begin(), written.end());
  keeper_.Take(std::move(rows));
  uplink_.OnSpooled(written);
}

void Delivery::ReportFailure(const base::RouterId& router) {
  boost::asio::post(io_, [this, router] { uplink_.OnPolled(router, /*succeeded=*/false); });
}

void Delivery::OnPlan(const spool::RouterPlan& plan) {
  keeper_.SetBoundaries(plan.router, plan.boundary_us);
  {
    base::MutexLock lock(mutex_);
    overflow_.SetBoundaries(plan.router, plan.boundary_us);
  }
  callbacks_.plan(plan);
}

void Delivery::Tick() {
  if (keeper_.Tick()) uplink_.OnSpooled(keys_);
  uplink_.Tick();
  TellOfSpool();
  Publish();
  if (tick_) tick_();
}

void Delivery::Publish() {
  DeliveryStatus status{.connected = uplink_.connected(),
                        .trouble = uplink_.trouble(),
                        .spool = keeper_.health(),
                        .spool_stats = {},
                        .pending_bytes = keeper_.pending().bytes(),
                        .lost_readings = keeper_.pending().lost(),
                        .uplink = uplink_.stats(),
                        .states = {}};
  if (keeper_.spool() != nullptr) status.spool_stats = keeper_.spool()->stats();
  for (const auto& [key, report] : states_) {
    status.states.push_back(WithSpool(report));
    if (report.menu.has_value()) continue;
    const std::string held = uplink_.HeldBack(report.router);
    std::string& detail = status.states.back().detail;
    if (!held.empty())
      absl::StrAppend(&detail, detail.empty() ? "" : "; ", "snapshots wait: ", held);
  }
  base::MutexLock lock(mutex_);
  status.pending_bytes += overflow_.bytes();
  status.lost_readings += overflow_.lost();
  status_ = std::move(status);
}

poll::RouterStateReport Delivery::WithSpool(poll::RouterStateReport report) const {
  if (report.menu.has_value() || spool_trouble_.empty()) return report;
  absl::StrAppend(&report.detail, report.detail.empty() ? "" : "; ", spool_trouble_);
  return report;
}

void Delivery::TellOfSpool() {
  const absl::Status health = keeper_.health();
  // The words change from try to try; that it fails is told once.
  if (health.ok() == spool_trouble_.empty()) return;
  spool_trouble_ = health.ok()
                       ? ""
                       : absl::StrCat("its collector cannot store readings: ", health.message(),
                                      "; they wait in memory and are merged");
  for (const auto& [key, report] : states_) {
    if (!report.menu.has_value()) uplink_.ReportState(WithSpool(report));
  }
}

void Delivery::ReportState(const poll::RouterStateReport& report) {
  boost::asio::post(io_, [this, report] {
    const int menu = report.menu.has_value() ? static_cast<int>(*report.menu) : 0;
    states_[{report.router, menu}] = report;
    uplink_.ReportState(WithSpool(report));
  });
}

void Delivery::SetRouters(std::vector<base::RouterId> routers) {
  boost::asio::post(io_, [this, routers = std::move(routers)]() mutable {
    const std::set<base::RouterId> wanted(routers.begin(), routers.end());
    std::erase_if(states_,
                  [&wanted](const auto& entry) { return !wanted.contains(entry.first.first); });
    uplink_.SetRouters(std::move(routers));
  });
}

DeliveryStatus Delivery::status() const {
  base::MutexLock lock(mutex_);
  return status_;
}

void Delivery::RunUntilCallsEnd() {
  const absl::Duration until = parts_.clock.MonotonicNow() + kCallsEndWithin;
  while (connector_.open_calls() > 0 && parts_.clock.MonotonicNow() < until) {
    io_.restart();
    io_.run_for(std::chrono::milliseconds(10));
  }
}

void Delivery::Stop() {
  if (!thread_.joinable()) return;
  boost::asio::post(io_, [this] {
    Drain();
    timer_.cancel();
    uplink_.Stop();
    work_.reset();
    io_.stop();
  });
  thread_.join();
  RunUntilCallsEnd();
}

}  // namespace netsentinel::app
