#include <cstdio>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>

#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "tools/ctl/client.h"
#include "tools/ctl/command.h"
#include "tools/ctl/grpc_subscriber.h"
#include "tools/ctl/grpc_table.h"

// ranking, usage, routers, events, breaches: what the aggregator's UsageService answers.
namespace netsentinel::ctl {
namespace {

using base::FormatByteSize;

constexpr int kEpochsShown = 50;

struct UsageFlags {
  ClientFlags client;
  std::string site, router, name, day, first, last;
  std::string order = "total";
  std::uint32_t limit = 0;
};

std::string QuotaText(const v1::RankingRow& row) {
  switch (row.quota_state()) {
    case v1::QUOTA_STATE_WITHIN:
      return "within";
    case v1::QUOTA_STATE_WARNING:
      return "warning";
    case v1::QUOTA_STATE_EXCEEDED:
      return "EXCEEDED";
    default:
      return "-";
  }
}

std::string TotalText(const v1::Traffic& traffic) {
  return FormatByteSize(traffic.upload_bytes() + traffic.download_bytes());
}

const std::map<std::string, v1::QuotaBasis> kOrders = {{"total", v1::QUOTA_BASIS_TOTAL},
                                                       {"download", v1::QUOTA_BASIS_DOWNLOAD},
                                                       {"upload", v1::QUOTA_BASIS_UPLOAD}};

// Connects, calls, and hands the response to `print` unless JSON is wanted.
template <typename Request, typename Response, typename Call, typename Print>
absl::Status Ask(const UsageFlags& flags, const CommandContext& context, const Request& request,
                 Call call, Print print) {
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags.client, flags.client.aggregator, context.clock));
  const std::unique_ptr<v1::UsageService::Stub> stub = v1::UsageService::NewStub(channel);
  grpc::ClientContext client;
  SetDeadline(flags.client, client);
  Response response;
  const grpc::Status status = (stub.get()->*call)(&client, request, &response);
  if (!status.ok()) return rpc::FromGrpc(status);
  if (flags.client.json) {
    PrintJson(response);
  } else {
    print(response);
  }
  return absl::OkStatus();
}

void PrintRanking(const v1::GetRankingResponse& response) {
  Table table("rlrrrrll");
  table.Add({"#", "SUBSCRIBER", "DOWNLOAD", "UPLOAD", "TOTAL", "SHARE", "QUOTA", "GRADE"});
  for (const v1::RankingRow& row : response.rows()) {
    const v1::SubscriberRef& who = row.subscriber();
    const std::string scope = who.router_id().empty() ? who.site_id() : who.router_id();
    table.Add({absl::StrCat(row.rank()), absl::StrCat(who.name().display_name(), " (", scope, ")"),
               FormatByteSize(row.usage().best().download_bytes()),
               FormatByteSize(row.usage().best().upload_bytes()), TotalText(row.usage().best()),
               absl::StrFormat("%d.%d %%", row.share_permille() / 10, row.share_permille() % 10),
               QuotaText(row), GradeText(row.usage().grade())});
  }
  std::fputs(table.Text().c_str(), stdout);
  std::printf("\n%llu subscribers, %s in all; %s%s%s, as of %s\n",
              static_cast<unsigned long long>(response.subscriber_count()),
              TotalText(response.total()).c_str(), TerminalText(response.first_day()).c_str(),
              response.first_day() == response.last_day()
                  ? ""
                  : absl::StrCat(" to ", TerminalText(response.last_day())).c_str(),
              response.open() ? " so far" : "",
              InstantText(response.as_of_us(), response.time_zone()).c_str());
  if (response.open_routers_size() > 0) {
    std::printf("open: %s may still bring readings of %s\n",
                TerminalText(absl::StrJoin(response.open_routers(), ", ")).c_str(),
                TerminalText(response.last_day()).c_str());
  }
}

absl::Status Ranking(const UsageFlags& flags, const CommandContext& context) {
  v1::GetRankingRequest request;
  request.set_site_id(flags.site);
  request.set_first_day(flags.first.empty() ? flags.day : flags.first);
  request.set_last_day(flags.last);
  request.set_limit(flags.limit);
  request.set_order_by(kOrders.at(flags.order));
  return Ask<v1::GetRankingRequest, v1::GetRankingResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::GetRankingRequest&, v1::GetRankingResponse*)>(
          &v1::UsageService::Stub::GetRanking),
      PrintRanking);
}

// Where counting began anew in the days above, the first kEpochsShown of them.
void PrintEpochs(const v1::GetSubscriberUsageResponse& response) {
  Table table("llll");
  table.Add({"EPOCH SINCE", "ROUTER", "QUEUE", "REASON"});
  bool left_out = response.epochs_left_out();
  int shown = 0;
  for (const v1::DayUsage& day : response.days()) {
    for (const v1::Epoch& epoch : day.usage().epochs()) {
      if (shown == kEpochsShown) {
        left_out = true;
        break;
      }
      ++shown;
      table.Add({InstantText(epoch.start_us(), response.time_zone()), epoch.queue().router_id(),
                 epoch.queue().queue().display_name(),
                 EnumText(v1::EpochReason_Name(epoch.reason()), "EPOCH_REASON_")});
    }
  }
  if (shown == 0) return;
  std::printf("\n%s", table.Text().c_str());
  if (left_out) std::printf("There are more epochs than these: --json lists up to 10,000.\n");
}

void PrintUsage(const v1::GetSubscriberUsageResponse& response) {
  std::printf("%s (%s), as of %s\n\n", SubscriberText(response.subscriber()).c_str(),
              TerminalText(response.time_zone()).c_str(),
              InstantText(response.as_of_us(), response.time_zone()).c_str());
  Table table("lrrrrrll");
  table.Add({"DAY", "DOWNLOAD", "UPLOAD", "TOTAL", "AT LEAST", "UNSEEN AT MOST", "GRADE", ""});
  for (const v1::DayUsage& day : response.days()) {
    const v1::Usage& usage = day.usage();
    table.Add({day.day(), FormatByteSize(usage.best().download_bytes()),
               FormatByteSize(usage.best().upload_bytes()), TotalText(usage.best()),
               TotalText(usage.lower_bound()), TotalText(usage.loss_bound()),
               GradeText(usage.grade()), day.open() ? "so far" : ""});
  }
  std::fputs(table.Text().c_str(), stdout);
  PrintEpochs(response);
}

absl::Status Usage(const UsageFlags& flags, const CommandContext& context) {
  v1::GetSubscriberUsageRequest request;
  // Else a name without its router would be an unknown subscriber that moved nothing.
  NS_ASSIGN_OR_RETURN(
      const v1::FoundSubscriber found,
      FindSubscriber(flags.client, {flags.name, flags.site, flags.router}, context.clock));
  *request.mutable_subscriber() = found.subscriber();
  request.set_first_day(flags.first);
  request.set_last_day(flags.last);
  return Ask<v1::GetSubscriberUsageRequest, v1::GetSubscriberUsageResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::GetSubscriberUsageRequest&,
          v1::GetSubscriberUsageResponse*)>(&v1::UsageService::Stub::GetSubscriberUsage),
      PrintUsage);
}

std::string StateText(v1::RouterState state) {
  return state == v1::ROUTER_STATE_UNSPECIFIED
             ? "unknown"
             : EnumText(v1::RouterState_Name(state), "ROUTER_STATE_");
}

void PrintRouters(const v1::ListRoutersResponse& response) {
  Table table("llllllrl");
  table.Add({"ROUTER", "SITE", "COLLECTOR", "STATE", "DEVICE", "MENU", "QUEUES", "LAST SNAPSHOT"});
  std::string notes;
  for (const v1::RouterInfo& router : response.routers()) {
    const std::string device =
        absl::StrCat(router.device().board_name(), " ", router.device().version());
    bool first = true;
    const auto add = [&](const std::string& menu, const std::string& queues,
                         const std::string& last) {
      table.Add({first ? router.router_id() : "", first ? router.site_id() : "",
                 first ? (router.collector_id().empty() ? "-" : router.collector_id()) : "",
                 first ? StateText(router.state()) : "", first ? device : "", menu, queues, last});
      first = false;
    };
    for (const v1::MenuInfo& menu : router.menus()) {
      add(menu.menu() == v1::MENU_SIMPLE ? "simple" : "tree", absl::StrCat(menu.queue_count()),
          InstantText(menu.last_snapshot_us()));
      if (!menu.detail().empty()) {
        absl::StrAppend(&notes, TerminalText(router.router_id()), ": ", TerminalText(menu.detail()),
                        "\n");
      }
    }
    if (first) add("-", "-", "-");
    if (!router.detail().empty()) {
      absl::StrAppend(&notes, TerminalText(router.router_id()), ": ", TerminalText(router.detail()),
                      "\n");
    }
  }
  std::fputs(table.Text().c_str(), stdout);
  if (!notes.empty()) std::printf("\n%s", notes.c_str());
}

absl::Status Routers(const UsageFlags& flags, const CommandContext& context) {
  v1::ListRoutersRequest request;
  request.set_site_id(flags.site);
  return Ask<v1::ListRoutersRequest, v1::ListRoutersResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::ListRoutersRequest&, v1::ListRoutersResponse*)>(
          &v1::UsageService::Stub::ListRouters),
      PrintRouters);
}

void PrintEvents(const v1::ListEventsResponse& response) {
  Table table("lllll");
  table.Add({"WHEN", "ROUTER", "QUEUE", "WHAT", "DETAIL"});
  for (const v1::Event& event : response.events()) {
    table.Add({InstantText(event.at_us()), event.router_id(), event.queue().display_name(),
               event.kind(), event.detail()});
  }
  std::fputs(table.Text().c_str(), stdout);
}

absl::Status Events(const UsageFlags& flags, const CommandContext& context) {
  v1::ListEventsRequest request;
  request.set_router_id(flags.router);
  request.set_limit(flags.limit);
  return Ask<v1::ListEventsRequest, v1::ListEventsResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::ListEventsRequest&, v1::ListEventsResponse*)>(
          &v1::UsageService::Stub::ListEvents),
      PrintEvents);
}

void PrintBreaches(const v1::ListBreachesResponse& response) {
  Table table("llllrrl");
  table.Add({"WHEN", "SUBSCRIBER", "QUOTA", "PERIOD FROM", "LIMIT", "USED", "DELIVERY"});
  for (const v1::BreachRecord& breach : response.breaches()) {
    std::string delivery = EnumText(v1::DeliveryState_Name(breach.delivery()), "DELIVERY_STATE_");
    if (!breach.delivery_detail().empty()) {
      absl::StrAppend(&delivery, ": ", breach.delivery_detail());
    }
    table.Add({InstantText(breach.crossed_at_us()), breach.subscriber().name().display_name(),
               absl::StrCat(breach.quota_id(), " ", breach.threshold_percent(), " %"),
               breach.period_start(), FormatByteSize(breach.limit_bytes()),
               TotalText(breach.used()), delivery});
  }
  std::fputs(table.Text().c_str(), stdout);
}

absl::Status Breaches(const UsageFlags& flags, const CommandContext& context) {
  v1::ListBreachesRequest request;
  request.set_limit(flags.limit);
  return Ask<v1::ListBreachesRequest, v1::ListBreachesResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::ListBreachesRequest&, v1::ListBreachesResponse*)>(
          &v1::UsageService::Stub::ListBreaches),
      PrintBreaches);
}

struct CommandText {
  const char* name;
  const char* help;
};

CLI::App* AddCommand(CLI::App& app, CommandContext& context, CommandText text,
                     const std::shared_ptr<UsageFlags>& flags,
                     absl::Status (*run)(const UsageFlags&, const CommandContext&)) {
  CLI::App* command = app.add_subcommand(text.name, text.help);
  AddClientFlags(*command, flags->client);
  command->callback([&context, flags, run] { context.result = run(*flags, context); });
  return command;
}

}  // namespace

void AddUsageCommands(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<UsageFlags>();
  CLI::App* ranking = AddCommand(
      app, context, {"ranking", "subscribers by what they moved, most first"}, flags, Ranking);
  ranking->add_option("--site", flags->site, "one site only");
  ranking->add_option("--day", flags->day, "local day, such as 2026-03-29; default: today");
  ranking->add_option("--from", flags->first, "first local day of a span");
  ranking->add_option("--to", flags->last, "last local day of a span");
  ranking->add_option("--by", flags->order, "what to order by")
      ->check(CLI::IsMember({"total", "download", "upload"}))
      ->capture_default_str();
  ranking->add_option("--limit", flags->limit, "rows; default 100")->check(CLI::Range(0, 100000));

  CLI::App* usage = AddCommand(app, context, {"usage", "one subscriber, day by day"}, flags, Usage);
  usage->add_option("subscriber", flags->name, "the name as ranking shows it")->required();
  usage->add_option("--site", flags->site, "the subscriber's site");
  usage->add_option("--router", flags->router, "the router that scopes the name");
  usage->add_option("--from", flags->first, "first local day; default: today");
  usage->add_option("--to", flags->last, "last local day");

  CLI::App* routers =
      AddCommand(app, context, {"routers", "routers, their state, and what to do"}, flags, Routers);
  routers->add_option("--site", flags->site, "one site only");

  CLI::App* events =
      AddCommand(app, context, {"events", "what happened, newest first"}, flags, Events);
  events->add_option("--router", flags->router, "one router only");
  events->add_option("--limit", flags->limit, "rows; default 100")->check(CLI::Range(0, 10000));

  CLI::App* breaches = AddCommand(
      app, context, {"breaches", "breaches and their delivery, newest first"}, flags, Breaches);
  breaches->add_option("--limit", flags->limit, "rows; default 100")->check(CLI::Range(0, 10000));
}

}  // namespace netsentinel::ctl
