#include "notifier/delivery/report_desk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/config/diagnostics.h"
#include "common/io/sha256.h"
#include "notifier/report/shares.h"
#include "notifier/report/words.h"

namespace netsentinel::delivery {
namespace {

// Sites and their zones are asked for again this often.
constexpr absl::Duration kRefreshEvery = absl::Minutes(5);
constexpr absl::Duration kLongestPause = absl::Seconds(20);
constexpr absl::Duration kFirstRetry = absl::Seconds(2);
constexpr absl::Duration kLongestRetry = absl::Seconds(60);
// Reports that are asked for together are in memory together.
constexpr std::size_t kMaxAskedBytes = 256 << 20;

absl::Duration RetryAfter(int failures) {
  absl::Duration delay = kFirstRetry;
  for (int i = 1; i < failures && delay < kLongestRetry; ++i) delay *= 2;
  return std::min(delay, kLongestRetry);
}

// Every letter is a new one: that a run is queued once is what its mark is for.
std::string LetterId(absl::string_view kind, const ReportSettings& report, const Site& site,
                     absl::Time now) {
  return io::Sha256Hex(absl::StrCat("report\n", kind, "\n", report.name, "\n", site.id, "\n",
                                    absl::ToUnixMicros(now)));
}

// The day as an ISO date; an empty one is the site's current day.
absl::StatusOr<std::string> DayOf(const Site& site, const std::string& day) {
  absl::CivilDay current;
  if (!absl::ParseCivilTime(site.current_day, &current)) {
    return absl::InternalError(absl::StrCat("the aggregator's current day of site ", site.id,
                                            " is not a date: \"",
                                            base::DisplayName(site.current_day), "\""));
  }
  absl::CivilDay civil = current;
  if (!day.empty() && !absl::ParseCivilTime(day, &civil)) {
    return absl::InvalidArgumentError(absl::StrCat("not a date: \"", base::DisplayName(day),
                                                   "\"; use YYYY-MM-DD, e.g. 2026-03-29"));
  }
  if (civil > current) {
    return absl::InvalidArgumentError(absl::StrCat("the day ", IsoDate(civil),
                                                   " has not begun at site ", site.id,
                                                   ", where it is ", IsoDate(current)));
  }
  return IsoDate(civil);
}

// The aggregator cannot be asked, so asking for the next site would only take time.
bool EndsRound(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsCancelled(status);
}

std::vector<std::string> Ids(const std::vector<Site>& sites) {
  std::vector<std::string> ids;
  ids.reserve(sites.size());
  for (const Site& site : sites) ids.push_back(site.id);
  return ids;
}

// "report daily: the aggregator knows no site "lahroe", it knows: lahore"; empty when it knows all.
std::string UnknownSites(const ReportSettings& report, const std::vector<Site>& sites) {
  const std::vector<std::string> known = Ids(sites);
  std::vector<std::string> unknown;
  for (const std::string& id : report.sites) {
    if (std::find(known.begin(), known.end(), id) == known.end()) unknown.push_back(id);
  }
  if (unknown.empty()) return "";
  const std::string closest = config::ClosestWord(unknown.front(), known);
  return absl::StrCat("report ", report.name, ": the aggregator knows no site \"",
                      base::DisplayName(absl::StrJoin(unknown, "\", \"")),
                      "\", it knows: ", absl::StrJoin(known, ", "),
                      closest.empty() ? "" : absl::StrCat("; did you mean ", closest, "?"));
}

absl::Status CheckUsable(const Site& site) {
  return site.fault.empty() ? absl::OkStatus() : absl::FailedPreconditionError(site.fault);
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
      reports_(std::move(reports)) {
  for (const ReportSettings& report : reports_) report_since_[report.name] = started_;
}

void ReportDesk::Change(std::vector<ReportSettings> reports) {
  base::MutexLock lock(mutex_);
  std::map<std::string, absl::Time> since;
  for (const ReportSettings& report : reports) {
    const auto before = report_since_.find(report.name);
    since[report.name] = before == report_since_.end() ? parts_.clock.WallNow() : before->second;
  }
  report_since_ = std::move(since);
  reports_ = std::move(reports);
}

std::vector<ReportSettings> ReportDesk::Reports() const {
  base::MutexLock lock(mutex_);
  return reports_;
}

absl::Status ReportDesk::RefreshSites() {
  const absl::Duration now = parts_.clock.MonotonicNow();
  if (refresh_at_.has_value() && now < *refresh_at_) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(sites_, parts_.source.ListSites());
  const absl::Time first_seen = refresh_at_.has_value() ? parts_.clock.WallNow() : started_;
  std::map<std::string, absl::Time> since;
  for (const Site& site : sites_) {
    const auto before = site_since_.find(site.id);
    since[site.id] = before == site_since_.end() ? first_seen : before->second;
  }
  site_since_ = std::move(since);
  refresh_at_ = now + kRefreshEvery;
  return absl::OkStatus();
}

void ReportDesk::ShowFaults(const std::vector<ReportSettings>& reports) {
  std::vector<std::string> faults;
  for (const ReportSettings& report : reports) {
    if (std::string unknown = UnknownSites(report, sites_); !unknown.empty()) {
      faults.push_back(std::move(unknown));
    }
  }
  for (const Site& site : sites_) {
    if (!site.fault.empty()) faults.push_back(absl::StrCat("no report is made: ", site.fault));
  }
  const std::string sentence = absl::StrJoin(faults, "; ");
  if (sentence.empty()) {
    parts_.readiness.Ready("reports");
  } else {
    parts_.readiness.NotReady("reports", sentence);
    if (sentence != shown_faults_) parts_.logger.Warn("report.site_unusable", sentence);
  }
  shown_faults_ = sentence;
}

absl::StatusOr<Site> ReportDesk::FindSite(const std::string& site_id) {
  // Asked for anew: the current day may be another by now.
  NS_ASSIGN_OR_RETURN(const std::vector<Site> sites, parts_.source.ListSites());
  for (const Site& site : sites) {
    if (site.id != site_id && !site_id.empty()) continue;
    NS_RETURN_IF_ERROR(CheckUsable(site));
    return site;
  }
  return absl::NotFoundError(
      absl::StrCat("no site \"", base::DisplayName(site_id),
                   "\"; the aggregator knows: ", absl::StrJoin(Ids(sites), ", ")));
}

absl::StatusOr<std::vector<Site>> ReportDesk::SitesOf(const ReportSettings& report,
                                                      const std::string& site_id) {
  if (!site_id.empty()) {
    NS_ASSIGN_OR_RETURN(Site site, FindSite(site_id));
    return std::vector<Site>{std::move(site)};
  }
  NS_ASSIGN_OR_RETURN(std::vector<Site> sites, parts_.source.ListSites());
  if (const std::string unknown = UnknownSites(report, sites); !unknown.empty()) {
    return absl::NotFoundError(unknown);
  }
  std::erase_if(sites, [&](const Site& site) { return !report.Wants(site.id); });
  if (sites.empty()) return absl::NotFoundError("the aggregator knows no site");
  return sites;
}

absl::StatusOr<ReportSettings> ReportDesk::FindReport(const std::string& name) const {
  std::vector<std::string> known;
  for (ReportSettings& report : Reports()) {
    if (name.empty() || report.name == name) return std::move(report);
    known.push_back(report.name);
  }
  return absl::NotFoundError(
      absl::StrCat("no report \"", base::DisplayName(name),
                   "\" in the notifier's configuration; it has: ", absl::StrJoin(known, ", ")));
}

absl::StatusOr<report::Rendering> ReportDesk::RenderDay(const Site& site, const std::string& day) {
  absl::CivilDay civil;
  if (!absl::ParseCivilTime(day, &civil))
    return absl::InternalError(absl::StrCat("\"", base::DisplayName(day), "\" is not a date"));
  report::RankedReport report{.site_id = site.id, .zone = site.zone};
  NS_ASSIGN_OR_RETURN(report.day, parts_.source.GetRanking(site.id, day));
  NS_ASSIGN_OR_RETURN(report::DayRanking before,
                      parts_.source.GetRanking(site.id, IsoDate(civil - 1)));
  report.day_before = std::move(before);
  report::NormalizeShares(report.day);
  report::NormalizeShares(*report.day_before);
  base::MutexLock lock(render_mutex_);
  return parts_.renderer.Render(report);
}

absl::StatusOr<report::Rendering> ReportDesk::Render(const std::string& report,
                                                     const std::string& site_id,
                                                     const std::string& day) {
  NS_RETURN_IF_ERROR(FindReport(report).status());
  NS_ASSIGN_OR_RETURN(const Site site, FindSite(site_id));
  NS_ASSIGN_OR_RETURN(const std::string about, DayOf(site, day));
  base::MutexLock lock(asked_mutex_);
  return RenderDay(site, about);
}

absl::StatusOr<std::vector<std::string>> ReportDesk::Send(const Wish& wish) {
  NS_ASSIGN_OR_RETURN(const ReportSettings settings, FindReport(wish.report));
  NS_ASSIGN_OR_RETURN(const std::vector<Site> sites, SitesOf(settings, wish.site_id));
  std::vector<Made> made;
  absl::Status left_out;
  std::size_t bytes = 0;
  base::MutexLock lock(asked_mutex_);
  for (const Site& site : sites) {
    if (const absl::Status usable = CheckUsable(site); !usable.ok()) {
      left_out.Update(usable);
      continue;
    }
    NS_ASSIGN_OR_RETURN(const std::string day, DayOf(site, wish.day));
    absl::StatusOr<report::Rendering> rendering = RenderDay(site, day);
    if (!rendering.ok()) {
      return absl::Status(rendering.status().code(),
                          absl::StrCat("site ", site.id, ": ", rendering.status().message(),
                                       "; nothing was queued"));
    }
    bytes += rendering->html.size() + rendering->text.size() + rendering->csv.size();
    if (bytes > kMaxAskedBytes) {
      return absl::ResourceExhaustedError(
          "the reports of all sites are more than 256 MiB together, nothing was queued: ask for "
          "one site at a time");
    }
    if (wish.gone && wish.gone()) {
      return absl::CancelledError("the caller cancelled the request; nothing was queued");
    }
    made.push_back({site, day, *std::move(rendering)});
  }
  NS_ASSIGN_OR_RETURN(std::vector<std::string> ids, QueueAsked(settings, std::move(made)));
  if (left_out.ok()) return ids;
  return absl::Status(left_out.code(), absl::StrCat(left_out.message(),
                                                    "; the reports of the other sites were "
                                                    "queued"));
}

absl::StatusOr<std::vector<std::string>> ReportDesk::QueueAsked(const ReportSettings& report,
                                                                std::vector<Made> made) {
  std::vector<std::string> ids;
  std::vector<std::string> queued;
  for (Made& one : made) {
    const absl::Time now = parts_.clock.WallNow();
    const absl::StatusOr<std::vector<std::string>> deliveries =
        parts_.queue.AddLetter({.letter = {.id = LetterId("asked", report, one.site, now),
                                           .date = now,
                                           .subject = std::move(one.rendering.subject),
                                           .text = std::move(one.rendering.text),
                                           .html = std::move(one.rendering.html),
                                           .csv_name = report::CsvFileName(one.site.id, one.day),
                                           .csv = std::move(one.rendering.csv)},
                                .site_id = one.site.id,
                                .channel = channel_,
                                .recipients = report.recipients},
                               now);
    parts_.worker.Wake();
    if (!deliveries.ok()) {
      return absl::Status(
          deliveries.status().code(),
          absl::StrCat("site ", one.site.id, ": ", deliveries.status().message(), "; ",
                       queued.empty()
                           ? "nothing was queued"
                           : absl::StrCat("queued before it: ", absl::StrJoin(queued, ", "))));
    }
    queued.push_back(one.site.id);
    ids.insert(ids.end(), deliveries->begin(), deliveries->end());
  }
  return ids;
}

absl::StatusOr<bool> ReportDesk::Owed(const ReportSettings& report, const Site& site,
                                      const Due& due) {
  NS_ASSIGN_OR_RETURN(const std::optional<std::string> last,
                      parts_.queue.LastRun(report.name, site.id));
  if (last.has_value()) {
    // A run after the next one was made while the clock was ahead. (One day may also be a change of
    // the report's time or the site's zone.)
    const Due next = NextDue(report.at, site.zone, parts_.clock.WallNow());
    return *last < IsoDate(due.date) || *last > IsoDate(next.date);
  }
  absl::Time since = site_since_[site.id];
  {
    base::MutexLock lock(mutex_);
    const auto known = report_since_.find(report.name);
    if (known != report_since_.end()) since = std::max(since, known->second);
  }
  if (due.at >= since) return true;
  // Never run before, and due before there was such a run: nothing was missed.
  NS_RETURN_IF_ERROR(parts_.queue.SetLastRun({report.name, site.id, IsoDate(due.date)}));
  return false;
}

absl::Status ReportDesk::QueueDue(const ReportSettings& report, const Site& site, const Due& due) {
  NS_ASSIGN_OR_RETURN(const std::string day,
                      DayOf(site, IsoDate(LocalDayOf(due.at, site.day_start, site.zone))));
  NS_ASSIGN_OR_RETURN(report::Rendering rendering, RenderDay(site, day));
  const absl::Time now = parts_.clock.WallNow();
  NS_RETURN_IF_ERROR(parts_.queue
                         .AddLetter({.letter = {.id = LetterId("scheduled", report, site, now),
                                                .date = due.at,
                                                .subject = std::move(rendering.subject),
                                                .text = std::move(rendering.text),
                                                .html = std::move(rendering.html),
                                                .csv_name = report::CsvFileName(site.id, day),
                                                .csv = std::move(rendering.csv)},
                                     .site_id = site.id,
                                     .channel = channel_,
                                     .recipients = report.recipients,
                                     .run = ReportRun{report.name, site.id, IsoDate(due.date)}},
                                    now)
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

absl::StatusOr<absl::Duration> ReportDesk::QueueAllDue(const std::function<void()>& beat) {
  NS_RETURN_IF_ERROR(RefreshSites());
  const std::vector<ReportSettings> reports = Reports();
  ShowFaults(reports);
  absl::Duration wait = kLongestPause;
  absl::Status first_failure;
  for (const ReportSettings& report : reports) {
    for (const Site& site : sites_) {
      if (!report.Wants(site.id) || !site.fault.empty()) continue;
      beat();
      const absl::Time now = parts_.clock.WallNow();
      const Due due = LatestDue(report.at, site.zone, now);
      const absl::Status queued = QueueIfOwed(report, site, due);
      if (EndsRound(queued)) return queued;
      // One site's trouble does not hold up the others.
      first_failure.Update(queued);
      wait = std::min(wait, NextDue(report.at, site.zone, now).at - now);
    }
  }
  NS_RETURN_IF_ERROR(first_failure);
  return wait;
}

absl::Duration ReportDesk::RunOnce(const std::function<void()>& beat) {
  const absl::StatusOr<absl::Duration> wait = QueueAllDue(beat);
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
    sleep.Wait(RunOnce([&pulse] { pulse.Beat(); }), stop);
  }
  pulse.Stop();
}

}  // namespace netsentinel::delivery
