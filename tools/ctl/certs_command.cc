#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "common/base/status_macros.h"
#include "tools/ctl/certificate_files.h"
#include "tools/ctl/command.h"

namespace netsentinel::ctl {
namespace {

struct InitFlags {
  std::string folder;
  int days = 3650;
};

struct IssueFlags {
  std::string folder;
  std::string out;
  std::string role;
  std::string name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  int days = 365;
};

absl::Status Init(const InitFlags& flags, const base::Clock& clock) {
  NS_RETURN_IF_ERROR(InitAuthority(flags.folder, clock.WallNow(), absl::Hours(24) * flags.days));
  std::printf("made the authority %s/%s, valid for %d days; keep %s/%s secret and backed up\n",
              flags.folder.c_str(), kAuthorityCertificateFile, flags.days, flags.folder.c_str(),
              kAuthorityKeyFile);
  return absl::OkStatus();
}

absl::Status Issue(const IssueFlags& flags, const base::Clock& clock) {
  CertificateRequest request;
  NS_ASSIGN_OR_RETURN(request.role, rpc::ParseRole(flags.role));
  request.name = flags.name;
  request.dns_names = flags.dns_names;
  request.ip_addresses = flags.ip_addresses;
  NS_ASSIGN_OR_RETURN(
      const config::TlsFiles files,
      IssueInto(flags.folder, flags.out, request, clock.WallNow(), absl::Hours(24) * flags.days));
  std::printf("issued %s, valid for %d days; in the configuration:\n",
              rpc::PeerUri(request.role, request.name).c_str(), flags.days);
  std::printf("  tls: {ca: %s, cert: %s, key: %s}\n", files.ca.c_str(), files.cert.c_str(),
              files.key.c_str());
  if (const std::string advice = NamesAdvice(request); !advice.empty()) {
    std::fprintf(stderr, "netsentinelctl: warning: %s\n", advice.c_str());
  }
  return absl::OkStatus();
}

}  // namespace

void AddCertsCommand(CLI::App& app, CommandContext& context) {
  CLI::App* certs = app.add_subcommand("certs", "Make a private authority and its certificates");
  certs->require_subcommand(1);

  const auto init_flags = std::make_shared<InitFlags>();
  CLI::App* init = certs->add_subcommand("init", "Make a new authority");
  init->add_option("--dir", init_flags->folder, "The folder to make it in")->required();
  init->add_option("--days", init_flags->days, "How long it is valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  init->callback([init_flags, &context] { context.result = Init(*init_flags, context.clock); });

  const auto issue_flags = std::make_shared<IssueFlags>();
  CLI::App* issue = certs->add_subcommand("issue", "Issue a certificate and its key");
  issue->add_option("--dir", issue_flags->folder, "The authority's folder")->required();
  issue
      ->add_option("--role", issue_flags->role,
                   "collector, aggregator, notifier, operator, viewer or admin")
      ->required();
  issue->add_option("--name", issue_flags->name, "Whom it names, such as lahore-hq")->required();
  issue->add_option("--dns", issue_flags->dns_names,
                    "A host name that it serves under (repeatable)");
  issue->add_option("--ip", issue_flags->ip_addresses, "An address that it serves on (repeatable)");
  issue->add_option("--days", issue_flags->days, "How long it is valid")
      ->check(CLI::Range(1, 36500))
      ->capture_default_str();
  issue->add_option("--out", issue_flags->out, "The folder for the three files")->required();
  issue->callback([issue_flags, &context] { context.result = Issue(*issue_flags, context.clock); });
}

}  // namespace netsentinel::ctl
