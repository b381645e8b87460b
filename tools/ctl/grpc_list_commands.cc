#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>

#include "common/base/display_name.h"
#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"
#include "tools/ctl/command.h"
#include "tools/ctl/grpc_ask.h"
#include "tools/ctl/grpc_table.h"

// events and breaches: what happened, newest first.
namespace netsentinel::ctl {
namespace {

constexpr int kListMost = 10'000;

struct BreachFlags : QuestionFlags {
  std::string name;
};

template <typename Response>
void PrintShown(int shown, const Response& response, const QuestionFlags& flags) {
  const std::string text =
      ShownText(static_cast<std::uint64_t>(shown), response.matching_count(), flags.rows());
  if (!text.empty()) std::printf("\n%s\n", text.c_str());
  if (shown == 0) std::printf("\nnothing fits what was asked for\n");
}

void PrintEvents(const v1::ListEventsResponse& response, const QuestionFlags& flags) {
  enum : std::size_t { kWhen, kRouter, kQueue, kWhat, kDetail };
  Table table("lllll", {.cut = {kQueue, kRouter, kWhat}, .below = {kDetail}});
  table.Add({"WHEN", "ROUTER", "QUEUE", "WHAT", "DETAIL"});
  for (const v1::Event& event : response.events()) {
    table.Add({InstantText(event.at_us()), event.router_id(), event.queue().display_name(),
               event.kind(), event.detail()});
  }
  PrintTable(table, flags.client.wide);
  PrintShown(response.events_size(), response, flags);
}

absl::Status Events(const QuestionFlags& flags, const CommandContext& context) {
  v1::ListEventsRequest request;
  NS_RETURN_IF_ERROR(SetDays(flags.days, request));
  request.set_site_id(flags.site);
  request.set_router_id(flags.router);
  request.set_limit(flags.rows());
  return Ask<v1::ListEventsRequest, v1::ListEventsResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::ListEventsRequest&, v1::ListEventsResponse*)>(
          &v1::UsageService::Stub::ListEvents),
      [&flags](const v1::ListEventsResponse& response) { PrintEvents(response, flags); });
}

void PrintBreaches(const v1::ListBreachesResponse& response, const QuestionFlags& flags) {
  enum : std::size_t {
    kWhen,
    kName,
    kSite,
    kRouter,
    kQuota,
    kPeriod,
    kUsed,
    kLimit,
    kBasis,
    kDelivery
  };
  Table table("llllllrrll",
              {{kPeriod, kBasis, kLimit, kSite}, {kName, kQuota, kRouter, kDelivery}});
  table.Add({"WHEN (SITE'S TIME)", "SUBSCRIBER", "SITE", "ROUTER", "QUOTA", "PERIOD FROM", "USED",
             "LIMIT", "BASIS", "DELIVERY"});
  for (const v1::BreachRecord& breach : response.breaches()) {
    std::string delivery = EnumText(v1::DeliveryState_Name(breach.delivery()), "DELIVERY_STATE_");
    if (!breach.delivery_detail().empty()) {
      absl::StrAppend(&delivery, ": ", breach.delivery_detail());
    }
    const v1::SubscriberRef& who = breach.subscriber();
    table.Add({MinuteText(breach.crossed_at_us(), breach.time_zone()), who.name().display_name(),
               who.site_id(), who.router_id().empty() ? "(any)" : who.router_id(),
               absl::StrCat(breach.quota_id(), " ", breach.threshold_percent(), " %"),
               breach.period_start(), base::FormatByteSize(breach.used_bytes()),
               base::FormatByteSize(breach.limit_bytes()),
               EnumText(v1::QuotaBasis_Name(breach.basis()), "QUOTA_BASIS_"), delivery});
  }
  PrintTable(table, flags.client.wide);
  PrintShown(response.breaches_size(), response, flags);
}

absl::Status Breaches(const BreachFlags& flags, const CommandContext& context) {
  v1::ListBreachesRequest request;
  NS_RETURN_IF_ERROR(SetDays(flags.days, request));
  request.set_site_id(flags.site);
  request.set_router_id(flags.router);
  request.set_limit(flags.rows());
  // Raw, since a terminal may give bytes that are no UTF-8.
  NS_ASSIGN_OR_RETURN(*request.mutable_name()->mutable_name(), base::RawName(flags.name));
  return Ask<v1::ListBreachesRequest, v1::ListBreachesResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::ListBreachesRequest&, v1::ListBreachesResponse*)>(
          &v1::UsageService::Stub::ListBreaches),
      [&flags](const v1::ListBreachesResponse& response) { PrintBreaches(response, flags); });
}

}  // namespace

void AddListCommands(CLI::App& app, CommandContext& context) {
  const auto [events, happened] =
      AddQuestion<QuestionFlags>(app, context, {"events", "what happened, newest first"}, Events);
  events->add_option("--site", happened->site, "one site only");
  events->add_option("--router", happened->router, "one router only");
  AddDayFlags(*events, happened->days, "all days");
  AddLimitFlag(*events, *happened, kListMost);

  const auto [breaches, crossed] = AddQuestion<BreachFlags>(
      app, context, {"breaches", "breaches and their delivery, newest first"}, Breaches);
  breaches->add_option("--site", crossed->site, "one site only");
  breaches->add_option("--router", crossed->router, "subscribers of one router only");
  breaches->add_option("--name", crossed->name, "one subscriber, as ranking shows the name");
  AddDayFlags(*breaches, crossed->days, "all days");
  AddLimitFlag(*breaches, *crossed, kListMost);
}

}  // namespace netsentinel::ctl
