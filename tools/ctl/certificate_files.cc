#include "tools/ctl/certificate_files.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/io/files.h"

namespace netsentinel::ctl {
namespace {

// Clocks of other hosts may be behind.
constexpr absl::Duration kBackdated = absl::Minutes(5);

absl::StatusOr<CertificatePair> LoadAuthority(const std::string& folder) {
  const std::string certificate = absl::StrCat(folder, "/", kAuthorityCertificateFile);
  if (!io::Exists(certificate)) {
    return absl::NotFoundError(absl::StrCat(folder,
                                            " holds no authority; make one with "
                                            "`netsentinelctl certs init --dir ",
                                            folder, "`"));
  }
  CertificatePair authority;
  NS_ASSIGN_OR_RETURN(authority.certificate, io::ReadFile(certificate));
  NS_ASSIGN_OR_RETURN(authority.key,
                      io::ReadSecretFile(absl::StrCat(folder, "/", kAuthorityKeyFile)));
  return authority;
}

}  // namespace

absl::Status InitAuthority(const std::string& folder, absl::Time now, absl::Duration valid) {
  const std::string certificate = absl::StrCat(folder, "/", kAuthorityCertificateFile);
  const std::string key = absl::StrCat(folder, "/", kAuthorityKeyFile);
  for (const std::string& path : {certificate, key}) {
    if (!io::Exists(path)) continue;
    return absl::AlreadyExistsError(absl::StrCat(
        path,
        " exists: a new authority would make every certificate of the old one worthless; "
        "choose another --dir, or move the old files away first"));
  }
  NS_ASSIGN_OR_RETURN(
      const CertificatePair authority,
      MakeAuthority("NetSentinel private authority", now - kBackdated, now + valid));
  NS_RETURN_IF_ERROR(io::MakeFolder(folder, 0700));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(key, authority.key.reveal(), 0600));
  return io::WriteFileDurably(certificate, authority.certificate, 0644);
}

std::string NamesAdvice(const CertificateRequest& request) {
  const bool serves =
      request.role == rpc::Role::kAggregator || request.role == rpc::Role::kNotifier;
  if (!serves || !request.dns_names.empty() || !request.ip_addresses.empty()) return "";
  return absl::StrCat("this certificate names no host, so whoever calls the ",
                      rpc::RoleName(request.role),
                      " by a host name or address will refuse it: issue it with --dns and --ip for "
                      "every name and address that it serves under");
}

absl::StatusOr<config::TlsFiles> IssueInto(const std::string& folder, const std::string& out,
                                           CertificateRequest request, absl::Time now,
                                           absl::Duration valid) {
  if (request.name == "ca") {
    return absl::InvalidArgumentError("\"ca\" is the authority's own name; choose another --name");
  }
  NS_ASSIGN_OR_RETURN(const CertificatePair authority, LoadAuthority(folder));
  request.not_before = now - kBackdated;
  request.not_after = now + valid;
  NS_ASSIGN_OR_RETURN(const CertificatePair issued, IssueCertificate(authority, request));
  const config::TlsFiles files = {absl::StrCat(out, "/", kAuthorityCertificateFile),
                                  absl::StrCat(out, "/", request.name, ".crt"),
                                  absl::StrCat(out, "/", request.name, ".key")};
  NS_RETURN_IF_ERROR(io::MakeFolder(out, 0755));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(files.key, issued.key.reveal(), 0600));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(files.cert, issued.certificate, 0644));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(files.ca, authority.certificate, 0644));
  return files;
}

}  // namespace netsentinel::ctl
