#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include <CLI/CLI.hpp>

#include "common/base/status_macros.h"
#include "tools/ctl/certificate_files.h"
#include "tools/ctl/certificate_life.h"
#include "tools/ctl/client.h"
#include "tools/ctl/command.h"
#include "tools/ctl/grpc_certificates_json.h"
#include "tools/ctl/grpc_table.h"

namespace netsentinel::ctl {
namespace {

constexpr int kMaxDays = 36500;
constexpr char kRoles[] = "collector, aggregator, notifier, operator, viewer or admin";

struct CertsFlags {
  std::string folder = "authority";
  std::string out, role, name, serial, file;
  std::string reason = "unspecified";
  std::vector<std::string> dns_names, ip_addresses;
  int days = kCertificateDays;
  std::optional<int> renew_days;
  int authority_days = kAuthorityDays;
  int due_days = 30;
  bool overwrite = false;
  bool new_key = false;
  bool all = false;
  bool due = false;
  bool begin = false;
  bool finish = false;
  bool force = false;
  bool json = false;
  bool wide = false;
};

std::string Absolute(const std::string& path) {
  std::error_code error;
  return std::filesystem::absolute(path, error).lexically_normal().string();
}

// As one word of a shell.
std::string ShellWord(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

bool IsPerson(rpc::Role role) {
  return role == rpc::Role::kOperator || role == rpc::Role::kViewer || role == rpc::Role::kAdmin;
}

std::string DayOf(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d", time, absl::UTCTimeZone());
}

absl::StatusOr<std::optional<rpc::Role>> RoleIn(const CertsFlags& flags) {
  if (flags.role.empty()) return std::optional<rpc::Role>();
  NS_ASSIGN_OR_RETURN(const rpc::Role role, rpc::ParseRole(flags.role));
  return std::optional<rpc::Role>(role);
}

// An error when a folder could not be written.
absl::Status PrintPublished(const Published& published) {
  for (const std::string& folder : published.folders) {
    std::printf("  %s: ca.crt and ca.crl are up to date\n", TerminalText(folder).c_str());
  }
  for (const std::string& folder : published.absent) {
    std::printf("  %s: not on this host; copy ca.crt and ca.crl to where it is\n",
                TerminalText(folder).c_str());
  }
  for (const std::string& folder : published.foreign) {
    std::printf(
        "  %s: not touched, its ca.crt is of another authority; issue its certificate again "
        "with --overwrite to bring it to this one\n",
        TerminalText(folder).c_str());
  }
  for (const Published::Failure& failure : published.failed) {
    std::printf("  %s: NOT up to date: %s\n", TerminalText(failure.folder).c_str(),
                TerminalText(failure.status.message()).c_str());
  }
  if (published.failed.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      published.failed.size(), published.failed.size() == 1 ? " folder has" : " folders have",
      " the old ca.crt and ca.crl still: mend what is said above, then run "
      "`netsentinelctl certs publish`"));
}

absl::Status Init(const CertsFlags& flags, const base::Clock& clock) {
  NS_RETURN_IF_ERROR(
      InitAuthority(flags.folder, clock.WallNow(), absl::Hours(24) * flags.authority_days));
  std::printf("made the authority %s/%s, valid for %d days; keep %s secret and backed up\n",
              flags.folder.c_str(), kAuthorityCertificateFile, flags.authority_days,
              flags.folder.c_str());
  return absl::OkStatus();
}

absl::Status Issue(const CertsFlags& flags, const base::Clock& clock) {
  CertificateRequest request;
  NS_ASSIGN_OR_RETURN(request.role, rpc::ParseRole(flags.role));
  request.name = flags.name;
  request.dns_names = flags.dns_names;
  request.ip_addresses = flags.ip_addresses;
  const std::string out = flags.out.empty() ? flags.name : flags.out;
  NS_ASSIGN_OR_RETURN(const config::TlsFiles files,
                      IssueInto(flags.folder, out, request, clock.WallNow(),
                                absl::Hours(24) * flags.days, flags.overwrite));
  std::printf("issued %s, valid for %d days; ", rpc::PeerUri(request.role, request.name).c_str(),
              flags.days);
  if (IsPerson(request.role)) {
    std::printf("in the shell:\n");
    std::printf("  export NETSENTINEL_CA=%s\n", ShellWord(Absolute(files.ca)).c_str());
    std::printf("  export NETSENTINEL_CERT=%s\n", ShellWord(Absolute(files.cert)).c_str());
    std::printf("  export NETSENTINEL_KEY=%s\n", ShellWord(Absolute(files.key)).c_str());
  } else {
    std::printf("in the configuration:\n  tls: {ca: %s, cert: %s, key: %s, crl: %s}\n",
                files.ca.c_str(), files.cert.c_str(), files.key.c_str(), files.crl.c_str());
  }
  if (const std::string advice = NamesAdvice(request); !advice.empty()) {
    std::fprintf(stderr, "netsentinelctl: warning: %s\n", advice.c_str());
  }
  return absl::OkStatus();
}

std::string StateOf(const AuthorityFolder& authority, const IndexEntry& entry, absl::Time now) {
  if (entry.revoked) {
    return absl::StrCat("revoked ", DayOf(entry.revoked_at), " (", entry.reason, ")");
  }
  if (entry.not_after <= now) return "ended";
  if (entry.issuer != authority.signer().serial) return "good, of the old authority";
  return "good";
}

absl::Status List(const CertsFlags& flags, const base::Clock& clock) {
  NS_ASSIGN_OR_RETURN(const AuthorityFolder authority, AuthorityFolder::Open(flags.folder));
  const absl::Time now = clock.WallNow();
  const std::vector<IndexEntry> entries =
      flags.all ? authority.index().entries : InPlace(authority.index());
  const bool known = std::any_of(entries.begin(), entries.end(), [&](const IndexEntry& entry) {
    return flags.name.empty() || entry.name == flags.name;
  });
  if (!known && !flags.name.empty()) {
    return absl::NotFoundError(absl::StrCat("no certificate of \"", flags.name,
                                            "\" was issued from ", flags.folder,
                                            "; without a name `certs list` shows every one"));
  }
  if (flags.json) {
    std::vector<IndexEntry> named;
    std::copy_if(
        entries.begin(), entries.end(), std::back_inserter(named),
        [&](const IndexEntry& entry) { return flags.name.empty() || entry.name == flags.name; });
    PrintCertificatesJson(authority, named, now);
    return absl::OkStatus();
  }
  enum : std::size_t { kName, kRole, kEnds, kDaysLeft, kState, kSerial, kFile };
  Table table("lllrlll", {.left_out = {kSerial}, .cut = {kState, kName}, .below = {kFile}});
  table.Add({"NAME", "ROLE", "ENDS", "DAYS LEFT", "STATE", "SERIAL", "FILE"});
  for (const IndexEntry& entry : entries) {
    if (!flags.name.empty() && entry.name != flags.name) continue;
    table.Add({entry.name, std::string(rpc::RoleName(entry.role)), DayOf(entry.not_after),
               absl::StrCat(DaysLeft(entry, now)), StateOf(authority, entry, now), entry.serial,
               entry.path});
  }
  PrintTable(table, flags.wide);
  if (authority.old_signer().has_value()) {
    std::printf("the authority is being replaced: docs/certificates.md says what is left to do\n");
  }
  return absl::OkStatus();
}

absl::Status RenewMany(AuthorityFolder& authority, const std::vector<IndexEntry>& entries,
                       const RenewWish& wish, absl::Time now) {
  absl::Status first;
  int failed = 0;
  for (const IndexEntry& entry : entries) {
    const absl::StatusOr<IndexEntry> renewed = Renew(authority, entry, wish, now);
    if (renewed.ok()) {
      const std::string path =
          wish.out.empty() ? renewed->path : absl::StrCat(wish.out, "/", entry.name, ".crt");
      std::printf("renewed %s %s until %s: %s\n", std::string(rpc::RoleName(entry.role)).c_str(),
                  entry.name.c_str(), DayOf(renewed->not_after).c_str(),
                  TerminalText(path).c_str());
      if (!wish.out.empty()) {
        std::printf("  copy it%s over %s on its host\n",
                    wish.new_key ? ", and its .key beside it," : "",
                    TerminalText(renewed->path).c_str());
      }
      continue;
    }
    if (++failed == 1) first = renewed.status();
    if (entries.size() > 1) {
      std::fprintf(stderr, "netsentinelctl: %s\n",
                   TerminalText(renewed.status().message()).c_str());
    }
  }
  if (failed == 0 || entries.size() == 1) return first;
  return absl::Status(first.code(),
                      absl::StrCat(failed, " of ", entries.size(), " could not be renewed"));
}

absl::Status Renew(const CertsFlags& flags, const base::Clock& clock) {
  const int wishes = (flags.name.empty() ? 0 : 1) + (flags.all ? 1 : 0) + (flags.due ? 1 : 0);
  if (wishes != 1) {
    return absl::InvalidArgumentError(
        "give the NAME of one certificate, or --due for those that end soon, or --all");
  }
  NS_ASSIGN_OR_RETURN(const std::optional<rpc::Role> role, RoleIn(flags));
  NS_ASSIGN_OR_RETURN(AuthorityFolder authority, AuthorityFolder::Open(flags.folder));
  const absl::Time now = clock.WallNow();
  const absl::Time ends_before =
      flags.due ? now + absl::Hours(24) * flags.due_days : absl::InfiniteFuture();
  const std::vector<IndexEntry> entries = Renewable(authority, flags.name, role, ends_before, now);
  if (entries.empty() && flags.name.empty()) {
    std::printf("nothing to renew\n");
    return absl::OkStatus();
  }
  if (entries.empty()) {
    return absl::NotFoundError(absl::StrCat("no certificate of \"", TerminalText(flags.name),
                                            "\" that is not revoked was issued from ", flags.folder,
                                            "; `netsentinelctl certs list --all` shows every one"));
  }
  if (entries.size() > 1 && !flags.name.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", flags.name, "\" has ", entries.size(),
                                                   " certificates in place: say which with "
                                                   "--role, or renew all with --all"));
  }
  return RenewMany(authority, entries,
                   {.out = flags.out,
                    .new_key = flags.new_key,
                    .overwrite = flags.overwrite,
                    .valid = flags.renew_days.has_value()
                                 ? std::make_optional(absl::Hours(24) * *flags.renew_days)
                                 : std::nullopt},
                   now);
}

absl::Status Revoke(const CertsFlags& flags, const base::Clock& clock) {
  const int wishes =
      (flags.name.empty() ? 0 : 1) + (flags.serial.empty() ? 0 : 1) + (flags.file.empty() ? 0 : 1);
  if (wishes != 1) {
    return absl::InvalidArgumentError(
        "say what to revoke: the NAME of its owner, --serial or --file");
  }
  NS_ASSIGN_OR_RETURN(const std::optional<rpc::Role> role, RoleIn(flags));
  NS_ASSIGN_OR_RETURN(AuthorityFolder authority, AuthorityFolder::Open(flags.folder));
  NS_ASSIGN_OR_RETURN(const std::vector<IndexEntry> revoked, Revoke(authority,
                                                                    {.name = flags.name,
                                                                     .role = role,
                                                                     .serial = flags.serial,
                                                                     .file = flags.file,
                                                                     .reason = flags.reason},
                                                                    clock.WallNow()));
  for (const IndexEntry& entry : revoked) {
    std::printf("revoked %s %s, serial %s\n", std::string(rpc::RoleName(entry.role)).c_str(),
                entry.name.c_str(), entry.serial.c_str());
  }
  std::printf("every program must be given the new list %s/%s:\n", flags.folder.c_str(),
              kRevocationListFile);
  NS_ASSIGN_OR_RETURN(const Published published, Publish(authority, clock.WallNow()));
  return PrintPublished(published);
}

absl::Status Publish(const CertsFlags& flags, const base::Clock& clock) {
  NS_ASSIGN_OR_RETURN(AuthorityFolder authority, AuthorityFolder::Open(flags.folder));
  NS_RETURN_IF_ERROR(authority.WriteLists(clock.WallNow()).status());
  NS_ASSIGN_OR_RETURN(const Published published, Publish(authority, clock.WallNow()));
  std::printf("signed %s/%s, number %llu\n", flags.folder.c_str(), kRevocationListFile,
              static_cast<unsigned long long>(authority.index().list_number));
  return PrintPublished(published);
}

absl::Status Rotate(const CertsFlags& flags, const base::Clock& clock) {
  if (flags.begin == flags.finish) {
    return absl::InvalidArgumentError("give --begin or --finish");
  }
  NS_ASSIGN_OR_RETURN(AuthorityFolder authority, AuthorityFolder::Open(flags.folder));
  const absl::Time now = clock.WallNow();
  if (flags.begin) {
    NS_RETURN_IF_ERROR(authority.BeginRotation(now, absl::Hours(24) * flags.authority_days));
    std::printf(
        "made a new authority; the old one is trusted beside it until --finish. Now:\n"
        "1. every program and every person needs the new %s/ca.crt and ca.crl first:\n",
        flags.folder.c_str());
  } else {
    NS_RETURN_IF_ERROR(FinishRotation(authority, flags.force, now));
    std::printf(
        "the old authority is gone and its key deleted; bring %s/ca.crt and ca.crl to "
        "every program and person, from then on the old certificates are refused:\n",
        flags.folder.c_str());
  }
  NS_ASSIGN_OR_RETURN(const Published published, Publish(authority, now));
  const absl::Status everywhere = PrintPublished(published);
  if (flags.begin) {
    std::printf(
        "2. a minute after the last copy: netsentinelctl certs renew --all --dir %s\n"
        "3. when `certs list` shows nothing of the old authority: netsentinelctl certs "
        "rotate-ca --finish --dir %s\n",
        ShellWord(flags.folder).c_str(), ShellWord(flags.folder).c_str());
  }
  return everywhere;
}

// A subcommand with --dir, which runs `run`.
CLI::App* Add(CLI::App& certs, CommandContext& context, const char* name, const char* about,
              const std::shared_ptr<CertsFlags>& flags,
              const std::function<absl::Status(const CertsFlags&, const base::Clock&)>& run) {
  CLI::App* command = certs.add_subcommand(name, about);
  command->add_option("--dir", flags->folder, "the authority's folder")->capture_default_str();
  command->callback([flags, run, &context] { context.result = run(*flags, context.clock); });
  return command;
}

void AddDays(CLI::App& command, int& days, const char* about) {
  command.add_option("--days", days, about)->check(CLI::Range(1, kMaxDays))->capture_default_str();
}

void AddIssue(CLI::App& certs, CommandContext& context) {
  const auto flags = std::make_shared<CertsFlags>();
  CLI::App* issue = Add(certs, context, "issue", "issue a certificate and its key", flags, Issue);
  issue->add_option("--role", flags->role, kRoles)->required();
  issue->add_option("--name", flags->name, "whom it names, such as lahore-hq")->required();
  issue->add_option("--dns", flags->dns_names, "a host name that it serves under (repeatable)");
  issue->add_option("--ip", flags->ip_addresses, "an address that it serves on (repeatable)");
  AddDays(*issue, flags->days, "how long it is valid");
  issue->add_option("--out", flags->out, "the folder for its files; default: a folder of its name");
  issue->add_flag("--overwrite", flags->overwrite, "replace certificate and key that are there");
}

void AddRenew(CLI::App& certs, CommandContext& context) {
  const auto flags = std::make_shared<CertsFlags>();
  CLI::App* renew = Add(certs, context, "renew",
                        "renew certificates in place; programs need no restart", flags, Renew);
  renew->add_option("name", flags->name, "whom the certificate names");
  renew->add_option("--role", flags->role, "where one name has several: which");
  renew->add_flag("--due", flags->due, "those that end within --within days");
  renew->add_option("--within", flags->due_days, "days")
      ->check(CLI::Range(1, kMaxDays))
      ->capture_default_str();
  renew->add_flag("--all", flags->all, "every one");
  renew
      ->add_option("--days", flags->renew_days,
                   "how long it is valid from now; default: as long as the old one was")
      ->check(CLI::Range(1, kMaxDays));
  renew->add_flag("--new-key", flags->new_key, "a new key too; else only the certificate changes");
  renew->add_option("--out", flags->out,
                    "where to write it when the old one is on another host; copy it over that one");
  renew->add_flag("--overwrite", flags->overwrite, "replace another certificate in its place");
}

void AddRevoke(CLI::App& certs, CommandContext& context) {
  const auto flags = std::make_shared<CertsFlags>();
  CLI::App* revoke =
      Add(certs, context, "revoke",
          "refuse certificates from now on: a lost laptop, someone who left", flags, Revoke);
  revoke->add_option("name", flags->name, "whose: every certificate of that name");
  revoke->add_option("--role", flags->role, "where one name has several: which");
  revoke->add_option("--serial", flags->serial, "one, by its serial number");
  revoke->add_option("--file", flags->file, "one, by its file");
  revoke
      ->add_option("--reason", flags->reason,
                   "keyCompromise, affiliationChanged, superseded, cessationOfOperation, "
                   "privilegeWithdrawn or unspecified")
      ->capture_default_str();
}

}  // namespace

void AddCertsCommand(CLI::App& app, CommandContext& context) {
  CLI::App* certs = app.add_subcommand("certs", "the certificate authority and its certificates");
  certs->require_subcommand(1);
  const auto init_flags = std::make_shared<CertsFlags>();
  CLI::App* init = Add(*certs, context, "init", "make a new authority", init_flags, Init);
  AddDays(*init, init_flags->authority_days, "how long it is valid");
  AddIssue(*certs, context);
  const auto list_flags = std::make_shared<CertsFlags>();
  CLI::App* list = Add(*certs, context, "list",
                       "issued certificates: until when, and where each is", list_flags, List);
  list->add_option("name", list_flags->name, "only those of this name");
  list->add_flag("--json", list_flags->json, "print JSON instead of a table");
  list->add_flag("--wide", list_flags->wide,
                 "every column in full, however narrow the terminal (as into a pipe)");
  list->add_flag("--all", list_flags->all, "also those whose files have been replaced");
  AddRenew(*certs, context);
  AddRevoke(*certs, context);
  const auto publish_flags = std::make_shared<CertsFlags>();
  Add(*certs, context, "publish",
      "sign the revocation list anew; copy ca.crt and ca.crl to where they are used", publish_flags,
      [](const CertsFlags& flags, const base::Clock& clock) { return Publish(flags, clock); });
  const auto rotate_flags = std::make_shared<CertsFlags>();
  CLI::App* rotate = Add(*certs, context, "rotate-ca", "replace the authority without downtime",
                         rotate_flags, Rotate);
  rotate->add_flag("--begin", rotate_flags->begin, "make the new one and trust both");
  rotate->add_flag("--finish", rotate_flags->finish, "trust the new one only");
  rotate->add_flag("--force", rotate_flags->force,
                   "with --finish: although certificates of the old one are in use");
  AddDays(*rotate, rotate_flags->authority_days, "with --begin: how long the new one is valid");
}

}  // namespace netsentinel::ctl
