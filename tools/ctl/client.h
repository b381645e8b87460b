#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/clock.h"

namespace CLI {
class App;
}  // namespace CLI
namespace grpc {
class Channel;
class ClientContext;
}  // namespace grpc
namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace netsentinel::ctl {

class Table;

// How a subcommand reaches the servers, and how it prints. Filled by the flags of AddClientFlags;
// each flag has an environment variable so that a shell can be set up once.
struct ClientFlags {
  std::string aggregator = "dns:///localhost:7443";
  std::string notifier = "dns:///localhost:7444";
  std::string ca, cert, key, crl;
  bool insecure = false;
  bool json = false;
  bool wide = false;
  int timeout_s = 15;
};
void AddClientFlags(CLI::App& command, ClientFlags& flags);

// What a command that changes something says about it.
struct ReasonFlags {
  std::string reason, on_behalf_of;
};
void AddReasonFlags(CLI::App& command, ReasonFlags& flags);

// A channel to `target` with the flags' certificates.
absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ClientFlags& flags,
                                                       const std::string& target,
                                                       const base::Clock& clock);
// A failed call's words with those of the server that Connect dialled last: gRPC's own say nothing
// to an operator. One thread.
absl::Status Explained(const absl::Status& status);
// Gives the call its deadline.
void SetDeadline(const ClientFlags& flags, grpc::ClientContext& context);

// On a terminal as wide as that is, with a line about what does not fit, unless `wide`; whole into
// a pipe or a file.
void PrintTable(const Table& table, bool wide);

// Prints a response as one JSON document, field names as in the contracts.
void PrintJson(const google::protobuf::Message& message);

}  // namespace netsentinel::ctl
