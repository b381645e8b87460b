#include "aggregator/query/grpc_usage_service.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/query/namesakes.h"
#include "aggregator/query/wire.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"

namespace netsentinel::query {
namespace {

constexpr std::uint32_t kRowsDefault = 100;
constexpr std::uint32_t kRankingMax = 100'000;
constexpr std::uint32_t kListMax = 10'000;

absl::StatusOr<std::size_t> Limit(std::uint32_t asked, std::uint32_t most) {
  if (asked > most) {
    return absl::InvalidArgumentError(absl::StrCat("limit: ", asked, " is more than ", most));
  }
  return asked == 0 ? kRowsDefault : asked;
}

// The site that the key names, else its router's, else the only one there is.
absl::StatusOr<const Catalog::Site*> SiteOf(const accounting::SubscriberKey& key,
                                            const Catalog& catalog) {
  if (!key.site.empty()) {
    const Catalog::Site* site = catalog.FindSite(key.site);
    if (site != nullptr) return site;
    return absl::NotFoundError(absl::StrCat("there is no site \"", key.site.value(), "\""));
  }
  const Catalog::Site* site = catalog.SiteOf(key.router);
  if (site != nullptr) return site;
  if (catalog.sites.size() == 1) return &catalog.sites.front();
  return absl::InvalidArgumentError("subscriber: needs a site_id or a known router_id");
}

}  // namespace

absl::Status GrpcUsageService::Allow(grpc::ServerContext& context) const {
  return authority_
      .RequireRole(context, {rpc::Role::kViewer, rpc::Role::kOperator, rpc::Role::kAdmin,
                             rpc::Role::kNotifier})
      .status();
}

absl::Status GrpcUsageService::AllowCounted(grpc::ServerContext& context) const {
  NS_RETURN_IF_ERROR(Allow(context));
  return serving_();
}

grpc::Status GrpcUsageService::GetRanking(grpc::ServerContext* context,
                                          const v1::GetRankingRequest* request,
                                          v1::GetRankingResponse* response) {
  if (absl::Status status = AllowCounted(*context); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(Ranking(
      *request, [context] { return context->IsCancelled(); }, *response));
}

absl::Status GrpcUsageService::Ranking(const v1::GetRankingRequest& request, const Gone& gone,
                                       v1::GetRankingResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::size_t limit, Limit(request.limit(), kRankingMax));
  NS_ASSIGN_OR_RETURN(const quota::Basis order_by, BasisFromWire(request.order_by()));
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  std::vector<const Catalog::Site*> sites;
  for (const Catalog::Site& site : catalog->sites) {
    if (request.site_id().empty() || site.id.value() == request.site_id()) sites.push_back(&site);
  }
  if (sites.empty()) {
    return absl::NotFoundError(absl::StrCat("there is no site \"", request.site_id(),
                                            "\"; `netsentinelctl routers` lists them"));
  }
  std::vector<SubscriberSum> sums;
  bool one_day = true;
  std::set<std::string> firsts, lasts, zones;
  std::map<base::SiteId, absl::CivilDay> today;
  for (const Catalog::Site* site : sites) {
    NS_ASSIGN_OR_RETURN(const DaySpan span,
                        reader_.Resolve(site->id, request.first_day(), request.last_day()));
    NS_ASSIGN_OR_RETURN(std::vector<SubscriberSum> of_site, reader_.Sums(site->id, span, gone));
    std::move(of_site.begin(), of_site.end(), std::back_inserter(sums));
    one_day = one_day && span.first == span.last;
    today[site->id] = span.today;
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
  }
  // With several sites a field is filled only where they agree.
  if (firsts.size() == 1) response.set_first_day(*firsts.begin());
  if (lasts.size() == 1) response.set_last_day(*lasts.begin());
  if (zones.size() == 1) response.set_time_zone(*zones.begin());

  const query::Ranking ranking = Rank(std::move(sums), order_by, limit);
  response.set_subscriber_count(ranking.subscriber_count);
  response.mutable_total()->set_upload_bytes(ranking.total.upload);
  response.mutable_total()->set_download_bytes(ranking.total.download);
  for (const query::Ranking::Row& row : ranking.rows) {
    v1::RankingRow* out = response.add_rows();
    out->set_rank(row.rank);
    *out->mutable_subscriber() = ToWire(row.subscriber.first);
    *out->mutable_usage() = ToWire(row.subscriber.second);
    out->set_share_permille(row.share_permille);
    FillQuota(row, one_day, today[row.subscriber.first.site], *out);
  }
  return absl::OkStatus();
}

void GrpcUsageService::FillQuota(const Ranking::Row& row, bool one_day, absl::CivilDay today,
                                 v1::RankingRow& out) const {
  const std::vector<accounting::QuotaStanding> standings = reader_.book().Read(
      [&](const accounting::Book& book) { return book.Quotas(row.subscriber.first, today); });
  out.set_quota_state(v1::QUOTA_STATE_NONE);
  if (standings.empty()) return;
  const auto daily = std::find_if(
      standings.begin(), standings.end(),
      [](const accounting::QuotaStanding& one) { return one.period == quota::Period::kDay; });
  const accounting::QuotaStanding& standing = daily == standings.end() ? standings.front() : *daily;
  quota::State state = standing.state;
  if (one_day && daily != standings.end()) {
    // The day asked for may be another than the running one: judge that day's own figures.
    for (const quota::Rule& rule : reader_.catalog()->quotas) {
      if (rule.id == standing.quota_id) {
        state = quota::StateOf(rule, standing.limit, row.subscriber.second.best,
                               row.subscriber.second.lower_bound);
      }
    }
  }
  out.set_quota_state(StateToWire(state));
  out.set_quota_limit_bytes(standing.limit.unlimited ? 0 : standing.limit.bytes);
  out.set_quota_basis(BasisToWire(standing.basis));
}

grpc::Status GrpcUsageService::GetSubscriberUsage(grpc::ServerContext* context,
                                                  const v1::GetSubscriberUsageRequest* request,
                                                  v1::GetSubscriberUsageResponse* response) {
  if (absl::Status status = AllowCounted(*context); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(SubscriberUsage(
      *request, [context] { return context->IsCancelled(); }, *response));
}

absl::Status GrpcUsageService::SubscriberUsage(const v1::GetSubscriberUsageRequest& request,
                                               const Gone& gone,
                                               v1::GetSubscriberUsageResponse& response) {
  NS_ASSIGN_OR_RETURN(accounting::SubscriberKey key, FromWire(request.subscriber()));
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  NS_ASSIGN_OR_RETURN(const Catalog::Site* site, SiteOf(key, *catalog));
  key.site = site->id;
  NS_ASSIGN_OR_RETURN(const DaySpan span,
                      reader_.Resolve(key.site, request.first_day(), request.last_day()));
  NS_ASSIGN_OR_RETURN(const std::vector<accounting::UsageRow> rows, reader_.Rows(key, span, gone));
  if (rows.empty() && key.router.empty()) {
    NS_RETURN_IF_ERROR(CheckNamesakes(key, reader_.book().Read([&](const accounting::Book& book) {
      return book.SubscribersNamed(key, kListMax);
    })));
  }
  *response.mutable_subscriber() = ToWire(key);
  response.set_time_zone(site->time_zone);
  response.set_as_of_us(
      reader_.book().Read([&](const accounting::Book& book) { return book.AsOf(key.site); }));

  std::map<absl::CivilDay, std::vector<const accounting::UsageRow*>> days;
  std::set<accounting::QueueKey> queues;
  for (const accounting::UsageRow& row : rows) {
    days[row.day].push_back(&row);
    queues.insert(row.queue);
  }
  std::set<accounting::QueueKey> asked_for;
  std::size_t epochs_left = kListMax;
  for (const auto& [day, day_rows] : days) {
    v1::DayUsage* out = response.add_days();
    out->set_day(absl::FormatCivilTime(day));
    *out->mutable_usage() = ToWire(accounting::SumUsage(day_rows, day, day));
    out->set_open(reader_.book().Read([&, d = day](const accounting::Book& book) {
      return d >= span.today || !book.OpenRouters(key.site, d).empty();
    }));
    if (response.epochs_left_out()) continue;
    std::set<accounting::QueueKey> with_epochs;
    for (const accounting::UsageRow* row : day_rows) {
      // A row does not count a first sight, which lies where a queue's rows begin.
      const bool first_row = asked_for.insert(row->queue).second;
      if (row->epochs > 0 || first_row) with_epochs.insert(row->queue);
    }
    NS_ASSIGN_OR_RETURN(const accounting::Book::LocalDay bounds, reader_.BoundsOf(key.site, day));
    // One more than fits says that some are left out.
    NS_ASSIGN_OR_RETURN(
        std::vector<accounting::EpochRecord> epochs,
        reader_.Epochs(std::vector<accounting::QueueKey>(with_epochs.begin(), with_epochs.end()),
                       bounds.begin_us, bounds.end_us, epochs_left + 1, gone));
    if (epochs.size() > epochs_left) {
      response.set_epochs_left_out(true);
      epochs.resize(epochs_left);
    }
    epochs_left -= epochs.size();
    for (const accounting::EpochRecord& epoch : epochs) {
      *out->mutable_usage()->add_epochs() = ToWire(epoch);
    }
  }
  for (const accounting::QueueKey& queue : queues) {
    v1::SubscriberQueue* out = response.add_queues();
    out->set_router_id(queue.router.value());
    out->set_menu(MenuToWire(queue.menu));
    *out->mutable_queue() = NameToWire(queue.name);
  }
  return absl::OkStatus();
}

grpc::Status GrpcUsageService::FindSubscribers(grpc::ServerContext* context,
                                               const v1::FindSubscribersRequest* request,
                                               v1::FindSubscribersResponse* response) {
  if (absl::Status status = AllowCounted(*context); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(Find(*request, *response));
}

absl::Status GrpcUsageService::Find(const v1::FindSubscribersRequest& request,
                                    v1::FindSubscribersResponse& response) const {
  NS_ASSIGN_OR_RETURN(const std::size_t limit, Limit(request.limit(), kListMax));
  NS_ASSIGN_OR_RETURN(const accounting::SubscriberKey wish, FromWire(request.subscriber()));
  // One more than fits says that there are more.
  std::vector<accounting::Book::NamedSubscriber> found = reader_.book().Read(
      [&](const accounting::Book& book) { return book.SubscribersNamed(wish, limit + 1); });
  response.set_more(found.size() > limit);
  if (found.size() > limit) found.resize(limit);
  for (const auto& [key, active] : found) {
    v1::FoundSubscriber* out = response.add_subscribers();
    *out->mutable_subscriber() = ToWire(key);
    out->set_active(active);
  }
  return absl::OkStatus();
}

grpc::Status GrpcUsageService::ListRouters(grpc::ServerContext* context,
                                           const v1::ListRoutersRequest* request,
                                           v1::ListRoutersResponse* response) {
  if (absl::Status status = AllowCounted(*context); !status.ok()) return rpc::ToGrpc(status);
  const std::vector<accounting::MenuView> menus =
      reader_.book().Read([](const accounting::Book& book) { return book.Menus(); });
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  for (const ingest::RouterStanding& standing : board_.All()) {
    const Catalog::Site* site = catalog->SiteOf(standing.router);
    const std::string site_id = site == nullptr ? "" : site->id.value();
    if (!request->site_id().empty() && site_id != request->site_id()) continue;
    v1::RouterInfo* out = response->add_routers();
    out->set_router_id(standing.router.value());
    out->set_site_id(site_id);
    out->set_collector_id(standing.collector.value());
    out->set_lease_epoch(standing.lease_epoch);
    out->set_state(static_cast<v1::RouterState>(standing.state));
    out->set_detail(DetailToWire(standing.detail));
    out->set_state_since_us(standing.since_us);
    *out->mutable_device() = DeviceToWire(standing.device);
    std::map<counters::Menu, v1::MenuInfo> infos;
    for (const auto& [menu, menu_standing] : standing.menus) {
      v1::MenuInfo& info = infos[menu];
      info.set_state(static_cast<v1::RouterState>(menu_standing.state));
      info.set_detail(DetailToWire(menu_standing.detail));
      info.set_last_sequence(menu_standing.last_sequence);
    }
    for (const accounting::MenuView& view : menus) {
      if (view.router != standing.router) continue;
      v1::MenuInfo& info = infos[view.menu];
      info.set_queue_count(static_cast<std::uint32_t>(view.queues));
      info.set_last_snapshot_us(view.last_snapshot_us);
      info.set_router_uptime_s(view.router_uptime_s);
      info.set_accounting_source(view.accounting_source);
      if (standing.device == counters::DeviceIdentity{}) {
        *out->mutable_device() = DeviceToWire(view.device);
      }
    }
    for (auto& [menu, info] : infos) {
      info.set_menu(MenuToWire(menu));
      *out->add_menus() = std::move(info);
    }
  }
  return grpc::Status::OK;
}

grpc::Status GrpcUsageService::ListSites(grpc::ServerContext* context,
                                         const v1::ListSitesRequest* /*request*/,
                                         v1::ListSitesResponse* response) {
  if (absl::Status status = AllowCounted(*context); !status.ok()) return rpc::ToGrpc(status);
  const std::int64_t now_us = reader_.NowUs();
  response->set_aggregator_time_us(now_us);
  for (const Catalog::Site& site : reader_.catalog()->sites) {
    v1::SiteInfo* out = response->add_sites();
    out->set_site_id(site.id.value());
    out->set_time_zone(site.time_zone);
    out->set_day_start(site.day_start);
    for (const base::RouterId& router : site.routers) out->add_router_ids(router.value());
    const absl::StatusOr<accounting::Book::LocalDay> today = reader_.book().Read(
        [&](const accounting::Book& book) { return book.DayAt(site.id, now_us); });
    if (!today.ok()) continue;
    out->set_current_day(absl::FormatCivilTime(today->day));
    out->set_day_begin_us(today->begin_us);
    out->set_day_end_us(today->end_us);
  }
  return grpc::Status::OK;
}

grpc::Status GrpcUsageService::ListEvents(grpc::ServerContext* context,
                                          const v1::ListEventsRequest* request,
                                          v1::ListEventsResponse* response) {
  if (absl::Status status = Allow(*context); !status.ok()) return rpc::ToGrpc(status);
  const absl::StatusOr<std::size_t> limit = Limit(request->limit(), kListMax);
  if (!limit.ok()) return rpc::ToGrpc(limit.status());
  const absl::StatusOr<std::vector<store::StoredEvent>> events =
      reader_.Events(base::RouterId(request->router_id()), request->before_id(), *limit);
  if (!events.ok()) return rpc::ToGrpc(events.status());
  for (const store::StoredEvent& event : *events) *response->add_events() = ToWire(event);
  return grpc::Status::OK;
}

grpc::Status GrpcUsageService::ListBreaches(grpc::ServerContext* context,
                                            const v1::ListBreachesRequest* request,
                                            v1::ListBreachesResponse* response) {
  if (absl::Status status = Allow(*context); !status.ok()) return rpc::ToGrpc(status);
  const absl::StatusOr<std::size_t> limit = Limit(request->limit(), kListMax);
  if (!limit.ok()) return rpc::ToGrpc(limit.status());
  const absl::StatusOr<std::vector<store::BreachRow>> breaches = reader_.Breaches(*limit);
  if (!breaches.ok()) return rpc::ToGrpc(breaches.status());
  for (const store::BreachRow& row : *breaches) *response->add_breaches() = ToWire(row);
  return grpc::Status::OK;
}

}  // namespace netsentinel::query
