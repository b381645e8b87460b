// Blobs of the ledger, the calendars and the routers, and journal rows.
#include <utility>

#include "absl/time/time.h"

#include "aggregator/accounting/checkpoint.h"
#include "aggregator/accounting/checkpoint_fields.h"
#include "common/base/status_macros.h"

namespace netsentinel::accounting {

using base::AppendBytes;
using base::AppendVarint;

namespace {

void AppendEvidence(std::string& out, const UsageEvidence& evidence) {
  AppendVarint(out, evidence.totals.size());
  if (evidence.totals.empty()) return;
  for (const ExplanationTotal& total : evidence.totals) {
    AppendVarint(out, static_cast<std::uint64_t>(total.explanation));
    AppendVarint(out, total.steps);
    AppendTraffic(out, total.at_stake);
  }
  AppendVarint(out, evidence.steps.size());
  for (const DisputedStep& step : evidence.steps) {
    AppendTime(out, step.from_us);
    AppendTime(out, step.to_us);
    AppendTraffic(out, step.before);
    AppendTraffic(out, step.now);
    AppendVarint(out, static_cast<std::uint64_t>(step.counted_as));
    AppendTraffic(out, step.counted);
    AppendTraffic(out, step.doubt);
    AppendTraffic(out, step.unseen);
    AppendVarint(out, step.possible.size());
    for (const auto& [explanation, bytes] : step.possible) {
      AppendVarint(out, static_cast<std::uint64_t>(explanation));
      AppendTraffic(out, bytes);
    }
  }
}

Explanation ReadExplanation(Fields& in) {
  const std::uint64_t value = in.U64();
  in.Require(value >= 1 && value <= kExplanations);
  return in.ok() ? static_cast<Explanation>(value) : Explanation::kWentOn;
}

void ReadEvidence(Fields& in, UsageEvidence& evidence) {
  for (std::size_t n = in.Count(kExplanations); n > 0 && in.ok(); --n) {
    ExplanationTotal total;
    total.explanation = ReadExplanation(in);
    total.steps = in.U32();
    total.at_stake = in.Sum();
    in.Require(evidence.totals.empty() || evidence.totals.back().explanation < total.explanation);
    evidence.totals.push_back(total);
  }
  if (evidence.totals.empty()) return;
  for (std::size_t n = in.Count(kMostStepsKept); n > 0 && in.ok(); --n) {
    DisputedStep& step = evidence.steps.emplace_back();
    step.from_us = in.Time();
    step.to_us = in.Time();
    step.before = in.Traffic();
    step.now = in.Traffic();
    step.counted_as = ReadExplanation(in);
    step.counted = in.Sum();
    step.doubt = in.Sum();
    step.unseen = in.Sum();
    for (std::size_t p = in.Count(kExplanations); p > 0 && in.ok(); --p) {
      const Explanation explanation = ReadExplanation(in);
      step.possible.emplace_back(explanation, in.Traffic());
    }
  }
}

}  // namespace

std::string EncodeRows(const DaySpan& span, const std::vector<StoredRow>& rows) {
  std::string out = Begin();
  AppendTime(out, span.day - absl::CivilDay(1970, 1, 1));
  AppendVarint(out, span.segment);
  AppendTime(out, span.begin_us);
  AppendTime(out, span.end_us);
  AppendVarint(out, rows.size());
  for (const StoredRow& stored : rows) {
    const DayRow& row = stored.row;
    AppendVarint(out, stored.queue_id);
    AppendVarint(out, stored.subscriber_id);
    AppendTraffic(out, row.counted);
    AppendTime(out, row.first_reading_us);
    AppendTime(out, row.last_reading_us);
    AppendTime(out, row.observed_us);
    AppendTime(out, row.observed_until_us);
    AppendVarint(out, row.epochs);
    AppendVarint(out, static_cast<std::uint64_t>(row.grade));
    const RowExtra& extra = stored.extra;
    AppendVarint(out, row.extra == kNoRow ? 0 : 1);
    if (row.extra != kNoRow) {
      AppendTraffic(out, extra.doubt);
      AppendTraffic(out, extra.unseen);
      AppendTraffic(out, extra.begin_inside);
      AppendTraffic(out, extra.begin_outside);
      AppendTraffic(out, extra.end_inside);
      AppendTraffic(out, extra.end_outside);
      AppendVarint(out, extra.blind_us);
    }
    AppendEvidence(out, stored.evidence);
  }
  return Seal(std::move(out));
}

absl::StatusOr<DecodedRows> DecodeRows(absl::string_view blob) {
  NS_ASSIGN_OR_RETURN(const OpenedBlob opened, Open(blob));
  Fields in(opened);
  DecodedRows decoded;
  const std::int64_t day = in.I64();
  const std::uint64_t segment = in.U64();
  in.Require(day > -4'000'000 && day < 4'000'000 && segment <= kMaxCutTimes);
  decoded.span.begin_us = in.Time();
  decoded.span.end_us = in.Time();
  if (!in.ok()) return Damaged("usage rows");
  decoded.span.day = absl::CivilDay(1970, 1, 1) + day;
  decoded.span.segment = static_cast<std::uint8_t>(segment);
  for (std::size_t n = in.Count(kQueuesPerPart); n > 0 && in.ok(); --n) {
    StoredRow& stored = decoded.rows.emplace_back();
    stored.queue_id = in.U64();
    stored.subscriber_id = in.U64();
    stored.row.counted = in.Sum();
    stored.row.first_reading_us = in.Time();
    stored.row.last_reading_us = in.Time();
    stored.row.observed_us = in.Time();
    stored.row.observed_until_us = in.Time();
    const std::uint64_t epochs = in.U64();
    const std::uint64_t grade = in.U64();
    in.Require(epochs <= 0xFFFF && grade >= 1 && grade <= 4);
    stored.row.epochs = static_cast<std::uint16_t>(epochs);
    stored.row.grade = static_cast<Grade>(grade);
    if (in.U64() == 1) {
      RowExtra& extra = stored.extra;
      if (in.old()) {
        extra.begin_inside = in.Sum();
        extra.end_inside = in.Sum();
        extra.doubt = in.Sum();
        extra.unseen = in.Sum();
      } else {
        extra.doubt = in.Sum();
        extra.unseen = in.Sum();
        extra.begin_inside = in.Sum();
        extra.begin_outside = in.Sum();
        extra.end_inside = in.Sum();
        extra.end_outside = in.Sum();
      }
      extra.blind_us = in.U64();
    }
    if (!in.old()) ReadEvidence(in, stored.evidence);
  }
  if (!in.done()) return Damaged("usage rows");
  return decoded;
}

std::string EncodeCalendars(const std::vector<StoredCalendar>& calendars) {
  std::string out = Begin();
  AppendVarint(out, calendars.size());
  for (const StoredCalendar& calendar : calendars) {
    AppendBytes(out, calendar.site);
    AppendVarint(out, calendar.versions.size());
    for (const Calendar::Version& version : calendar.versions) {
      AppendTime(out, version.from_us);
      AppendBytes(out, version.rule.zone.name());
      AppendTime(out, absl::ToInt64Seconds(version.rule.day_start));
      AppendVarint(out, version.rule.cuts.size());
      for (const absl::Duration cut : version.rule.cuts) {
        AppendTime(out, absl::ToInt64Seconds(cut));
      }
    }
  }
  return Seal(std::move(out));
}

absl::StatusOr<std::vector<StoredCalendar>> DecodeCalendars(absl::string_view blob) {
  constexpr std::size_t kMostSites = 100'000;
  constexpr std::size_t kMostVersions = 64;
  constexpr std::int64_t kDaySeconds = 86'400;
  NS_ASSIGN_OR_RETURN(const OpenedBlob opened, Open(blob));
  Fields in(opened);
  std::vector<StoredCalendar> calendars;
  for (std::size_t n = in.Count(kMostSites); n > 0 && in.ok(); --n) {
    StoredCalendar& calendar = calendars.emplace_back();
    calendar.site = in.Text();
    for (std::size_t v = in.Count(kMostVersions); v > 0 && in.ok(); --v) {
      Calendar::Version& version = calendar.versions.emplace_back();
      version.from_us = in.I64();
      in.Require(version.from_us == kAlways ||
                 (version.from_us >= -kLatestUs && version.from_us <= kLatestUs));
      const std::string zone = in.Text();
      if (in.ok() && !absl::LoadTimeZone(zone, &version.rule.zone)) {
        return absl::FailedPreconditionError(
            absl::StrCat("site \"", calendar.site, "\" counted days in the time zone \"", zone,
                         "\", which this host does not know: install tzdata"));
      }
      const auto time_of_day = [&] {
        const std::int64_t seconds = in.I64();
        in.Require(seconds >= 0 && seconds < kDaySeconds);
        return absl::Seconds(seconds);
      };
      version.rule.day_start = time_of_day();
      for (std::size_t c = in.Count(kMaxCutTimes); c > 0 && in.ok(); --c) {
        version.rule.cuts.push_back(time_of_day());
      }
      const std::size_t at = calendar.versions.size() - 1;
      in.Require(at == 0 || version.from_us > calendar.versions[at - 1].from_us);
    }
    in.Require(!calendar.versions.empty());
  }
  if (!in.done()) return Damaged("calendars");
  return calendars;
}

std::string EncodeRouter(const StoredRouter& router) {
  std::string out = Begin();
  AppendTime(out, router.open_from_us);
  for (const StoredRouter::Menu& menu : router.menus) {
    AppendVarint(out, menu.next_ordinal);
    AppendVarint(out, menu.current);
    AppendVarint(out, menu.journal_id);
  }
  AppendBytes(out, router.site);
  if (router.rules.has_value()) {
    AppendVarint(out, router.rules->account == counters::Menu::kSimple ? 0 : 1);
    AppendVarint(out, static_cast<std::uint64_t>(router.rules->parents));
    AppendVarint(out, router.rules->line_rate_bps);
    AppendTime(out, router.rules->poll_interval_us);
    for (const StoredRouter::Menu& menu : router.menus) {
      AppendVarint(out, (menu.twin.silent ? 1U : 0U) | (menu.twin.clone ? 2U : 0U));
      AppendBytes(out, menu.twin.of.value());
    }
  }
  return Seal(std::move(out));
}

absl::StatusOr<StoredRouter> DecodeRouter(absl::string_view blob) {
  NS_ASSIGN_OR_RETURN(const OpenedBlob opened, Open(blob));
  Fields in(opened);
  StoredRouter router;
  router.open_from_us = in.I64();
  in.Require(router.open_from_us == kAlways ||
             (router.open_from_us >= -kLatestUs && router.open_from_us <= kLatestUs));
  for (StoredRouter::Menu& menu : router.menus) {
    menu.next_ordinal = in.U32();
    menu.current = in.U32();
    menu.journal_id = in.U64();
    in.Require(menu.current <= menu.next_ordinal);
  }
  if (in.more()) router.site = in.Text();
  if (in.more()) {
    StoredRouter::Rules rules;
    const std::uint64_t account = in.U64();
    const std::uint64_t parents = in.U64();
    rules.line_rate_bps = in.U64();
    rules.poll_interval_us = in.Time();
    in.Require(account <= 1 && (parents == 1 || parents == 2) && rules.line_rate_bps > 0 &&
               rules.poll_interval_us > 0);
    rules.account = account == 0 ? counters::Menu::kSimple : counters::Menu::kTree;
    rules.parents = static_cast<ParentsMode>(parents);
    router.rules = rules;
  }
  for (StoredRouter::Menu& menu : router.menus) {
    if (!in.more()) break;  // a record of before there were twins
    const std::uint64_t flags = in.U64();
    in.Require(flags <= 2);
    menu.twin = {.silent = flags == 1, .clone = flags == 2, .of = base::RouterId(in.Text())};
  }
  if (!in.done()) return Damaged("a router's record");
  return router;
}

std::string SealJournal(std::string payload, std::uint64_t place) {
  AppendFixed(payload, place, kPlaceBytes);
  return Seal(std::move(payload));
}

absl::StatusOr<OpenedJournal> OpenJournal(absl::string_view row) {
  if (row.size() < kPlaceBytes + base::kCrcBytes) return absl::DataLossError("it is too short");
  const std::optional<absl::string_view> sealed = base::WithoutCrc32c(row);
  if (!sealed.has_value()) return absl::DataLossError("its checksum is wrong");
  const std::size_t payload = sealed->size() - kPlaceBytes;
  return OpenedJournal{sealed->substr(0, payload), ReadFixed(sealed->substr(payload))};
}

}  // namespace netsentinel::accounting
