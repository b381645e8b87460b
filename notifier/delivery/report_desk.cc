#include "notifier/delivery/report_desk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/io/sha256.h"
#include "notifier/report/shares.h"
#include "notifier/report/words.h"

namespace netsentinel::delivery {
namespace {

// Sites and their zones are asked for again this often.
constexpr absl::Duration kRefreshEvery = absl::Minutes(5);
constexpr absl::Duration kLongestWait = absl::Seconds(20);
constexpr absl::Duration kFirstRetry = absl::Seconds(2);
constexpr absl::Duration kLongestRetry = absl::Seconds(60);

absl::Duration RetryAfter(int failures) {
  absl::Duration delay = kFirstRetry;
  for (int i = 1; i < failures && delay < kLongestRetry; ++i) delay *= 2;
  return std::min(delay, kLongestRetry);
}

std::string LetterId(absl::string_view kind, const ReportSettings& report, const Site& site,
                     absl::string_view when) {
  return io::Sha256Hex(
      absl::StrCat("report\n", kind, "\n", report.name, "\n", site.id, "\n", when));
}

}  // namespace

bool ReportSettings::Wants(const std::string& site_id) const {
  return sites.empty() || std::find(sites.begin(), sites.end(), site_id) != sites.end();
}

ReportDesk::ReportDesk(std::vector<ReportSettings> reports, std::string channel,
                       const ReportParts& parts)
    : channel_(std::move(channel)),
      started_(parts.clock.WallNow()),
      parts_(parts),
      reports_(std::move(reports)) {}

void ReportDesk::Change(std::vector<ReportSettings> reports) {
  base::MutexLock lock(mutex_);
  reports_ = std::move(reports);
}

absl::Status ReportDesk::RefreshSites() {
  const absl::Duration now = parts_.clock.MonotonicNow();
  if (refresh_at_.has_value() && now < *refresh_at_) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(sites_, parts_.source.ListSites());
  refresh_at_ = now + kRefreshEvery;
  return absl::OkStatus();
}

absl::StatusOr<Site> ReportDesk::FindSite(const std::string& site_id) {
  // Asked for anew: the current day decides what is "so far".
  NS_ASSIGN_OR_RETURN(sites_, parts_.source.ListSites());
  std::vector<std::string> known;
  for (const Site& site : sites_) {
    if (site.id == site_id || site_id.empty()) return site;
    known.push_back(site.id);
  }
  return absl::NotFoundError(
      absl::StrCat("no site \"", base::DisplayName(site_id),
                   "\"; the aggregator knows: ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<const ReportSettings*> ReportDesk::FindReport(const std::string& name) const {
  std::vector<std::string> known;
  for (const ReportSettings& report : reports_) {
    if (name.empty() || report.name == name) return &report;
    known.push_back(report.name);
  }
  return absl::NotFoundError(
      absl::StrCat("no report \"", base::DisplayName(name),
                   "\" in the notifier's configuration; it has: ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<report::Rendering> ReportDesk::RenderDay(const Site& site, const std::string& day) {
  absl::CivilDay civil;
  if (!absl::ParseCivilTime(day, &civil)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", base::DisplayName(day), "\" is no day: write it as 2026-03-29"));
  }
  report::RankedReport report{.site_id = site.id, .zone = site.zone};
  NS_ASSIGN_OR_RETURN(report.day, parts_.source.GetRanking(site.id, day));
  report.day.so_far = day == site.current_day;
  NS_ASSIGN_OR_RETURN(report::DayRanking before,
                      parts_.source.GetRanking(site.id, IsoDate(civil - 1)));
  report.day_before = std::move(before);
  report::NormalizeShares(report.day);
  report::NormalizeShares(*report.day_before);
  return parts_.renderer.Render(report);
}

absl::StatusOr<report::Rendering> ReportDesk::Render(const std::string& report,
                                                     const std::string& site_id,
                                                     const std::string& day) {
  base::MutexLock lock(mutex_);
  NS_RETURN_IF_ERROR(FindReport(report).status());
  NS_ASSIGN_OR_RETURN(const Site site, FindSite(site_id));
  return RenderDay(site, day.empty() ? site.current_day : day);
}

absl::StatusOr<std::vector<std::string>> ReportDesk::Send(const std::string& report,
                                                          const std::string& site_id,
                                                          const std::string& day) {
  base::MutexLock lock(mutex_);
  NS_ASSIGN_OR_RETURN(const ReportSettings* settings, FindReport(report));
  std::vector<Site> sites;
  if (site_id.empty()) {
    NS_ASSIGN_OR_RETURN(sites_, parts_.source.ListSites());
    for (const Site& site : sites_) {
      if (settings->Wants(site.id)) sites.push_back(site);
    }
  } else {
    NS_ASSIGN_OR_RETURN(Site site, FindSite(site_id));
    sites.push_back(std::move(site));
  }
  std::vector<std::string> ids;
  for (const Site& site : sites) {
    const std::string about = day.empty() ? site.current_day : day;
    NS_ASSIGN_OR_RETURN(report::Rendering rendering, RenderDay(site, about));
    const absl::Time now = parts_.clock.WallNow();
    NS_ASSIGN_OR_RETURN(
        const std::vector<std::string> made,
        parts_.queue.AddLetter({.letter = {.id = LetterId("asked", *settings, site,
                                                          absl::StrCat(absl::ToUnixMicros(now))),
                                           .date = now,
                                           .subject = std::move(rendering.subject),
                                           .text = std::move(rendering.text),
                                           .html = std::move(rendering.html),
                                           .csv_name = report::CsvFileName(site.id, about),
                                           .csv = std::move(rendering.csv)},
                                .site_id = site.id,
                                .channel = channel_,
                                .recipients = settings->recipients},
                               now));
    ids.insert(ids.end(), made.begin(), made.end());
  }
  parts_.worker.Wake();
  return ids;
}

absl::StatusOr<bool> ReportDesk::Owed(const ReportSettings& report, const Site& site,
                                      const Due& due) {
  NS_ASSIGN_OR_RETURN(const std::optional<std::string> last,
                      parts_.queue.LastRun(report.name, site.id));
  if (last.has_value()) return *last < IsoDate(due.date);
  if (due.at >= started_) return true;
  // Never run before, and due before there was anyone to run it: nothing was missed.
  NS_RETURN_IF_ERROR(parts_.queue.SetLastRun({report.name, site.id, IsoDate(due.date)}));
  return false;
}

absl::Status ReportDesk::QueueDue(const ReportSettings& report, const Site& site, const Due& due) {
  const std::string day = IsoDate(LocalDayOf(due.at, site.day_start, site.zone));
  const std::string date = IsoDate(due.date);
  NS_ASSIGN_OR_RETURN(report::Rendering rendering, RenderDay(site, day));
  NS_RETURN_IF_ERROR(parts_.queue
                         .AddLetter({.letter = {.id = LetterId("scheduled", report, site, date),
                                                .date = due.at,
                                                .subject = std::move(rendering.subject),
                                                .text = std::move(rendering.text),
                                                .html = std::move(rendering.html),
                                                .csv_name = report::CsvFileName(site.id, day),
                                                .csv = std::move(rendering.csv)},
                                     .site_id = site.id,
                                     .channel = channel_,
                                     .recipients = report.recipients,
                                     .run = ReportRun{report.name, site.id, date}},
                                    parts_.clock.WallNow())
                         .status());
  parts_.logger.Info("report.queued", "a scheduled report was made",
                     {{"report", report.name}, {"site", site.id}, {"day", day}});
  parts_.worker.Wake();
  return absl::OkStatus();
}

absl::Status ReportDesk::QueueIfOwed(const ReportSettings& report, const Site& site,
                                     const Due& due) {
  NS_ASSIGN_OR_RETURN(const bool owed, Owed(report, site, due));
  if (!owed) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(const Site fresh, FindSite(site.id));
  return QueueDue(report, fresh, due);
}

absl::StatusOr<absl::Duration> ReportDesk::QueueAllDue() {
  NS_RETURN_IF_ERROR(RefreshSites());
  absl::Duration wait = kLongestWait;
  absl::Status first_failure;
  // A copy: making a report renews the list.
  const std::vector<Site> sites = sites_;
  for (const ReportSettings& report : reports_) {
    for (const Site& site : sites) {
      if (!report.Wants(site.id)) continue;
      const absl::Time now = parts_.clock.WallNow();
      const Due due = LatestDue(report.at, site.zone, now);
      // One site's trouble does not hold up the others.
      first_failure.Update(QueueIfOwed(report, site, due));
      wait = std::min(wait, NextDue(report.at, site.zone, now).at - now);
    }
  }
  NS_RETURN_IF_ERROR(first_failure);
  return wait;
}

absl::Duration ReportDesk::RunOnce() {
  base::MutexLock lock(mutex_);
  const absl::StatusOr<absl::Duration> wait = QueueAllDue();
  if (wait.ok()) {
    if (failures_ > 0) parts_.logger.Info("report.source_works", "the aggregator answers again");
    failures_ = 0;
    parts_.readiness.Ready("aggregator");
    return *wait;
  }
  ++failures_;
  const absl::Duration retry = RetryAfter(failures_);
  const std::string sentence =
      absl::StrCat("cannot make reports: ", wait.status().message(),
                   "; they wait, trying again in ", absl::FormatDuration(retry));
  if (failures_ == 1) parts_.logger.Warn("report.source_failed", sentence);
  parts_.readiness.NotReady("aggregator", sentence);
  return retry;
}

void ReportDesk::Run(const std::stop_token& stop, http::Liveness::Pulse& pulse) {
  Wakeup sleep;
  while (!stop.stop_requested()) {
    pulse.Beat();
    sleep.Wait(RunOnce(), stop);
  }
  pulse.Stop();
}

}  // namespace netsentinel::delivery
