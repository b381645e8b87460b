#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>

#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/admin.grpc.pb.h"
#include "netsentinel/v1/notifier.grpc.pb.h"
#include "tools/ctl/client.h"
#include "tools/ctl/command.h"
#include "tools/ctl/days.h"
#include "tools/ctl/grpc_subscriber.h"
#include "tools/ctl/grpc_table.h"

// quota set|list and report now: what changes something.
namespace netsentinel::ctl {
namespace {

constexpr std::uint32_t kQuotaPage = 10'000;

struct QuotaFlags {
  ClientFlags client;
  ReasonFlags why;
  std::string site, router, name, limit, quota = "default";
  bool remove = false;
  bool unlimited = false;
  bool unseen = false;
};

absl::Status SetQuota(const QuotaFlags& flags, const CommandContext& context) {
  const int wishes =
      (flags.limit.empty() ? 0 : 1) + (flags.unlimited ? 1 : 0) + (flags.remove ? 1 : 0);
  if (wishes != 1) {
    return absl::InvalidArgumentError("give one of --limit SIZE, --unlimited and --remove");
  }
  v1::SetQuotaRequest request;
  if (!flags.limit.empty()) {
    NS_ASSIGN_OR_RETURN(const std::uint64_t limit, base::ParseByteSize(flags.limit));
    if (limit == 0) {
      return absl::InvalidArgumentError(
          "--limit is no bytes at all: give at least 1B, or --remove to go back to the "
          "configuration");
    }
    request.set_limit_bytes(limit);
  }
  if (flags.unseen && flags.site.empty() && flags.router.empty()) {
    return absl::InvalidArgumentError(
        "--unseen takes the place as it is given: give --site, and --router if the router scopes "
        "the name");
  }
  if (flags.unseen) {
    request.mutable_subscriber()->set_site_id(flags.site);
    request.mutable_subscriber()->set_router_id(flags.router);
    request.mutable_subscriber()->mutable_name()->set_display_name(flags.name);
  } else {
    const absl::StatusOr<v1::FoundSubscriber> found =
        FindSubscriber(flags.client, {flags.name, flags.site, flags.router}, context.clock);
    if (absl::IsNotFound(found.status())) {
      return absl::NotFoundError(absl::StrCat(found.status().message(),
                                              ". For one that is still to come give --unseen, and "
                                              "--router if its router scopes its name"));
    }
    NS_RETURN_IF_ERROR(found.status());
    *request.mutable_subscriber() = found->subscriber();
    if (!found->active()) {
      std::fprintf(stderr, "note: no queue counts for %s at present\n",
                   TerminalText(flags.name).c_str());
    }
  }
  request.set_quota_id(flags.quota);
  request.set_remove(flags.remove);
  request.set_unlimited(flags.unlimited);
  request.set_reason(flags.why.reason);
  request.set_on_behalf_of(flags.why.on_behalf_of);
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags.client, flags.client.aggregator, context.clock));
  grpc::ClientContext client;
  SetDeadline(flags.client, client);
  v1::SetQuotaResponse response;
  NS_RETURN_IF_ERROR(
      rpc::FromGrpc(v1::AdminService::NewStub(channel)->SetQuota(&client, request, &response)));
  const std::string who = SubscriberText(request.subscriber());
  if (flags.client.json) {
    PrintJson(response);
  } else if (flags.remove) {
    std::printf("%s follows the configuration again\n", who.c_str());
  } else {
    std::printf("%s: quota %s is now %s\n", who.c_str(), TerminalText(flags.quota).c_str(),
                flags.unlimited
                    ? "unlimited"
                    : base::FormatByteSize(response.quota_override().limit_bytes()).c_str());
  }
  return absl::OkStatus();
}

// Every page of the overrides, in one response. Each page has the flags' deadline.
absl::StatusOr<v1::ListQuotasResponse> AllQuotas(const ClientFlags& flags,
                                                 v1::AdminService::Stub& stub) {
  v1::ListQuotasResponse all;
  v1::ListQuotasRequest request;
  request.set_limit(kQuotaPage);
  for (bool more = true; more;) {
    grpc::ClientContext client;
    SetDeadline(flags, client);
    v1::ListQuotasResponse page;
    NS_RETURN_IF_ERROR(rpc::FromGrpc(stub.ListQuotas(&client, request, &page)));
    more = page.more() && page.overrides_size() > 0;
    if (more) *request.mutable_after() = *page.overrides().rbegin();
    all.MergeFrom(page);
  }
  all.clear_more();
  return all;
}

absl::Status ListQuotas(const QuotaFlags& flags, const CommandContext& context) {
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags.client, flags.client.aggregator, context.clock));
  const std::unique_ptr<v1::AdminService::Stub> stub = v1::AdminService::NewStub(channel);
  NS_ASSIGN_OR_RETURN(const v1::ListQuotasResponse response, AllQuotas(flags.client, *stub));
  if (flags.client.json) {
    PrintJson(response);
    return absl::OkStatus();
  }
  enum : std::size_t { kQuota, kSite, kRouter, kSubscriber };
  Table table("llllllr", {.cut = {kSubscriber, kRouter, kSite, kQuota}});
  table.Add({"QUOTA", "SITE", "ROUTER", "SUBSCRIBER", "PERIOD", "BASIS", "LIMIT"});
  for (const v1::Quota& quota : response.quotas()) {
    table.Add({quota.quota_id(), "", "", "(all)",
               EnumText(v1::QuotaPeriod_Name(quota.period()), "QUOTA_PERIOD_"),
               EnumText(v1::QuotaBasis_Name(quota.basis()), "QUOTA_BASIS_"),
               quota.unlimited() ? "unlimited" : base::FormatByteSize(quota.limit_bytes())});
  }
  for (const v1::QuotaOverride& one : response.overrides()) {
    table.Add({one.quota_id(), one.subscriber().site_id(), one.subscriber().router_id(),
               one.subscriber().name().display_name(), "", "",
               one.unlimited() ? "unlimited" : base::FormatByteSize(one.limit_bytes())});
  }
  PrintTable(table, flags.client.wide);
  return absl::OkStatus();
}

struct ReportFlags {
  ClientFlags client;
  ReasonFlags why;
  std::string report, site, day, html;
  bool render = false;
};

absl::Status RenderReport(const ReportFlags& flags, v1::NotifierService::Stub& stub) {
  v1::RenderReportRequest request;
  request.set_report(flags.report);
  request.set_site_id(flags.site);
  request.set_day(flags.day);
  grpc::ClientContext client;
  SetDeadline(flags.client, client);
  v1::RenderReportResponse response;
  NS_RETURN_IF_ERROR(rpc::FromGrpc(stub.RenderReport(&client, request, &response)));
  if (flags.client.json) {
    PrintJson(response);
    return absl::OkStatus();
  }
  if (flags.html.empty()) {
    std::printf("%s\n\n%s", response.subject().c_str(), response.text().c_str());
    return absl::OkStatus();
  }
  std::FILE* file = std::fopen(flags.html.c_str(), "w");
  const bool written = file != nullptr && std::fputs(response.html().c_str(), file) >= 0;
  if (file == nullptr || std::fclose(file) != 0 || !written) {
    return absl::UnavailableError(absl::StrCat("cannot write ", flags.html));
  }
  std::printf("%s: %s\n", flags.html.c_str(), response.subject().c_str());
  return absl::OkStatus();
}

absl::Status ReportNow(const ReportFlags& flags, const CommandContext& context) {
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags.client, flags.client.notifier, context.clock));
  const std::unique_ptr<v1::NotifierService::Stub> stub = v1::NotifierService::NewStub(channel);
  NS_RETURN_IF_ERROR(DaysOf({.day = flags.day, .from = "", .to = ""}).status());
  if (flags.render) return RenderReport(flags, *stub);
  v1::SendReportRequest request;
  request.set_report(flags.report);
  request.set_site_id(flags.site);
  request.set_day(flags.day);
  request.set_reason(flags.why.reason);
  request.set_on_behalf_of(flags.why.on_behalf_of);
  grpc::ClientContext client;
  SetDeadline(flags.client, client);
  v1::SendReportResponse response;
  NS_RETURN_IF_ERROR(rpc::FromGrpc(stub->SendReport(&client, request, &response)));
  if (flags.client.json) {
    PrintJson(response);
  } else {
    std::printf("%d deliveries queued\n", response.delivery_ids_size());
  }
  return absl::OkStatus();
}

}  // namespace

void AddQuotaCommand(CLI::App& app, CommandContext& context) {
  // Each subcommand has flags of its own: what the environment says is written into all of them.
  const auto flags = std::make_shared<QuotaFlags>();
  const auto list_flags = std::make_shared<QuotaFlags>();
  CLI::App* quota = app.add_subcommand("quota", "limits of single subscribers");
  quota->require_subcommand(1);
  CLI::App* set = quota->add_subcommand("set", "give a subscriber a limit of its own");
  AddClientFlags(*set, flags->client);
  set->add_option("subscriber", flags->name, "the name as ranking shows it")->required();
  set->add_option("--site", flags->site, "the subscriber's site");
  set->add_option("--router", flags->router, "the router that scopes the name");
  set->add_option("--quota", flags->quota, "which configured quota")->capture_default_str();
  set->add_option("--limit", flags->limit, "such as 50GiB");
  set->add_flag("--unlimited", flags->unlimited, "no limit at all");
  set->add_flag("--remove", flags->remove, "back to the configuration");
  set->add_flag("--unseen", flags->unseen,
                "take site, router and name as they are given, though nobody was seen under them");
  AddReasonFlags(*set, flags->why);
  set->callback([&context, flags] { context.result = SetQuota(*flags, context); });
  CLI::App* list = quota->add_subcommand("list", "configured quotas and overrides");
  AddClientFlags(*list, list_flags->client);
  list->callback([&context, list_flags] { context.result = ListQuotas(*list_flags, context); });
}

void AddReportCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<ReportFlags>();
  CLI::App* report = app.add_subcommand("report", "the ranked report");
  report->require_subcommand(1);
  CLI::App* now = report->add_subcommand("now", "send or show the report as of now");
  // All sites' reports are rendered before the first is queued.
  flags->client.timeout_s = 300;
  AddClientFlags(*now, flags->client);
  now->add_option("--report", flags->report, "name in the notifier's configuration");
  now->add_option("--site", flags->site, "one site only");
  now->add_option("--day", flags->day, "local day; default: today so far");
  CLI::Option* render = now->add_flag("--render", flags->render, "do not send: print the text");
  now->add_option("--html", flags->html, "with --render: write the page to this file")
      ->needs(render);
  AddReasonFlags(*now, flags->why);
  now->callback([&context, flags] { context.result = ReportNow(*flags, context); });
}

}  // namespace netsentinel::ctl
