#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>

#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/audit.grpc.pb.h"
#include "tools/ctl/client.h"
#include "tools/ctl/command.h"
#include "tools/ctl/grpc_table.h"

// audit-log: who changed what.
namespace netsentinel::ctl {
namespace {

constexpr std::uint32_t kAuditPage = 1'000;

struct AuditFlags {
  ClientFlags client;
  std::string from, to, who, what;
  std::uint32_t limit = 100;
};

// A day or an instant as microseconds; of a day its begin, or its end for `end`.
absl::StatusOr<std::int64_t> InstantIn(const std::string& text, bool end) {
  if (text.empty()) return 0;
  absl::Time time;
  std::string error;
  if (absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time, &error)) {
    return absl::ToUnixMicros(end ? time + absl::Hours(24) : time);
  }
  if (absl::ParseTime(absl::RFC3339_full, text, &time, &error)) return absl::ToUnixMicros(time);
  return absl::InvalidArgumentError(
      absl::StrCat("not a day or an instant: \"", text,
                   "\"; use 2026-03-29 (UTC) or 2026-03-29T18:15:00+05:00"));
}

// At most flags.limit entries in one response, from as many pages as that takes.
absl::StatusOr<v1::ListAuditEntriesResponse> Entries(const AuditFlags& flags,
                                                     v1::AuditService::Stub& stub) {
  v1::ListAuditEntriesRequest request;
  NS_ASSIGN_OR_RETURN(const std::int64_t from_us, InstantIn(flags.from, /*end=*/false));
  NS_ASSIGN_OR_RETURN(const std::int64_t to_us, InstantIn(flags.to, /*end=*/true));
  if (from_us != 0 && to_us != 0 && from_us >= to_us) {
    return absl::InvalidArgumentError(
        absl::StrCat("--from ", flags.from, " is not before --to ", flags.to));
  }
  request.set_from_us(from_us);
  request.set_to_us(to_us);
  request.set_who(flags.who);
  request.set_action(flags.what);
  v1::ListAuditEntriesResponse all;
  for (bool more = true; more;) {
    const auto have = static_cast<std::uint32_t>(all.entries_size());
    request.set_limit(std::min(kAuditPage, flags.limit - have));
    grpc::ClientContext client;
    SetDeadline(flags.client, client);
    v1::ListAuditEntriesResponse page;
    NS_RETURN_IF_ERROR(rpc::FromGrpc(stub.ListAuditEntries(&client, request, &page)));
    more = page.more() && page.entries_size() > 0;
    all.set_more(page.more());
    all.mutable_entries()->MergeFrom(page.entries());
    if (static_cast<std::uint32_t>(all.entries_size()) >= flags.limit) more = false;
    if (more) request.set_before_id(page.entries().rbegin()->audit_id());
  }
  return all;
}

std::string WhoText(const v1::AuditEntry& entry) {
  std::string text = entry.role();
  if (!entry.name().empty()) absl::StrAppend(&text, " ", entry.name());
  if (!entry.on_behalf_of().empty()) absl::StrAppend(&text, " for ", entry.on_behalf_of());
  return text;
}

absl::Status PrintAuditLog(const AuditFlags& flags, const CommandContext& context) {
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::Channel> channel,
                      Connect(flags.client, flags.client.aggregator, context.clock));
  const std::unique_ptr<v1::AuditService::Stub> stub = v1::AuditService::NewStub(channel);
  NS_ASSIGN_OR_RETURN(const v1::ListAuditEntriesResponse response, Entries(flags, *stub));
  if (flags.client.json) {
    PrintJson(response);
    return absl::OkStatus();
  }
  enum : std::size_t { kWhen, kWho, kFrom, kWhat, kToWhat, kBefore, kAfter, kReason };
  Table table(
      "llllllll",
      {.left_out = {kFrom}, .cut = {kToWhat, kWho, kWhat}, .below = {kBefore, kAfter, kReason}});
  table.Add({"WHEN", "WHO", "FROM", "WHAT", "TO WHAT", "BEFORE", "AFTER", "REASON"});
  for (const v1::AuditEntry& entry : response.entries()) {
    table.Add({InstantText(entry.at_us()), WhoText(entry), entry.address(), entry.action(),
               entry.subject(), entry.before(), entry.after(), entry.reason()});
  }
  PrintTable(table, flags.client.wide);
  if (response.more()) {
    std::printf("the newest %d are shown; there are more: give --limit, --from or --to\n",
                response.entries_size());
  }
  return absl::OkStatus();
}

}  // namespace

void AddAuditCommand(CLI::App& app, CommandContext& context) {
  const auto flags = std::make_shared<AuditFlags>();
  CLI::App* audit = app.add_subcommand("audit-log", "who changed what, newest first");
  AddClientFlags(*audit, flags->client);
  audit->add_option("--from", flags->from, "a day (UTC) or an instant: not before it");
  audit->add_option("--to", flags->to, "a day (UTC), to its end, or an instant: before it");
  audit->add_option("--who", flags->who, "the name of a certificate, or on whose behalf");
  audit->add_option("--what", flags->what, "such as quota, quota.set, report.send, policy.import");
  audit->add_option("--limit", flags->limit, "at most this many")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  audit->callback([&context, flags] { context.result = PrintAuditLog(*flags, context); });
}

}  // namespace netsentinel::ctl
