#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/query/usage_reader.h"
#include "common/base/display_name.h"
#include "common/base/status_macros.h"

// Which days a question is about, and whether the routers were read on them.
namespace netsentinel::query {
namespace {

constexpr int kSpanDaysMax = 400;

absl::StatusOr<absl::CivilDay> ParseDay(const std::string& text) {
  absl::CivilDay day;
  if (!absl::ParseCivilTime(text, &day)) {
    return absl::InvalidArgumentError(absl::StrCat("not a date: \"", base::DisplayName(text),
                                                   "\"; use YYYY-MM-DD, e.g. 2026-03-29"));
  }
  return day;
}

absl::Status NotBegun(absl::CivilDay day, const base::SiteId& site, absl::CivilDay today) {
  return absl::InvalidArgumentError(absl::StrCat("the day ", absl::FormatCivilTime(day),
                                                 " has not begun at site ", site.value(),
                                                 ", where it is ", absl::FormatCivilTime(today)));
}

// The days as they are asked for; what is left out is the day that is running wherever it is asked.
struct Asked {
  std::optional<absl::CivilDay> first;
  std::optional<absl::CivilDay> last;
};

absl::StatusOr<Asked> Parse(const std::string& first, const std::string& last) {
  Asked asked;
  if (first.empty() && !last.empty()) {
    NS_RETURN_IF_ERROR(ParseDay(last).status());
    return absl::InvalidArgumentError(
        absl::StrCat("the last day ", last, " is given without a first day: say where to begin"));
  }
  if (!first.empty()) {
    NS_ASSIGN_OR_RETURN(asked.first, ParseDay(first));
  }
  if (!last.empty()) {
    NS_ASSIGN_OR_RETURN(asked.last, ParseDay(last));
  }
  if (asked.last.has_value() && *asked.last < *asked.first) {
    return absl::InvalidArgumentError(
        absl::StrCat("the last day ", last, " lies before the first, ", first));
  }
  return asked;
}

absl::StatusOr<DaySpan> SpanOf(const Asked& asked, const base::SiteId& site, absl::CivilDay today) {
  DaySpan span{asked.first.value_or(today), asked.last.value_or(today), today};
  if (span.first > today) return NotBegun(span.first, site, today);
  if (span.last > today) return NotBegun(span.last, site, today);
  if (span.last - span.first >= kSpanDaysMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the span has more than ", kSpanDaysMax, " days"));
  }
  return span;
}

}  // namespace

absl::StatusOr<DaySpan> UsageReader::Resolve(const base::SiteId& site, const std::string& first,
                                             const std::string& last) const {
  NS_ASSIGN_OR_RETURN(const Asked asked, Parse(first, last));
  NS_ASSIGN_OR_RETURN(
      const accounting::Book::LocalDay today,
      book_.Read([&](const accounting::Book& book) { return book.DayAt(site, NowUs()); }));
  return SpanOf(asked, site, today.day);
}

absl::StatusOr<std::vector<std::optional<DaySpan>>> UsageReader::Resolve(
    const std::vector<const Catalog::Site*>& sites, const std::string& first,
    const std::string& last) const {
  NS_ASSIGN_OR_RETURN(const Asked asked, Parse(first, last));
  std::vector<std::optional<DaySpan>> spans;
  absl::Status not_begun;
  bool last_begun = false;
  for (const Catalog::Site* site : sites) {
    NS_ASSIGN_OR_RETURN(
        const accounting::Book::LocalDay today,
        book_.Read([&](const accounting::Book& book) { return book.DayAt(site->id, NowUs()); }));
    if (asked.first.value_or(today.day) > today.day) {
      not_begun.Update(NotBegun(*asked.first, site->id, today.day));
      spans.emplace_back();
      continue;
    }
    Asked here = asked;
    if (here.last.has_value() && *here.last > today.day) {
      not_begun.Update(NotBegun(*here.last, site->id, today.day));
      here.last = today.day;
    } else {
      last_begun = true;
    }
    NS_ASSIGN_OR_RETURN(const DaySpan span, SpanOf(here, site->id, today.day));
    spans.emplace_back(span);
  }
  const bool any = std::any_of(spans.begin(), spans.end(),
                               [](const std::optional<DaySpan>& one) { return one.has_value(); });
  if (!any || !last_begun) return not_begun;
  return spans;
}

absl::StatusOr<UsageReader::Instants> UsageReader::InstantsOf(
    const std::vector<const Catalog::Site*>& sites, const std::string& first,
    const std::string& last) const {
  if (first.empty() && last.empty()) return Instants{};
  NS_ASSIGN_OR_RETURN(const std::vector<std::optional<DaySpan>> spans, Resolve(sites, first, last));
  std::optional<Instants> instants;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    std::optional<Instants> here;
    if (spans[i].has_value()) {
      NS_ASSIGN_OR_RETURN(const accounting::Book::LocalDay begin,
                          BoundsOf(sites[i]->id, spans[i]->first));
      NS_ASSIGN_OR_RETURN(const accounting::Book::LocalDay end,
                          BoundsOf(sites[i]->id, spans[i]->last));
      here = Instants{begin.begin_us, end.end_us};
    }
    if (i > 0 && here != instants) {
      return absl::InvalidArgumentError(
          "the sites' days begin at different instants: ask for the days of one site");
    }
    instants = here;
  }
  return instants.value_or(Instants{});
}

Observed Observe(const std::vector<base::RouterId>& routers, const store::SiteReadings& readings,
                 std::int64_t begin_us) {
  Observed observed;
  std::map<base::RouterId, std::int64_t> began;
  for (const store::FirstReading& first : readings.firsts) {
    if (observed.began_us == 0 || first.at_us < observed.began_us) observed.began_us = first.at_us;
    began[first.router] = first.at_us;
  }
  const std::set<base::RouterId> read(readings.read_in_span.begin(), readings.read_in_span.end());
  for (const base::RouterId& id : routers) {
    Observed::Router router{.id = id, .read = read.contains(id)};
    if (const auto found = began.find(id); found != began.end()) router.began_us = found->second;
    if (!router.read || router.began_us > begin_us) observed.routers.push_back(std::move(router));
  }
  observed.state = readings.read_in_span.empty() ? Observed::State::kNothing
                   : observed.routers.empty()    ? Observed::State::kWhole
                                                 : Observed::State::kPartly;
  return observed;
}

Observed UsageReader::ObservationOf(const Catalog::Site& site, const DaySpan& span) {
  const absl::StatusOr<accounting::Book::LocalDay> begin = BoundsOf(site.id, span.first);
  const absl::StatusOr<accounting::Book::LocalDay> end = BoundsOf(site.id, span.last);
  if (!begin.ok() || !end.ok()) return {};
  std::optional<store::SiteReadings> readings;
  if (readings_ != nullptr) readings = readings_->Readings(site.id, span.first, span.last);
  if (!readings.has_value()) {
    absl::StatusOr<store::SiteReadings> stored = store_.Ask(
        [&](store::Store& store) { return store.Readings(site.id, span.first, span.last); });
    if (stored.ok()) readings = *std::move(stored);
  }
  Observed observed;
  if (readings.has_value()) observed = Observe(site.routers, *readings, begin->begin_us);
  observed.begin_us = begin->begin_us;
  observed.end_us = end->end_us;
  return observed;
}

}  // namespace netsentinel::query
