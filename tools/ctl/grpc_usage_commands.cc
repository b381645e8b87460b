#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>

#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"
#include "tools/ctl/command.h"
#include "tools/ctl/grpc_ask.h"
#include "tools/ctl/grpc_subscriber.h"
#include "tools/ctl/grpc_table.h"

// ranking, usage and routers: figures, and who reads them.
namespace netsentinel::ctl {
namespace {

using base::FormatByteSize;

constexpr int kEpochsShown = 50;

struct UsageFlags : QuestionFlags {
  std::string name;
  std::string order = "total";
  bool near = false;
  bool over = false;
  bool why = false;
};

std::string TotalText(const v1::Traffic& traffic) {
  return FormatByteSize(traffic.upload_bytes() + traffic.download_bytes());
}

const std::map<std::string, v1::QuotaBasis> kOrders = {{"total", v1::QUOTA_BASIS_TOTAL},
                                                       {"download", v1::QUOTA_BASIS_DOWNLOAD},
                                                       {"upload", v1::QUOTA_BASIS_UPLOAD}};

void PrintObservation(const v1::Observation& observation) {
  for (const std::string& text : ObservationTexts(observation)) std::printf("%s\n", text.c_str());
}

// Without the routers that have never been read, which are named as that.
std::vector<std::string> StillOpen(const v1::GetRankingResponse& response) {
  std::set<std::string> never_read;
  for (const v1::Observation& observation : response.observations()) {
    for (const v1::ObservedRouter& router : observation.routers()) {
      if (router.reading_began_us() == 0) never_read.insert(router.router_id());
    }
  }
  std::vector<std::string> open;
  for (const std::string& router : response.open_routers()) {
    if (!never_read.contains(router)) open.push_back(router);
  }
  return open;
}

void PrintRanking(const v1::GetRankingResponse& response, const UsageFlags& flags) {
  enum : std::size_t { kRank, kName, kDownload, kUpload, kTotal, kShare, kQuota, kLimit, kGrade };
  Table table("rlrrrrlll", {{kShare, kLimit, kUpload, kDownload}, {kName}});
  table.Add({"#", "SUBSCRIBER", "DOWNLOAD", "UPLOAD", "TOTAL", "SHARE", "QUOTA", "LIMIT", "GRADE"});
  for (const v1::RankingRow& row : response.rows()) {
    const v1::SubscriberRef& who = row.subscriber();
    const std::string scope = who.router_id().empty() ? who.site_id() : who.router_id();
    table.Add({absl::StrCat(row.rank()), absl::StrCat(who.name().display_name(), " (", scope, ")"),
               FormatByteSize(row.usage().counted().download_bytes()),
               FormatByteSize(row.usage().counted().upload_bytes()),
               TotalText(row.usage().counted()),
               absl::StrFormat("%d.%d %%", row.share_permille() / 10, row.share_permille() % 10),
               StandingText(row), LimitText(row), GradeText(row.usage().grade())});
  }
  PrintTable(table, flags.client.wide);
  std::printf("\n");
  const std::string shown = ShownText(static_cast<std::uint64_t>(response.rows_size()),
                                      response.matching_count(), flags.rows());
  if (!shown.empty()) std::printf("%s\n", shown.c_str());
  if (flags.over || flags.near) {
    std::printf("%llu %s, of ", static_cast<unsigned long long>(response.matching_count()),
                flags.over ? "over the limit" : "near or over the limit");
  }
  std::printf("%llu subscribers, %s in all; %s%s%s, as of %s\n",
              static_cast<unsigned long long>(response.subscriber_count()),
              TotalText(response.total()).c_str(), TerminalText(response.first_day()).c_str(),
              response.first_day() == response.last_day()
                  ? ""
                  : absl::StrCat(" to ", TerminalText(response.last_day())).c_str(),
              response.open() && response.open_routers().empty() ? " so far" : "",
              InstantText(response.as_of_us(), response.time_zone()).c_str());
  if (const std::vector<std::string> open = StillOpen(response); !open.empty()) {
    std::printf("open: %s may still bring readings of %s\n",
                TerminalText(absl::StrJoin(open, ", ")).c_str(),
                TerminalText(response.last_day()).c_str());
  }
  for (const v1::Observation& observation : response.observations()) PrintObservation(observation);
}

absl::Status Ranking(const UsageFlags& flags, const CommandContext& context) {
  v1::GetRankingRequest request;
  NS_RETURN_IF_ERROR(SetDays(flags.days, request));
  request.set_site_id(flags.site);
  request.set_limit(flags.rows());
  request.set_order_by(kOrders.at(flags.order));
  if (flags.near) request.set_at_least(v1::STANDING_STATE_NEAR);
  if (flags.over) request.set_at_least(v1::STANDING_STATE_OVER);
  return Ask<v1::GetRankingRequest, v1::GetRankingResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::GetRankingRequest&, v1::GetRankingResponse*)>(
          &v1::UsageService::Stub::GetRanking),
      [&flags](const v1::GetRankingResponse& response) { PrintRanking(response, flags); });
}

// Where counting began anew in the days above, the first kEpochsShown of them.
void PrintEpochs(const v1::GetSubscriberUsageResponse& response, bool wide) {
  enum : std::size_t { kSince, kRouter, kQueue, kReason };
  Table table("llll", {.cut = {kQueue, kRouter, kReason}});
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
  std::printf("\n");
  PrintTable(table, wide);
  if (left_out) std::printf("There are more epochs than these: --json lists up to 10,000.\n");
}

void PrintUsage(const v1::GetSubscriberUsageResponse& response, bool wide) {
  std::printf("%s (%s), as of %s\n\n", SubscriberText(response.subscriber()).c_str(),
              TerminalText(response.time_zone()).c_str(),
              InstantText(response.as_of_us(), response.time_zone()).c_str());
  enum : std::size_t { kDay, kDownload, kUpload };
  Table table("lrrrrrll", {.left_out = {kUpload, kDownload}});
  table.Add({"DAY", "DOWNLOAD", "UPLOAD", "TOTAL", "AT LEAST", "UNSEEN AT MOST", "GRADE", ""});
  for (const v1::DayUsage& day : response.days()) {
    const v1::Usage& usage = day.usage();
    table.Add({day.day(), FormatByteSize(usage.counted().download_bytes()),
               FormatByteSize(usage.counted().upload_bytes()), TotalText(usage.counted()),
               TotalText(usage.sure()), TotalText(usage.unseen()), GradeText(usage.grade()),
               day.open() ? "so far" : ""});
  }
  PrintTable(table, wide);
  if (response.days().empty()) std::printf("no usage on these days\n");
  if (response.has_observation()) {
    std::printf("\n");
    PrintObservation(response.observation());
  }
  PrintEpochs(response, wide);
}

std::string UpDownText(const v1::Traffic& traffic) {
  return absl::StrCat(FormatByteSize(traffic.upload_bytes()), " up, ",
                      FormatByteSize(traffic.download_bytes()), " down");
}

std::string ExplanationText(v1::Explanation explanation) {
  return EnumText(v1::Explanation_Name(explanation), "EXPLANATION_");
}

bool IsZero(const v1::Traffic& traffic) {
  return traffic.upload_bytes() == 0 && traffic.download_bytes() == 0;
}

void PrintStep(const v1::DisputedStep& step) {
  std::printf("    %s to %s: counter %s, then %s\n", InstantText(step.from_us()).c_str(),
              InstantText(step.to_us()).c_str(), UpDownText(step.before()).c_str(),
              UpDownText(step.now()).c_str());
  std::printf("      counted as \"%s\": %s\n", ExplanationText(step.counted_as()).c_str(),
              UpDownText(step.counted()).c_str());
  if (!IsZero(step.doubt())) {
    std::printf("      not sure of it: %s\n", UpDownText(step.doubt()).c_str());
  }
  if (!IsZero(step.unseen())) {
    std::printf("      unseen at most: %s\n", UpDownText(step.unseen()).c_str());
  }
  if (step.possible_size() < 2) return;
  for (const v1::ExplainedBytes& possible : step.possible()) {
    std::printf("      possible: \"%s\", %s\n", ExplanationText(possible.explanation()).c_str(),
                UpDownText(possible.bytes()).c_str());
  }
}

// Why the figures are what they are: the steps between readings that were not certain.
void PrintWhy(const v1::GetSubscriberUsageResponse& response) {
  for (const v1::DayUsage& day : response.days()) {
    const v1::Usage& usage = day.usage();
    std::printf("\n%s: sure %s; counted %s; unseen at most %s\n", day.day().c_str(),
                UpDownText(usage.sure()).c_str(), UpDownText(usage.counted()).c_str(),
                UpDownText(usage.unseen()).c_str());
    if (day.evidence().empty()) {
      std::printf("  every step between readings was certain\n");
      continue;
    }
    for (const v1::QueueEvidence& queue : day.evidence()) {
      std::printf("  queue %s on %s\n", TerminalText(queue.queue().queue().display_name()).c_str(),
                  TerminalText(queue.queue().router_id()).c_str());
      for (const v1::DisputedStep& step : queue.steps()) PrintStep(step);
      for (const v1::ExplainedBytes& total : queue.totals()) {
        std::printf("    \"%s\" was possible for %u steps, for %s in all\n",
                    ExplanationText(total.explanation()).c_str(), total.steps(),
                    UpDownText(total.bytes()).c_str());
      }
      if (queue.steps_left_out() > 0) {
        std::printf("    (%u further steps are not kept)\n", queue.steps_left_out());
      }
    }
  }
}

absl::Status Usage(const UsageFlags& flags, const CommandContext& context) {
  v1::GetSubscriberUsageRequest request;
  request.set_with_evidence(flags.why);
  NS_RETURN_IF_ERROR(SetDays(flags.days, request));
  // Else a name without its router would be an unknown subscriber that moved nothing.
  NS_ASSIGN_OR_RETURN(
      const v1::FoundSubscriber found,
      FindSubscriber(flags.client, {flags.name, flags.site, flags.router}, context.clock));
  *request.mutable_subscriber() = found.subscriber();
  return Ask<v1::GetSubscriberUsageRequest, v1::GetSubscriberUsageResponse>(
      flags, context, request,
      static_cast<grpc::Status (v1::UsageService::Stub::*)(
          grpc::ClientContext*, const v1::GetSubscriberUsageRequest&,
          v1::GetSubscriberUsageResponse*)>(&v1::UsageService::Stub::GetSubscriberUsage),
      [&flags](const v1::GetSubscriberUsageResponse& response) {
        PrintUsage(response, flags.client.wide);
        if (flags.why) PrintWhy(response);
      });
}

std::string StateText(v1::RouterState state) {
  return state == v1::ROUTER_STATE_UNSPECIFIED
             ? "unknown"
             : EnumText(v1::RouterState_Name(state), "ROUTER_STATE_");
}

void PrintRouters(const v1::ListRoutersResponse& response, bool wide) {
  enum : std::size_t { kRouter, kSite, kCollector, kState, kDevice, kMenu, kQueues, kLast };
  Table table("llllllrl", {.left_out = {kDevice, kCollector, kMenu, kSite}, .cut = {kRouter}});
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
  PrintTable(table, wide);
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
      [&flags](const v1::ListRoutersResponse& response) {
        PrintRouters(response, flags.client.wide);
      });
}

}  // namespace

void AddUsageCommands(CLI::App& app, CommandContext& context) {
  const auto [ranking, ranked] = AddQuestion<UsageFlags>(
      app, context, {"ranking", "subscribers by usage, highest first"}, Ranking);
  ranking->add_option("--site", ranked->site, "one site only");
  AddDayFlags(*ranking, ranked->days, "today");
  ranking->add_option("--by", ranked->order, "order by total, download or upload")
      ->check(CLI::IsMember({"total", "download", "upload"}))
      ->capture_default_str();
  CLI::Option* over =
      ranking->add_flag("--over", ranked->over, "only who has reached the limit of a quota");
  ranking->add_flag("--near", ranked->near, "only who is near the limit of a quota, or over it")
      ->excludes(over);
  AddLimitFlag(*ranking, *ranked, 100'000);

  const auto [usage, used] =
      AddQuestion<UsageFlags>(app, context, {"usage", "one subscriber, day by day"}, Usage);
  usage->add_option("subscriber", used->name, "the name as ranking shows it")->required();
  usage->add_option("--site", used->site, "the subscriber's site");
  usage->add_option("--router", used->router, "the router that scopes the name");
  AddDayFlags(*usage, used->days, "today");
  usage->add_flag("--why", used->why,
                  "say why: each step between readings that was not certain, and what it may be");

  const auto [routers, listed] = AddQuestion<UsageFlags>(
      app, context, {"routers", "routers, their state, and what to do"}, Routers);
  routers->add_option("--site", listed->site, "one site only");
}

}  // namespace netsentinel::ctl
