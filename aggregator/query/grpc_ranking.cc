#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/query/grpc_usage_service.h"
#include "aggregator/query/wire.h"
#include "common/base/status_macros.h"
#include "common/rpc/row_limit.h"

// The ranking, and where each of its subscribers is in the quotas.
namespace netsentinel::query {
namespace {

constexpr std::uint32_t kRankingMax = 100'000;
constexpr std::size_t kRowsBetweenLooks = 256;

absl::StatusOr<std::vector<const Catalog::Site*>> SitesAskedFor(const Catalog& catalog,
                                                                const std::string& site_id) {
  std::vector<const Catalog::Site*> sites;
  if (!site_id.empty()) {
    NS_ASSIGN_OR_RETURN(const Catalog::Site* site, RequireSite(catalog, base::SiteId(site_id)));
    sites.push_back(site);
    return sites;
  }
  for (const Catalog::Site& site : catalog.sites) sites.push_back(&site);
  if (!sites.empty()) return sites;
  return absl::NotFoundError("no site is configured: name one under sites:");
}

absl::StatusOr<std::optional<quota::State>> AtLeast(const v1::GetRankingRequest& request) {
  switch (request.at_least()) {
    case v1::STANDING_STATE_UNSPECIFIED:
      return std::nullopt;
    case v1::STANDING_STATE_WITHIN:
      return quota::State::kWithin;
    case v1::STANDING_STATE_NEAR:
      return quota::State::kNear;
    case v1::STANDING_STATE_OVER:
      return quota::State::kOver;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("at_least: ", static_cast<int>(request.at_least()), " is not a state"));
  }
}

// The span is the whole of the rule's period, or all of it that has passed.
bool IsPeriod(const quota::Rule& rule, const DaySpan& span) {
  if (span.first != quota::PeriodStart(rule, span.first)) return false;
  const absl::CivilDay last = quota::PeriodEnd(rule, span.first) - 1;
  return span.last == last || (span.last == span.today && span.today < last);
}

// What several sites have in common; empty where they do not agree.
std::string Common(const std::set<std::string>& texts) {
  return texts.size() == 1 ? *texts.begin() : "";
}

}  // namespace

// Of the running day every quota is judged in its running period, so that nobody who is over for
// the month looks well; another span says only what it is the period of.
std::vector<quota::Standing> GrpcUsageService::StandingsOf(const SubscriberSum& subscriber,
                                                           const DaySpan& span) const {
  if (span.first == span.today) {
    return reader_.book().Read(
        [&](const accounting::Book& book) { return book.Standings(subscriber.first, span.today); });
  }
  const auto limits = reader_.book().Read(
      [&](const accounting::Book& book) { return book.Limits(subscriber.first); });
  const quota::Used used{.sure = subscriber.second.sure, .counted = subscriber.second.counted};
  std::vector<quota::Standing> standings;
  for (const auto& [rule, limit] : limits) {
    if (!IsPeriod(rule, span)) continue;
    const std::optional<quota::Standing> standing =
        quota::StandingOf(rule, limit, used, span.first);
    if (standing.has_value()) standings.push_back(*standing);
  }
  return standings;
}

absl::Status GrpcUsageService::Ranking(const v1::GetRankingRequest& request, const Gone& gone,
                                       v1::GetRankingResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::size_t limit, rpc::RowLimit(request.limit(), kRankingMax));
  NS_ASSIGN_OR_RETURN(const quota::Basis order_by, BasisFromWire(request.order_by()));
  NS_ASSIGN_OR_RETURN(const std::optional<quota::State> at_least, AtLeast(request));
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  NS_ASSIGN_OR_RETURN(const std::vector<const Catalog::Site*> sites,
                      SitesAskedFor(*catalog, request.site_id()));
  NS_ASSIGN_OR_RETURN(const std::vector<std::optional<DaySpan>> spans,
                      reader_.Resolve(sites, request.first_day(), request.last_day()));
  std::vector<SubscriberSum> sums;
  std::set<std::string> firsts, lasts, zones;
  std::map<base::SiteId, DaySpan> span_of;
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (!spans[i].has_value()) continue;
    const Catalog::Site* site = sites[i];
    const DaySpan& span = *spans[i];
    NS_ASSIGN_OR_RETURN(std::vector<SubscriberSum> of_site, reader_.Sums(site->id, span, gone));
    std::move(of_site.begin(), of_site.end(), std::back_inserter(sums));
    span_of[site->id] = span;
    firsts.insert(absl::FormatCivilTime(span.first));
    lasts.insert(absl::FormatCivilTime(span.last));
    zones.insert(site->time_zone);
    const std::vector<base::RouterId> open = reader_.book().Read(
        [&](const accounting::Book& book) { return book.OpenRouters(site->id, span.last); });
    if (span.last < span.today) {
      for (const base::RouterId& router : open) response.add_open_routers(router.value());
    }
    response.set_open(response.open() || !open.empty() || span.last >= span.today);
    const std::int64_t as_of =
        reader_.book().Read([&](const accounting::Book& book) { return book.AsOf(site->id); });
    response.set_as_of_us(std::max(response.as_of_us(), as_of));
    *response.add_observations() = ToWire(*site, reader_.ObservationOf(*site, span));
  }
  response.set_first_day(Common(firsts));
  response.set_last_day(Common(lasts));
  response.set_time_zone(Common(zones));

  // Who is to be left out is known only after everybody's standing is.
  const query::Ranking ranking =
      Rank(std::move(sums), order_by, at_least.has_value() ? SIZE_MAX : limit);
  response.set_subscriber_count(ranking.subscriber_count);
  response.mutable_total()->set_upload_bytes(ranking.total.upload);
  response.mutable_total()->set_download_bytes(ranking.total.download);
  if (!at_least.has_value()) response.set_matching_count(ranking.subscriber_count);
  std::size_t judged = 0;
  for (const query::Ranking::Row& row : ranking.rows) {
    // The Book is asked row by row, so that counting goes on meanwhile.
    if (judged++ % kRowsBetweenLooks == 0) NS_RETURN_IF_ERROR(StillWaited(gone));
    const std::vector<quota::Standing> standings =
        StandingsOf(row.subscriber, span_of[row.subscriber.first.site]);
    const quota::Standing* standing = quota::Foremost(standings);
    if (at_least.has_value()) {
      if (standing == nullptr || standing->state < *at_least) continue;
      response.set_matching_count(response.matching_count() + 1);
      if (static_cast<std::size_t>(response.rows_size()) == limit) continue;
    }
    v1::RankingRow* out = response.add_rows();
    out->set_rank(row.rank);
    *out->mutable_subscriber() = ToWire(row.subscriber.first);
    *out->mutable_usage() = ToWire(row.subscriber.second);
    out->set_share_permille(row.share_permille);
    if (standing != nullptr) *out->mutable_standing() = ToWire(*standing);
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::query
