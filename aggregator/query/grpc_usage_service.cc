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
#include "common/rpc/row_limit.h"

namespace netsentinel::query {
namespace {

constexpr std::uint32_t kListMax = 10'000;

// The site that the key names, else its router's, else the only one there is.
absl::StatusOr<const Catalog::Site*> SiteOf(const accounting::SubscriberKey& key,
                                            const Catalog& catalog) {
  if (!key.site.empty()) return RequireSite(catalog, key.site);
  const Catalog::Site* site = catalog.SiteOf(key.router);
  if (site != nullptr) return site;
  if (catalog.sites.size() == 1) return &catalog.sites.front();
  return absl::InvalidArgumentError("subscriber: needs a site_id or a known router_id");
}

// Whose days a list is asked for: the site's that is named, else the router's, else every site's.
absl::StatusOr<std::vector<const Catalog::Site*>> SitesOf(const Catalog& catalog,
                                                          const std::string& site_id,
                                                          const base::RouterId& router) {
  std::vector<const Catalog::Site*> sites;
  if (!site_id.empty()) {
    NS_ASSIGN_OR_RETURN(const Catalog::Site* site, RequireSite(catalog, base::SiteId(site_id)));
    sites.push_back(site);
    return sites;
  }
  // What is said of a router that is configured no more is still there to be listed.
  if (const Catalog::Site* site = catalog.SiteOf(router); site != nullptr) return std::vector{site};
  for (const Catalog::Site& site : catalog.sites) sites.push_back(&site);
  return sites;
}

// A router of which nothing is known must be a slip; of one that is configured no more there may be
// something to tell.
absl::Status CheckRouterOf(const Catalog& catalog, const base::RouterId& router,
                           std::uint64_t matching) {
  if (router.empty() || matching > 0 || catalog.SiteOf(router) != nullptr) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there is no router \"", router.value(),
                                          "\"; `netsentinelctl routers` lists them"));
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
  response.set_first_day(absl::FormatCivilTime(span.first));
  response.set_last_day(absl::FormatCivilTime(span.last));
  *response.mutable_observation() = ToWire(*site, reader_.ObservationOf(*site, span));

  std::map<absl::CivilDay, std::vector<const accounting::UsageRow*>> days;
  std::set<accounting::QueueKey> queues;
  for (const accounting::UsageRow& row : rows) {
    days[row.day].push_back(&row);
    queues.insert(row.queue);
  }
  for (const auto& [day, day_rows] : days) {
    v1::DayUsage* out = response.add_days();
    out->set_day(absl::FormatCivilTime(day));
    *out->mutable_usage() = ToWire(accounting::SumUsage(day_rows, day, day));
    out->set_open(reader_.book().Read([&, d = day](const accounting::Book& book) {
      return d >= span.today || !book.OpenRouters(key.site, d).empty();
    }));
  }
  NS_RETURN_IF_ERROR(AddEpochs(key, days, gone, response));
  if (request.with_evidence()) NS_RETURN_IF_ERROR(AddEvidence(key, span, gone, response));
  for (const accounting::QueueKey& queue : queues) {
    v1::SubscriberQueue* out = response.add_queues();
    out->set_router_id(queue.router.value());
    out->set_menu(MenuToWire(queue.menu));
    *out->mutable_queue() = NameToWire(queue.name);
  }
  return absl::OkStatus();
}

absl::Status GrpcUsageService::AddEpochs(const accounting::SubscriberKey& key, const DayRows& days,
                                         const Gone& gone,
                                         v1::GetSubscriberUsageResponse& response) {
  std::set<accounting::QueueKey> asked_for;
  std::size_t epochs_left = kListMax;
  int index = 0;
  for (const auto& [day, day_rows] : days) {
    v1::DayUsage* out = response.mutable_days(index++);
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
    response.set_epochs_left_out(epochs.size() > epochs_left);
    if (response.epochs_left_out()) epochs.resize(epochs_left);
    epochs_left -= epochs.size();
    for (const accounting::EpochRecord& epoch : epochs) {
      *out->mutable_usage()->add_epochs() = ToWire(epoch);
    }
    if (response.epochs_left_out()) return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Only days that have usage are told of.
absl::Status GrpcUsageService::AddEvidence(const accounting::SubscriberKey& key,
                                           const DaySpan& span, const Gone& gone,
                                           v1::GetSubscriberUsageResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::vector<accounting::Book::RowEvidence> found,
                      reader_.Evidence(key, span, gone));
  std::map<std::string, std::vector<const accounting::Book::RowEvidence*>> by_day;
  for (const accounting::Book::RowEvidence& row : found) {
    by_day[absl::FormatCivilTime(row.day)].push_back(&row);
  }
  for (v1::DayUsage& day : *response.mutable_days()) {
    for (const accounting::Book::RowEvidence* row : by_day[day.day()]) {
      *day.add_evidence() = ToWire(*row);
    }
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
  NS_ASSIGN_OR_RETURN(const std::size_t limit, rpc::RowLimit(request.limit(), kListMax));
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
  std::map<base::RouterId, std::vector<accounting::MenuView>> menus;
  for (accounting::MenuView& view :
       reader_.book().Read([](const accounting::Book& book) { return book.Menus(); })) {
    menus[view.router].push_back(std::move(view));
  }
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  std::map<base::RouterId, std::string> sites;
  for (const Catalog::Site& site : catalog->sites) {
    for (const base::RouterId& router : site.routers) sites[router] = site.id.value();
  }
  for (const ingest::RouterStanding& standing : board_.All()) {
    const std::string& site_id = sites[standing.router];
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
    for (const accounting::MenuView& view : menus[standing.router]) {
      v1::MenuInfo& info = infos[view.menu];
      info.set_queue_count(static_cast<std::uint32_t>(view.queues));
      info.set_last_snapshot_us(view.last_snapshot_us);
      info.set_router_uptime_s(view.router_uptime_s);
      info.set_accounting_source(view.accounting_source);
      if (!view.counts_as.empty()) {
        info.set_counts_as_router_id(view.counts_as.value());
        info.set_detail(absl::StrCat(info.detail(), info.detail().empty() ? "" : "; ",
                                     "the same device is read as router \"", view.counts_as.value(),
                                     "\" and counts there: take one of the two out of routers:"));
      }
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
  return rpc::ToGrpc(EventsOf(*request, *response));
}

absl::Status GrpcUsageService::EventsOf(const v1::ListEventsRequest& request,
                                        v1::ListEventsResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::size_t limit, rpc::RowLimit(request.limit(), kListMax));
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  const base::RouterId router(request.router_id());
  NS_ASSIGN_OR_RETURN(const std::vector<const Catalog::Site*> sites,
                      SitesOf(*catalog, request.site_id(), router));
  NS_ASSIGN_OR_RETURN(const UsageReader::Instants instants,
                      reader_.InstantsOf(sites, request.first_day(), request.last_day()));
  store::EventFilter filter;
  filter.from_us = instants.from_us;
  filter.to_us = instants.to_us;
  filter.before_id = request.before_id();
  if (!router.empty()) {
    const std::vector<base::RouterId>& of_site = sites.front()->routers;
    if (!request.site_id().empty() &&
        std::find(of_site.begin(), of_site.end(), router) == of_site.end()) {
      return absl::NotFoundError(absl::StrCat("site \"", request.site_id(), "\" has no router \"",
                                              request.router_id(), "\""));
    }
    filter.routers = {router};
  } else if (!request.site_id().empty()) {
    filter.routers = sites.front()->routers;
    // A site of no router has no events of a router.
    if (filter.routers.empty()) return absl::OkStatus();
  }
  NS_ASSIGN_OR_RETURN(const store::EventList found, reader_.Events(filter, limit));
  for (const store::StoredEvent& event : found.events) *response.add_events() = ToWire(event);
  response.set_matching_count(found.matching);
  return CheckRouterOf(*catalog, router, found.matching);
}

grpc::Status GrpcUsageService::ListBreaches(grpc::ServerContext* context,
                                            const v1::ListBreachesRequest* request,
                                            v1::ListBreachesResponse* response) {
  if (absl::Status status = Allow(*context); !status.ok()) return rpc::ToGrpc(status);
  return rpc::ToGrpc(BreachesOf(*request, *response));
}

absl::Status GrpcUsageService::BreachesOf(const v1::ListBreachesRequest& request,
                                          v1::ListBreachesResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::size_t limit, rpc::RowLimit(request.limit(), kListMax));
  const std::shared_ptr<const Catalog> catalog = reader_.catalog();
  store::BreachFilter filter;
  filter.site = base::SiteId(request.site_id());
  filter.router = base::RouterId(request.router_id());
  NS_ASSIGN_OR_RETURN(filter.name, NameFromWire(request.name()));
  NS_ASSIGN_OR_RETURN(const std::vector<const Catalog::Site*> sites,
                      SitesOf(*catalog, request.site_id(), filter.router));
  NS_ASSIGN_OR_RETURN(const UsageReader::Instants instants,
                      reader_.InstantsOf(sites, request.first_day(), request.last_day()));
  filter.from_us = instants.from_us;
  filter.to_us = instants.to_us;
  NS_ASSIGN_OR_RETURN(const store::BreachList found, reader_.Breaches(filter, limit));
  for (const store::BreachRow& row : found.breaches) *response.add_breaches() = ToWire(row);
  response.set_matching_count(found.matching);
  return CheckRouterOf(*catalog, filter.router, found.matching);
}

}  // namespace netsentinel::query
