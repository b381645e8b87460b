#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "notifier/delivery/delivery_worker.h"
#include "notifier/delivery/schedule.h"
#include "notifier/delivery/sqlite_delivery_queue.h"
#include "notifier/delivery/usage_source.h"
#include "notifier/report/html_renderer.h"

namespace netsentinel::delivery {

// A report as configured.
struct ReportSettings {
  std::string name;
  LocalTime at;
  // Empty: all sites.
  std::vector<std::string> sites;
  std::vector<std::string> recipients;

  bool Wants(const std::string& site_id) const;
};

// What the desk uses; all of it outlives the desk.
struct ReportParts {
  const base::Clock& clock;
  SqliteDeliveryQueue& queue;
  UsageSource& source;
  const report::HtmlRenderer& renderer;
  Wakeup& worker;
  log::Logger& logger;
  http::Readiness& readiness;
};

// Makes ranked reports: on schedule, and when asked. Thread-safe, one report at a time.
class ReportDesk {
 public:
  ReportDesk(std::vector<ReportSettings> reports, std::string channel, const ReportParts& parts);

  // New settings, for runs that are not queued yet.
  void Change(std::vector<ReportSettings> reports);

  // Renders the report of a site and day as it would be sent now. Empty `report`: the first one;
  // empty `site_id`: the first one; empty `day`: the current local day. kNotFound names what is
  // unknown.
  absl::StatusOr<report::Rendering> Render(const std::string& report, const std::string& site_id,
                                           const std::string& day);
  // Puts the report of the site, or of all its sites when empty, into the queue; the ids of the
  // deliveries.
  absl::StatusOr<std::vector<std::string>> Send(const std::string& report,
                                                const std::string& site_id, const std::string& day);

  // Queues the runs that are due and were not queued before; of several missed ones the latest.
  // How long until the next look. While the aggregator cannot be asked the runs wait, and the
  // readiness condition "aggregator" says so.
  absl::Duration RunOnce();
  // RunOnce until the stop is requested.
  void Run(const std::stop_token& stop, http::Liveness::Pulse& pulse);

 private:
  absl::StatusOr<report::Rendering> RenderDay(const Site& site, const std::string& day)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<Site> FindSite(const std::string& site_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<const ReportSettings*> FindReport(const std::string& name) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status RefreshSites() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether `due` is still to be queued for the site.
  absl::StatusOr<bool> Owed(const ReportSettings& report, const Site& site, const Due& due)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status QueueDue(const ReportSettings& report, const Site& site, const Due& due)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status QueueIfOwed(const ReportSettings& report, const Site& site, const Due& due)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::StatusOr<absl::Duration> QueueAllDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string channel_;
  const absl::Time started_;
  base::Mutex mutex_;
  ReportParts parts_;
  std::vector<ReportSettings> reports_ ABSL_GUARDED_BY(mutex_);
  std::vector<Site> sites_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Duration> refresh_at_ ABSL_GUARDED_BY(mutex_);
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace netsentinel::delivery
