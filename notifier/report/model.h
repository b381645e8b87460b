#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

#include "common/base/bytes.h"

// What reports and alerts are rendered from. Plain data: nothing here knows the wire or the mail.
namespace netsentinel::report {

// How much a figure can be trusted, best first.
enum class Grade { kComplete, kEstimated, kBounded, kPartial };

enum class QuotaBasis { kDownload, kUpload, kTotal };

enum class QuotaPeriod { kDay, kWeek, kMonth };

// Where a subscriber is in a quota's limit, from good to bad.
enum class StandingState { kWithin, kNear, kOver };

// Judged by what was used for certain, as the alerts are.
struct Standing {
  StandingState state = StandingState::kWithin;
  QuotaBasis basis = QuotaBasis::kDownload;
  QuotaPeriod period = QuotaPeriod::kDay;
  std::uint64_t limit_bytes = 0;
  std::uint64_t used_bytes = 0;
  std::uint32_t percent = 0;
  // By the best figure.
  StandingState counted_state = StandingState::kWithin;
  std::uint32_t counted_percent = 0;
};

// One subscriber's place in a day's ranking.
struct RankedSubscriber {
  // From 1.
  std::uint32_t rank = 0;
  // The router that scopes the name; empty when mapping rules joined several routers.
  std::string router_id;
  // Raw bytes as the router sent them; hostile.
  std::string name;
  base::TrafficBytes counted;
  base::TrafficBytes sure;
  // The most that can have passed unseen.
  base::TrafficBytes unseen;
  // Bytes of `counted` that were divided by time at a day's edge.
  base::TrafficBytes estimated;
  Grade grade = Grade::kComplete;
  // Thousandths of the day's total; see NormalizeShares.
  std::uint32_t share_permille = 0;
  // Nothing where no quota limits the subscriber.
  std::optional<Standing> standing = std::nullopt;
};

// Whether the routers of the site were read on a day.
enum class Observation { kUnknown, kNothing, kPartly, kWhole };

// A router that a day's figures do not have, or not from its begin on.
struct ObservedRouter {
  std::string id;
  // Its first reading; InfiniteFuture before that.
  absl::Time began = absl::InfiniteFuture();
  // It was read on the day.
  bool read = false;
};

// One local day of one site, heaviest subscriber first.
struct DayRanking {
  // ISO date.
  std::string day;
  // The day is not over yet.
  bool so_far = false;
  // Attribution time of the newest snapshot in the figures; InfinitePast when there is none.
  absl::Time as_of = absl::InfinitePast();
  std::vector<RankedSubscriber> rows;
  // Subscribers with usage, whether or not they are among the rows.
  std::uint64_t subscriber_count = 0;
  base::TrafficBytes total;
  // Routers whose day is still open after its end, so later readings may still add to it.
  std::vector<std::string> open_routers;
  Observation observation = Observation::kUnknown;
  // The first reading of any router of the site; InfiniteFuture before that.
  absl::Time reading_began = absl::InfiniteFuture();
  // That was after the day.
  bool began_later = false;
  std::vector<ObservedRouter> observed_routers = {};
};

// The ranked report of one site: a day, and below it the day before.
struct RankedReport {
  std::string site_id;
  absl::TimeZone zone;
  DayRanking day = {};
  std::optional<DayRanking> day_before = std::nullopt;
};

// A threshold of a quota that a subscriber crossed.
struct Alert {
  // 64 hexadecimal digits.
  std::string breach_id;
  std::string site_id;
  std::string router_id;
  // Raw bytes; hostile.
  std::string name;
  std::string quota_id;
  QuotaPeriod period = QuotaPeriod::kDay;
  // First local day of the period, ISO date.
  std::string period_start;
  std::string time_zone;
  QuotaBasis basis = QuotaBasis::kDownload;
  std::uint64_t limit_bytes = 0;
  std::uint32_t threshold_percent = 0;
  // What had provably been used when the threshold was seen crossed.
  base::TrafficBytes used;
  absl::Time crossed_at;
  // `crossed_at` for people, with offset.
  std::string crossed_at_local;
};

// What a mail says, in the forms a mail carries.
struct Rendering {
  // One line of valid UTF-8 without control characters.
  std::string subject;
  std::string text;
  std::string html;
  // RFC 4180; empty when there is nothing to attach.
  std::string csv;
};

}  // namespace netsentinel::report
