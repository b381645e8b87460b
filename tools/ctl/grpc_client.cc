#include <cstdio>

#include <CLI/CLI.hpp>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/io/files.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/peer_trouble.h"
#include "tools/ctl/client.h"
#include "tools/ctl/grpc_ask.h"

namespace netsentinel::ctl {

namespace {

rpc::PeerNames& Dialled() {
  static rpc::PeerNames names;
  return names;
}

}  // namespace

void AddClientFlags(CLI::App& command, ClientFlags& flags) {
  command.add_option("--aggregator", flags.aggregator, "gRPC target of the aggregator")
      ->envname("NETSENTINEL_AGGREGATOR")
      ->capture_default_str();
  command.add_option("--notifier", flags.notifier, "gRPC target of the notifier")
      ->envname("NETSENTINEL_NOTIFIER")
      ->capture_default_str();
  command.add_option("--ca", flags.ca, "the authority's certificate")->envname("NETSENTINEL_CA");
  command.add_option("--cert", flags.cert, "your certificate (role viewer, operator or admin)")
      ->envname("NETSENTINEL_CERT");
  command.add_option("--key", flags.key, "its private key")->envname("NETSENTINEL_KEY");
  command
      .add_option("--crl", flags.crl,
                  "the authority's revocation list; default: ca.crl beside --ca, if there is one")
      ->envname("NETSENTINEL_CRL");
  command.add_flag("--insecure", flags.insecure, "no TLS; loopback only");
  command.add_flag("--json", flags.json, "print JSON instead of a table");
  command.add_flag("--wide", flags.wide,
                   "every column in full, however narrow the terminal (as into a pipe)");
  command.add_option("--timeout", flags.timeout_s, "seconds to wait for an answer")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
}

void AddReasonFlags(CLI::App& command, ReasonFlags& flags) {
  command.add_option("--reason", flags.reason, "why, for the audit log");
  command.add_option("--on-behalf-of", flags.on_behalf_of, "for whom, for the audit log");
}

absl::StatusOr<std::shared_ptr<grpc::Channel>> Connect(const ClientFlags& flags,
                                                       const std::string& target,
                                                       const base::Clock& clock) {
  if (!flags.insecure && (flags.ca.empty() || flags.cert.empty() || flags.key.empty())) {
    return absl::InvalidArgumentError(
        "give --ca, --cert and --key (or NETSENTINEL_CA, NETSENTINEL_CERT, NETSENTINEL_KEY): "
        "`netsentinelctl certs issue --role operator --name NAME`, run beside the authority's "
        "folder, "
        "makes them and prints the export lines");
  }
  rpc::ChannelOptions options;
  options.peer.target = target;
  options.peer.security.insecure = flags.insecure;
  options.peer.security.tls = {
      .ca = flags.ca, .cert = flags.cert, .key = flags.key, .crl = flags.crl};
  if (const std::string beside = io::FolderOf(flags.ca) + "/ca.crl";
      flags.crl.empty() && io::Exists(beside)) {
    options.peer.security.tls.crl = beside;
  }
  Dialled() = {.what = target == flags.notifier ? "notifier" : "aggregator",
               .target = target,
               .authority_file = options.peer.security.tls.ca,
               .certificate_file = options.peer.security.tls.cert,
               .authority_key = "--ca",
               .certificate_key = "--cert",
               .other = target == flags.notifier ? "aggregator" : "notifier"};
  options.max_receive_bytes = 256 << 20;  // a ranking of 100,000 rows
  return rpc::MakeChannel(options, clock);
}

absl::Status Explained(const absl::Status& status) {
  return Dialled().target.empty() ? status : rpc::ExplainTrouble(status, Dialled());
}

void SetDeadline(const ClientFlags& flags, grpc::ClientContext& context) {
  context.set_deadline(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                    gpr_time_from_seconds(flags.timeout_s, GPR_TIMESPAN)));
}

void PrintTable(const Table& table, bool wide) {
  winsize size = {};
  const bool narrow = !wide && isatty(STDOUT_FILENO) == 1 &&
                      ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  const std::size_t width = narrow ? size.ws_col : 0;
  std::fputs(table.Text(width).c_str(), stdout);
  if (const std::string text = table.NarrowedText(width); !text.empty()) {
    std::printf("%s\n", text.c_str());
  }
}

void PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  std::fputs(status.ok() ? json.c_str() : "{}\n", stdout);
}

}  // namespace netsentinel::ctl
