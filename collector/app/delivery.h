#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "collector/poll/router_poller.h"
#include "collector/spool/spool_keeper.h"
#include "collector/uplink/grpc_ingest_stream.h"
#include "collector/uplink/uplink.h"
#include "common/base/mutex.h"
#include "common/log/logger.h"

namespace netsentinel::app {

// What the collector can say of its delivery.
struct DeliveryStatus {
  bool connected = false;
  std::string trouble;  // why not connected
  absl::Status spool;   // why readings stay in memory
  spool::SpoolStats spool_stats;
  std::uint64_t pending_bytes = 0;
  // Readings that memory could neither keep nor merge, since the start.
  std::uint64_t lost_readings = 0;
  uplink::UplinkStats uplink;
  // The newest of every router and menu; a router's with why its snapshots wait, where they do.
  std::vector<poll::RouterStateReport> states;
};

// What delivery learns and the poller needs; called on the delivery thread.
struct DeliveryCallbacks {
  std::function<void(const spool::RouterPlan&)> plan;
  std::function<void(const base::RouterId&, bool may_poll)> lease;
  // Newest attribution of an earlier run.
  std::function<void(const base::RouterId&, std::int64_t)> floor;
};

// Spool and uplink on a thread of their own, so that a slow disk delays no poll. Take,
// ReportFailure, ReportState, SetRouters and status are thread-safe.
class Delivery final : private uplink::UplinkListener {
 public:
  struct Parts {
    std::shared_ptr<grpc::Channel> channel;
    const base::Clock& clock;
    base::RandomSource& random;  // thread-safe
    log::Logger& logger;
    poll::AggregatorClock& aggregator_clock;
  };

  Delivery(spool::SpoolOptions spool, uplink::UplinkOptions uplink, const Parts& parts,
           DeliveryCallbacks callbacks);
  ~Delivery() override;

  // Opens the spool and starts the thread. Fails as SpoolKeeper::Start.
  absl::Status Start();
  // Readings beyond 64 MiB that the disk has not taken are merged in memory, as in
  // spool::PendingReadings.
  void Take(poll::Reading reading);
  // A poll or connection failed.
  void ReportFailure(const base::RouterId& router);
  void ReportState(const poll::RouterStateReport& report);
  void SetRouters(std::vector<base::RouterId> routers);
  DeliveryStatus status() const;
  // Called on the delivery thread, about ten times a second.
  void OnTick(std::function<void()> tick) { tick_ = std::move(tick); }
  // Writes what was taken, ends the stream, joins the thread.
  void Stop();

 private:
  void OnPlan(const spool::RouterPlan& plan) override;
  void OnLease(const base::RouterId& router, bool may_poll) override {
    callbacks_.lease(router, may_poll);
  }

  void Drain();
  void Tick();
  void ArmTimer();
  void RaiseFloors();
  void Publish();
  // The report with what keeps this collector from storing readings, for the aggregator's list.
  poll::RouterStateReport WithSpool(poll::RouterStateReport report) const;
  // Tells the aggregator of every router again when the spool begins or ends to fail.
  void TellOfSpool();
  void RunUntilCallsEnd();

  const Parts parts_;
  const DeliveryCallbacks callbacks_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  boost::asio::steady_timer timer_;
  spool::SpoolKeeper keeper_;
  uplink::GrpcIngestConnector connector_;
  uplink::Uplink uplink_;
  std::function<void()> tick_;
  std::set<spool::MenuKey> keys_;
  std::map<std::pair<base::RouterId, int>, poll::RouterStateReport> states_;
  // What was told of the spool last; empty while it works.
  std::string spool_trouble_;
  std::thread thread_;

  mutable base::Mutex mutex_;
  std::vector<spool::NewRow> inbox_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t inbox_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  spool::PendingReadings overflow_ ABSL_GUARDED_BY(mutex_);
  DeliveryStatus status_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::app
