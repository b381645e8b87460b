#include "notifier/delivery/wire.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "notifier/delivery/alert_desk.h"

namespace netsentinel::delivery {
namespace {

base::TrafficBytes TrafficFromWire(const v1::Traffic& traffic) {
  return {.upload = traffic.upload_bytes(), .download = traffic.download_bytes()};
}

// Anything unknown is the least that can be claimed.
report::Grade GradeFromWire(v1::Grade grade) {
  switch (grade) {
    case v1::GRADE_COMPLETE:
      return report::Grade::kComplete;
    case v1::GRADE_ESTIMATED:
      return report::Grade::kEstimated;
    case v1::GRADE_BOUNDED:
      return report::Grade::kBounded;
    default:
      return report::Grade::kPartial;
  }
}

report::QuotaBasis BasisFromWire(v1::QuotaBasis basis) {
  switch (basis) {
    case v1::QUOTA_BASIS_DOWNLOAD:
      return report::QuotaBasis::kDownload;
    case v1::QUOTA_BASIS_UPLOAD:
      return report::QuotaBasis::kUpload;
    default:
      return report::QuotaBasis::kTotal;
  }
}

report::StandingState StateFromWire(v1::StandingState state) {
  switch (state) {
    case v1::STANDING_STATE_OVER:
      return report::StandingState::kOver;
    case v1::STANDING_STATE_NEAR:
      return report::StandingState::kNear;
    default:
      return report::StandingState::kWithin;
  }
}

report::Observation ObservationFromWire(v1::ObservationState state) {
  switch (state) {
    case v1::OBSERVATION_STATE_NOTHING:
      return report::Observation::kNothing;
    case v1::OBSERVATION_STATE_PARTLY:
      return report::Observation::kPartly;
    case v1::OBSERVATION_STATE_WHOLE:
      return report::Observation::kWhole;
    default:
      return report::Observation::kUnknown;
  }
}

absl::StatusOr<report::QuotaPeriod> PeriodFromWire(v1::QuotaPeriod period) {
  switch (period) {
    case v1::QUOTA_PERIOD_DAY:
      return report::QuotaPeriod::kDay;
    case v1::QUOTA_PERIOD_WEEK:
      return report::QuotaPeriod::kWeek;
    case v1::QUOTA_PERIOD_MONTH:
      return report::QuotaPeriod::kMonth;
    default:
      return absl::InvalidArgumentError("period is not day, week or month");
  }
}

absl::Time TimeFromWire(std::int64_t us) { return absl::FromUnixMicros(us); }

absl::Time BeganFromWire(std::int64_t us) {
  return us == 0 ? absl::InfiniteFuture() : TimeFromWire(us);
}

// Nothing of a period that this program does not know: it could not be named.
std::optional<report::Standing> StandingFromWire(const v1::RankingRow& row) {
  if (!row.has_standing()) return std::nullopt;
  const v1::Standing& wire = row.standing();
  const absl::StatusOr<report::QuotaPeriod> period = PeriodFromWire(wire.period());
  if (!period.ok()) return std::nullopt;
  return report::Standing{.state = StateFromWire(wire.state()),
                          .basis = BasisFromWire(wire.basis()),
                          .period = *period,
                          .limit_bytes = wire.limit_bytes(),
                          .used_bytes = wire.used_bytes(),
                          .percent = wire.percent(),
                          .counted_state = StateFromWire(wire.counted_state()),
                          .counted_percent = wire.counted_percent()};
}

// A ranking of one site has one.
void FillObservation(const v1::GetRankingResponse& response, report::DayRanking& day) {
  if (response.observations_size() != 1) return;
  const v1::Observation& wire = response.observations(0);
  day.observation = ObservationFromWire(wire.state());
  day.reading_began = BeganFromWire(wire.reading_began_us());
  day.began_later = wire.reading_began_us() >= wire.end_us();
  for (const v1::ObservedRouter& router : wire.routers()) {
    day.observed_routers.push_back({.id = router.router_id(),
                                    .began = BeganFromWire(router.reading_began_us()),
                                    .read = router.read()});
  }
}

}  // namespace

absl::StatusOr<report::Alert> AlertFromWire(const v1::Breach& breach) {
  report::Alert alert;
  alert.breach_id = breach.breach_id();
  alert.site_id = breach.subscriber().site_id();
  alert.router_id = breach.subscriber().router_id();
  alert.name = breach.subscriber().name().name();
  alert.quota_id = breach.quota_id();
  NS_ASSIGN_OR_RETURN(alert.period, PeriodFromWire(breach.period()));
  alert.period_start = breach.period_start();
  alert.time_zone = breach.time_zone();
  if (breach.basis() == v1::QUOTA_BASIS_UNSPECIFIED) {
    return absl::InvalidArgumentError("basis is not download, upload or total");
  }
  alert.basis = BasisFromWire(breach.basis());
  alert.limit_bytes = breach.limit_bytes();
  alert.threshold_percent = breach.threshold_percent();
  alert.used = TrafficFromWire(breach.used());
  alert.crossed_at = TimeFromWire(breach.crossed_at_us());
  alert.crossed_at_local = breach.crossed_at_local();
  NS_RETURN_IF_ERROR(CheckAlert(alert));
  return alert;
}

// "HH:MM" or "HH:MM:SS".
bool ParseLocalTime(const std::string& text, LocalTime& time) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() != 2 && parts.size() != 3) return false;
  const auto read = [&](std::size_t i, int most, int& value) {
    return absl::SimpleAtoi(parts[i], &value) && value >= 0 && value <= most;
  };
  return read(0, 23, time.hour) && read(1, 59, time.minute) &&
         (parts.size() == 2 || read(2, 59, time.second));
}

Site SiteFromWire(const v1::SiteInfo& site) {
  Site out{.id = site.site_id(), .zone = {}, .day_start = {}, .current_day = site.current_day()};
  if (!absl::LoadTimeZone(site.time_zone(), &out.zone)) {
    out.fault = absl::StrCat("site ", base::DisplayName(site.site_id()), ": time zone \"",
                             base::DisplayName(site.time_zone()),
                             "\" is not known on this host: install tzdata");
  } else if (!site.day_start().empty() && !ParseLocalTime(site.day_start(), out.day_start)) {
    out.fault = absl::StrCat("site ", base::DisplayName(site.site_id()), ": day_start \"",
                             base::DisplayName(site.day_start()), "\" is not a time of day");
  }
  return out;
}

report::DayRanking RankingFromWire(const v1::GetRankingResponse& response) {
  report::DayRanking day;
  day.day = response.first_day();
  // Open for another reason than routers that are late.
  day.so_far = response.open() && response.open_routers().empty();
  if (response.as_of_us() != 0) day.as_of = TimeFromWire(response.as_of_us());
  day.subscriber_count = response.subscriber_count();
  day.total = TrafficFromWire(response.total());
  for (const std::string& router : response.open_routers()) day.open_routers.push_back(router);
  day.rows.reserve(static_cast<std::size_t>(response.rows_size()));
  for (const v1::RankingRow& row : response.rows()) {
    day.rows.push_back({.rank = row.rank(),
                        .router_id = row.subscriber().router_id(),
                        .name = row.subscriber().name().name(),
                        .counted = TrafficFromWire(row.usage().counted()),
                        .sure = TrafficFromWire(row.usage().sure()),
                        .unseen = TrafficFromWire(row.usage().unseen()),
                        .estimated = TrafficFromWire(row.usage().estimated()),
                        .grade = GradeFromWire(row.usage().grade()),
                        .share_permille = row.share_permille(),
                        .standing = StandingFromWire(row)});
  }
  FillObservation(response, day);
  return day;
}

void DeliveryToWire(const DeliveryRecord& record, v1::Delivery& out) {
  out.set_delivery_id(record.delivery_id);
  out.set_channel(record.channel);
  out.set_recipient(record.recipient);
  out.set_subject(record.subject);
  switch (record.status) {
    case Status::kWaiting:
      out.set_status(v1::DELIVERY_STATUS_WAITING);
      out.set_next_attempt_us(absl::ToUnixMicros(record.next_attempt));
      break;
    case Status::kDelivered:
      out.set_status(v1::DELIVERY_STATUS_DELIVERED);
      break;
    case Status::kParked:
      out.set_status(v1::DELIVERY_STATUS_PARKED);
      break;
  }
  out.set_attempts(record.attempts);
  out.set_detail(record.detail);
}

}  // namespace netsentinel::delivery
