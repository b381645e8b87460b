#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>

#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "tools/ctl/client.h"
#include "tools/ctl/command.h"
#include "tools/ctl/days.h"
#include "tools/ctl/grpc_table.h"

// What the subcommands that ask the UsageService have in common.
namespace netsentinel::ctl {

// The flags of a question. Every subcommand has its own: what the environment says of a flag is
// written into them also where another subcommand runs.
struct QuestionFlags {
  ClientFlags client;
  DayFlags days;
  std::string site, router;
  std::uint32_t limit = 0;

  // How many rows are asked for.
  std::uint32_t rows() const { return limit == 0 ? 100 : limit; }
};

struct CommandText {
  const char* name;
  const char* help;
};

// A subcommand with flags of its own that runs `run`.
template <typename Flags>
std::pair<CLI::App*, std::shared_ptr<Flags>> AddQuestion(
    CLI::App& app, CommandContext& context, CommandText text,
    absl::Status (*run)(const Flags&, const CommandContext&)) {
  const auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(text.name, text.help);
  AddClientFlags(*command, flags->client);
  command->callback([&context, flags, run] { context.result = run(*flags, context); });
  return {command, flags};
}

inline void AddLimitFlag(CLI::App& command, QuestionFlags& flags, int most) {
  command.add_option("--limit", flags.limit, "rows; default 100")->check(CLI::Range(0, most));
}

template <typename Request>
absl::Status SetDays(const DayFlags& flags, Request& request) {
  NS_ASSIGN_OR_RETURN(const Days days, DaysOf(flags));
  request.set_first_day(days.first);
  request.set_last_day(days.last);
  return absl::OkStatus();
}

// Connects, calls, and hands the response to `print` unless JSON is wanted.
template <typename Request, typename Response, typename Call, typename Print>
absl::Status Ask(const QuestionFlags& flags, const CommandContext& context, const Request& request,
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

}  // namespace netsentinel::ctl
