#pragma once

#include <functional>
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

// Makes ranked reports: on schedule, and when asked. Thread-safe; one report at a time on schedule
// and one on demand. Only what makes reports waits for the aggregator.
class ReportDesk {
 public:
  ReportDesk(std::vector<ReportSettings> reports, std::string channel, const ReportParts& parts);

  // New settings, for runs that are not queued yet.
  void Change(std::vector<ReportSettings> reports);

  // Renders the report of a site and day as it would be sent now. Empty `report`: the first one;
  // empty `site_id`: the first one; empty `day`: the current local day. kNotFound names what is
  // unknown, kInvalidArgument a day that is none or has not begun.
  absl::StatusOr<report::Rendering> Render(const std::string& report, const std::string& site_id,
                                           const std::string& day);

  struct Wish {
    // As of Render().
    std::string report;
    // Empty: all sites of the report.
    std::string site_id;
    std::string day;
    // Whether whoever asked has gone; may be empty.
    std::function<bool()> gone = nullptr;
  };
  // Renders what is wished and puts it into the queue, all or, when the queue fails midway, what
  // the error names; the ids of the deliveries. A site that no report can be made of is left out
  // and becomes the error when the others are queued.
  absl::StatusOr<std::vector<std::string>> Send(const Wish& wish);

  // Queues the runs that are due and were not queued before; of several missed ones the latest.
  // How long until the next look. While the aggregator cannot be asked the runs wait, and the
  // readiness condition "aggregator" says so; "reports" says which configured sites it does not
  // know or cannot be used. `beat` is called at every site. One thread.
  absl::Duration RunOnce(const std::function<void()>& beat = [] {});
  // RunOnce until the stop is requested.
  void Run(const std::stop_token& stop, http::Liveness::Pulse& pulse);

 private:
  struct Made {
    Site site;
    std::string day;
    report::Rendering rendering;
  };
  absl::StatusOr<report::Rendering> RenderDay(const Site& site, const std::string& day);
  absl::StatusOr<Site> FindSite(const std::string& site_id);
  absl::StatusOr<std::vector<Site>> SitesOf(const ReportSettings& report,
                                            const std::string& site_id);
  absl::StatusOr<ReportSettings> FindReport(const std::string& name) const;
  std::vector<ReportSettings> Reports() const;
  absl::StatusOr<std::vector<std::string>> QueueAsked(const ReportSettings& report,
                                                      std::vector<Made> made);
  absl::Status RefreshSites();
  void ShowFaults(const std::vector<ReportSettings>& reports);
  // Whether `due` is still to be queued for the site.
  absl::StatusOr<bool> Owed(const ReportSettings& report, const Site& site, const Due& due);
  absl::Status QueueDue(const ReportSettings& report, const Site& site, const Due& due);
  absl::Status QueueIfOwed(const ReportSettings& report, const Site& site, const Due& due);
  absl::StatusOr<absl::Duration> QueueAllDue(const std::function<void()>& beat);

  const std::string channel_;
  const absl::Time started_;
  ReportParts parts_;
  // Held while a report that was asked for is made.
  base::Mutex asked_mutex_;
  // The renderer is for one thread.
  base::Mutex render_mutex_;
  mutable base::Mutex mutex_;
  std::vector<ReportSettings> reports_ ABSL_GUARDED_BY(mutex_);
  // Since when a report and a site are there: runs that were due before that were not missed.
  std::map<std::string, absl::Time> report_since_ ABSL_GUARDED_BY(mutex_);
  // The rest belongs to the thread of RunOnce().
  std::map<std::string, absl::Time> site_since_;
  std::vector<Site> sites_;
  std::optional<absl::Duration> refresh_at_;
  std::string shown_faults_;
  int failures_ = 0;
};

}  // namespace netsentinel::delivery
