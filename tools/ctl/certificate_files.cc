#include "tools/ctl/certificate_files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "tools/ctl/openssl_revocation.h"

namespace netsentinel::ctl {
namespace {

constexpr char kNew[] = ".new";

absl::Status Move(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot rename ", from, " to ", to, ": ", std::strerror(errno)));
}

// Why a file must not be written over; OK when it may.
absl::Status CheckFree(const AuthorityFolder& authority, const config::TlsFiles& files,
                       const std::string& name) {
  for (const std::string& path : {files.cert, files.key}) {
    if (!io::Exists(path)) continue;
    return absl::AlreadyExistsError(
        absl::StrCat(path,
                     " exists: to make the certificate last longer use `netsentinelctl certs "
                     "renew ",
                     name, "`; to replace certificate and key give --overwrite"));
  }
  return CheckTrustIsOurs(authority, files.ca);
}

config::TlsFiles FilesIn(const std::string& folder, const std::string& name) {
  return {absl::StrCat(folder, "/", kAuthorityCertificateFile),
          absl::StrCat(folder, "/", name, ".crt"), absl::StrCat(folder, "/", name, ".key"),
          absl::StrCat(folder, "/", kRevocationListFile)};
}

}  // namespace

std::string NamesAdvice(const CertificateRequest& request) {
  const bool serves =
      request.role == rpc::Role::kAggregator || request.role == rpc::Role::kNotifier;
  if (!serves || !request.dns_names.empty() || !request.ip_addresses.empty()) return "";
  return absl::StrCat("this certificate names no host, so whoever calls the ",
                      rpc::RoleName(request.role),
                      " by a host name or address will refuse it: issue it with --dns and --ip for "
                      "every name and address that it serves under");
}

absl::Status CheckTrustIsOurs(const AuthorityFolder& authority, const std::string& path) {
  if (!io::Exists(path)) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(const std::string there, io::ReadFile(path));
  if (authority.IsOurs(there)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      path,
      " is the certificate of another authority; choose another --out, or replace it with "
      "--overwrite"));
}

absl::Status ReplacePair(const config::TlsFiles& files, const CertificatePair& pair) {
  const std::string key = files.key + kNew;
  const std::string certificate = files.cert + kNew;
  NS_RETURN_IF_ERROR(io::WriteFileDurably(key, pair.key.reveal(), 0600));
  struct stat old {};
  if (::stat(files.key.c_str(), &old) == 0 && ::chown(key.c_str(), old.st_uid, old.st_gid) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat(files.key,
                     " belongs to another user, who could not read a new one made here; "
                     "run this as root"));
  }
  NS_RETURN_IF_ERROR(io::WriteFileDurably(certificate, pair.certificate, 0644));
  NS_RETURN_IF_ERROR(Move(key, files.key));
  return Move(certificate, files.cert);
}

absl::Status FinishPair(const config::TlsFiles& files) {
  const std::string key = files.key + kNew;
  const std::string certificate = files.cert + kNew;
  std::error_code error;
  // The new certificate alone: its key is in place already.
  if (io::Exists(certificate) && !io::Exists(key)) return Move(certificate, files.cert);
  std::filesystem::remove(certificate, error);
  std::filesystem::remove(key, error);
  return absl::OkStatus();
}

absl::Status WriteTrust(AuthorityFolder& authority, const std::string& folder, absl::Time now) {
  NS_ASSIGN_OR_RETURN(const std::string lists, authority.Lists(now));
  // The lists first: those of an authority that is not trusted yet do no harm, while a new
  // authority without a list would be trusted without one.
  NS_RETURN_IF_ERROR(
      io::WriteFileDurably(absl::StrCat(folder, "/", kRevocationListFile), lists, 0644));
  return io::WriteFileDurably(absl::StrCat(folder, "/", kAuthorityCertificateFile),
                              authority.bundle(), 0644);
}

absl::StatusOr<config::TlsFiles> IssueInto(const std::string& folder, const std::string& out,
                                           CertificateRequest request, absl::Time now,
                                           absl::Duration valid, bool overwrite) {
  if (request.name == "ca" || absl::StartsWith(request.name, "ca.")) {
    return absl::InvalidArgumentError("\"ca\" is the authority's own name; choose another --name");
  }
  NS_ASSIGN_OR_RETURN(AuthorityFolder authority, AuthorityFolder::Open(folder));
  request.not_before = now - kBackdated;
  request.not_after = now + valid;
  NS_ASSIGN_OR_RETURN(const CertificatePair issued,
                      IssueCertificate(authority.signer().pair, request));
  const config::TlsFiles files = FilesIn(out, request.name);
  NS_RETURN_IF_ERROR(io::MakeFolder(out, 0755));
  NS_RETURN_IF_ERROR(FinishPair(files));
  if (!overwrite) NS_RETURN_IF_ERROR(CheckFree(authority, files, request.name));
  NS_RETURN_IF_ERROR(authority.Record(issued.certificate, files.cert).status());
  NS_RETURN_IF_ERROR(ReplacePair(files, issued));
  NS_RETURN_IF_ERROR(WriteTrust(authority, out, now));
  return files;
}

}  // namespace netsentinel::ctl
