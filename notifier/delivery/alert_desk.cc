#include "notifier/delivery/alert_desk.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/io/sha256.h"
#include "notifier/report/alert_csv.h"
#include "notifier/report/alert_text.h"

namespace netsentinel::delivery {
namespace {

// Alerts of one digest, all of them named in it or in the file attached to it; more make another
// one.
constexpr std::size_t kMaxDigest = 5'000;
// Digests of one site at once; what is left waits for the next window.
constexpr int kMaxDigestsAtOnce = 20;
constexpr std::size_t kMaxTextBytes = 4096;
// What could not be formed is tried again after this long.
constexpr absl::Duration kAfterFailure = absl::Seconds(10);

// The id of a letter: of its one alert, or of all it tells.
std::string LetterId(absl::Span<const report::Alert> alerts) {
  if (alerts.size() == 1) return alerts.front().breach_id;
  std::string ids;
  for (const report::Alert& alert : alerts) absl::StrAppend(&ids, alert.breach_id, "\n");
  return io::Sha256Hex(ids);
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

}  // namespace

void AlertDesk::Change(AlertSettings settings) {
  base::MutexLock lock(mutex_);
  settings_ = std::move(settings);
}

absl::Status AlertDesk::TellAnew(absl::Time now) {
  std::vector<std::string> recipients;
  {
    base::MutexLock lock(mutex_);
    recipients = settings_.recipients;
  }
  return queue_.TellAnew(recipients, now);
}

Forming AlertDesk::FormLetters(absl::Time now) {
  AlertSettings settings;
  {
    base::MutexLock lock(mutex_);
    settings = settings_;
  }
  Forming forming;
  const absl::StatusOr<std::vector<std::string>> sites = queue_.Groups();
  if (!sites.ok()) return {.look_again = now + kAfterFailure, .failure = sites.status()};
  for (const std::string& site : *sites) {
    const absl::StatusOr<absl::Time> look_again = FormSite(settings, site, now);
    forming.look_again = std::min(forming.look_again, look_again.value_or(now + kAfterFailure));
    // What kept an alert back still does until the site's next letter.
    const auto kept_back = failures_.find(site);
    const absl::Status failure = !look_again.ok()               ? look_again.status()
                                 : kept_back == failures_.end() ? absl::OkStatus()
                                                                : kept_back->second;
    if (failure.ok()) continue;
    forming.failure.Update(
        absl::Status(failure.code(), absl::StrCat("site ", site, ": ", failure.message())));
  }
  return forming;
}

absl::StatusOr<absl::Time> AlertDesk::FormSite(const AlertSettings& settings,
                                               const std::string& site_id, absl::Time now) {
  NS_ASSIGN_OR_RETURN(const GroupState state, queue_.Group(site_id));
  const GroupPlan plan = PlanGroup(state, settings.group, now);
  if (plan.step == GroupStep::kClose) NS_RETURN_IF_ERROR(queue_.CloseWindow(site_id));
  if (plan.step != GroupStep::kFirst && plan.step != GroupStep::kDigest) return plan.look_again;
  const bool first = plan.step == GroupStep::kFirst;
  // A burst leaves at once, so that nothing new has to wait behind it.
  std::size_t left = state.pending;
  for (int letters = 0; left > 0 && letters < (first ? 1 : kMaxDigestsAtOnce); ++letters) {
    const absl::StatusOr<std::size_t> told = Form(settings, site_id, first ? 1 : kMaxDigest, now);
    if (!told.ok()) {
      failures_[site_id] = told.status();
      return now + kAfterFailure;
    }
    if (*told == 0) break;
    left -= std::min(left, *told);
  }
  failures_.erase(site_id);
  return now + settings.group.window;
}

absl::StatusOr<std::size_t> AlertDesk::Form(const AlertSettings& settings,
                                            const std::string& site_id, std::size_t most,
                                            absl::Time now) {
  NS_ASSIGN_OR_RETURN(const PendingAlerts pending, queue_.Pending(site_id, most, now));
  absl::Span<const report::Alert> alerts = pending.alerts;
  if (alerts.empty()) {
    NS_RETURN_IF_ERROR(pending.unreadable);
    return 0;
  }
  const bool bulk = alerts.size() > report::kMaxInlineAlerts;
  report::AlertFile file;
  if (bulk) {
    file = report::AlertCsv(alerts);
    alerts = alerts.first(file.rows);
  }
  NS_ASSIGN_OR_RETURN(report::Rendering rendering, renderer_.RenderAlerts(alerts));
  NewLetter letter{.letter = {.id = LetterId(alerts),
                              .date = alerts.front().crossed_at,
                              .subject = std::move(rendering.subject),
                              .text = std::move(rendering.text),
                              .html = std::move(rendering.html),
                              .csv_name = bulk ? report::AlertFileName(site_id) : "",
                              .csv = std::move(file.csv)},
                   .site_id = site_id,
                   .channel = settings.channel,
                   .recipients = settings.recipients,
                   .bulk = bulk,
                   .first = most == 1,
                   .window_end = now + settings.group.window};
  for (const report::Alert& alert : alerts) {
    letter.breach_ids.push_back(alert.breach_id);
    letter.letter.date = std::max(letter.letter.date, alert.crossed_at);
  }
  NS_RETURN_IF_ERROR(queue_.AddLetter(letter, now).status());
  NS_RETURN_IF_ERROR(pending.unreadable);
  return alerts.size();
}

absl::Status CheckAlert(const report::Alert& alert) {
  const auto refuse = [](absl::string_view why) { return absl::InvalidArgumentError(why); };
  if (alert.breach_id.size() != 64 ||
      !std::all_of(alert.breach_id.begin(), alert.breach_id.end(),
                   [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); })) {
    return refuse("breach_id is not 64 hexadecimal digits");
  }
  if (!IsName(alert.site_id)) return refuse("site_id is not a name of [A-Za-z0-9._-]{1,64}");
  for (const std::string* text : {&alert.router_id, &alert.name, &alert.quota_id, &alert.time_zone,
                                  &alert.crossed_at_local}) {
    if (text->size() > kMaxTextBytes) return refuse("a text is longer than 4 KiB");
  }
  absl::CivilDay day;
  if (!absl::ParseCivilTime(alert.period_start, &day)) {
    return refuse("period_start is not an ISO date");
  }
  if (alert.crossed_at < absl::UnixEpoch() ||
      alert.crossed_at > absl::FromCivil(absl::CivilDay(2200, 1, 1), absl::UTCTimeZone())) {
    return refuse("crossed_at_us is not an instant from 1970 to 2200");
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::delivery
