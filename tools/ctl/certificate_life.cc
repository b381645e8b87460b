#include "tools/ctl/certificate_life.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "tools/ctl/certificate_files.h"
#include "tools/ctl/openssl_revocation.h"

namespace netsentinel::ctl {
namespace {

std::string Named(const IndexEntry& entry) {
  return absl::StrCat(rpc::RoleName(entry.role), " ", entry.name);
}

config::TlsFiles FilesOf(const std::string& certificate_path) {
  const std::string folder = io::FolderOf(certificate_path);
  return {absl::StrCat(folder, "/", kAuthorityCertificateFile), certificate_path,
          absl::StrCat(absl::StripSuffix(certificate_path, ".crt"), ".key"),
          absl::StrCat(folder, "/", kRevocationListFile)};
}

// The certificate is one that was issued to live at `path`: also one before the newest, whose
// successor was written elsewhere or never arrived.
bool WasIssuedTo(const AuthorityFolder& authority, const std::string& certificate,
                 const std::string& path) {
  const absl::StatusOr<std::string> serial = SerialOf(certificate);
  if (!serial.ok()) return false;
  const std::vector<IndexEntry>& entries = authority.index().entries;
  return std::any_of(entries.begin(), entries.end(), [&](const IndexEntry& entry) {
    return entry.serial == *serial && entry.path == path;
  });
}

// Whether what is at the path may be replaced by the renewed certificate.
absl::Status CheckPlace(const AuthorityFolder& authority, const IndexEntry& entry,
                        const RenewWish& wish, const config::TlsFiles& files) {
  if (!io::Exists(files.cert)) {
    if (!wish.out.empty()) {
      return wish.overwrite ? absl::OkStatus() : CheckTrustIsOurs(authority, files.ca);
    }
    return absl::NotFoundError(
        absl::StrCat(files.cert, " is not on this host: give --out FOLDER, and copy ", entry.name,
                     ".crt from there over the old one; its key stays where it is"));
  }
  if (wish.overwrite) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(const std::string there, io::ReadFile(files.cert));
  if (WasIssuedTo(authority, there, entry.path)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(
      files.cert, " is not the certificate ", entry.serial,
      " that was issued there: to replace it give --overwrite, or another place with --out"));
}

// The key beside the certificate, where it can be read, must go on to fit.
absl::Status CheckKey(const config::TlsFiles& files, const std::string& certificate) {
  if (!io::Exists(files.key)) return absl::OkStatus();
  const absl::StatusOr<base::Secret> key = io::ReadSecretFile(files.key);
  if (!key.ok() || IsPair({certificate, *key})) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the key ", files.key, " does not belong to the certificate ", files.cert,
      ", so a renewed one would not work with it: give --new-key for a new key and certificate"));
}

bool HasEnded(const IndexEntry& entry, absl::Time now) { return entry.not_after <= now; }

absl::StatusOr<std::vector<std::string>> SerialsOf(AuthorityFolder& authority,
                                                   const RevokeWish& wish, absl::Time now) {
  if (!wish.serial.empty()) return std::vector<std::string>{absl::AsciiStrToUpper(wish.serial)};
  if (!wish.file.empty()) {
    NS_ASSIGN_OR_RETURN(const std::string certificate, io::ReadFile(wish.file));
    const absl::StatusOr<std::string> serial = SerialOf(certificate);
    if (!serial.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(wish.file, ": ", serial.status().message()));
    }
    return std::vector<std::string>{*serial};
  }
  std::vector<std::string> serials;
  std::set<rpc::Role> roles;
  for (const IndexEntry& entry : authority.index().entries) {
    const bool meant = entry.name == wish.name && (!wish.role || entry.role == *wish.role);
    if (!meant || entry.revoked || HasEnded(entry, now)) continue;
    roles.insert(entry.role);
    serials.push_back(entry.serial);
  }
  if (serials.empty()) {
    return absl::NotFoundError(absl::StrCat(
        "no certificate of \"", base::DisplayName(wish.name), "\" that is good was issued from ",
        authority.path(),
        "; `netsentinelctl certs list --all` shows every one, --serial and --file name one"));
  }
  if (roles.size() > 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "\"", base::DisplayName(wish.name), "\" has certificates as ",
        absl::StrJoin(
            roles, " and ",
            [](std::string* out, rpc::Role role) { absl::StrAppend(out, rpc::RoleName(role)); }),
        ": say which with --role"));
  }
  return serials;
}

}  // namespace

absl::StatusOr<IndexEntry> Renew(AuthorityFolder& authority, const IndexEntry& entry,
                                 const RenewWish& wish, absl::Time now) {
  if (entry.revoked) {
    return absl::FailedPreconditionError(absl::StrCat(
        Named(entry), ": the certificate ", entry.serial,
        " is revoked; give the name a new one with `netsentinelctl certs issue --overwrite --role ",
        rpc::RoleName(entry.role), " --name ", entry.name, "`"));
  }
  NS_ASSIGN_OR_RETURN(const std::string old, authority.Issued(entry));
  NS_ASSIGN_OR_RETURN(CertificateRequest request, RequestOf(old));
  const absl::Duration old_span = request.not_after - request.not_before - kBackdated;
  request.not_before = now - kBackdated;
  request.not_after = now + wish.valid.value_or(old_span);
  const config::TlsFiles files =
      FilesOf(wish.out.empty() ? entry.path : absl::StrCat(wish.out, "/", entry.name, ".crt"));
  if (!wish.out.empty()) NS_RETURN_IF_ERROR(io::MakeFolder(wish.out, 0755));
  NS_RETURN_IF_ERROR(FinishPair(files));
  NS_RETURN_IF_ERROR(CheckPlace(authority, entry, wish, files));
  CertificatePair pair;
  if (wish.new_key) {
    NS_ASSIGN_OR_RETURN(pair, IssueCertificate(authority.signer().pair, request));
  } else {
    NS_RETURN_IF_ERROR(CheckKey(files, old));
    NS_ASSIGN_OR_RETURN(pair.certificate, IssueForSameKey(authority.signer().pair, request, old));
  }
  // A program must trust the authority before it is shown a certificate of it.
  NS_RETURN_IF_ERROR(WriteTrust(authority, io::FolderOf(files.cert), now));
  NS_ASSIGN_OR_RETURN(IndexEntry renewed, authority.Record(pair.certificate, entry.path));
  NS_RETURN_IF_ERROR(wish.new_key ? ReplacePair(files, pair)
                                  : io::WriteFileDurably(files.cert, pair.certificate, 0644));
  return renewed;
}

std::vector<IndexEntry> Renewable(const AuthorityFolder& authority, const std::string& name,
                                  std::optional<rpc::Role> role, absl::Time ends_before,
                                  absl::Time now) {
  std::vector<IndexEntry> found;
  for (IndexEntry& entry : InPlace(authority.index())) {
    if (entry.revoked || entry.not_after >= ends_before) continue;
    if (name.empty() && HasEnded(entry, now) && !io::Exists(entry.path)) continue;
    if (!name.empty() && entry.name != name) continue;
    if (role.has_value() && entry.role != *role) continue;
    found.push_back(std::move(entry));
  }
  return found;
}

absl::StatusOr<std::vector<IndexEntry>> Revoke(AuthorityFolder& authority, const RevokeWish& wish,
                                               absl::Time now) {
  NS_RETURN_IF_ERROR(CheckRevocationReason(wish.reason));
  NS_ASSIGN_OR_RETURN(const std::vector<std::string> serials, SerialsOf(authority, wish, now));
  for (const std::string& serial : serials) {
    NS_RETURN_IF_ERROR(authority.MarkRevoked(serial, now, wish.reason));
  }
  NS_RETURN_IF_ERROR(authority.WriteLists(now).status());
  std::vector<IndexEntry> revoked;
  for (const IndexEntry& entry : authority.index().entries) {
    if (std::find(serials.begin(), serials.end(), entry.serial) != serials.end()) {
      revoked.push_back(entry);
    }
  }
  return revoked;
}

absl::StatusOr<Published> Publish(AuthorityFolder& authority, absl::Time now) {
  // Each with whether a certificate of this authority lies there.
  std::map<std::string, bool> folders;
  for (const IndexEntry& entry : InPlace(authority.index())) {
    if (HasEnded(entry, now)) continue;
    const absl::StatusOr<std::string> there = io::ReadFile(entry.path);
    bool& known = folders[io::FolderOf(entry.path)];
    known = known || (there.ok() && WasIssuedTo(authority, *there, entry.path));
  }
  NS_RETURN_IF_ERROR(authority.Lists(now).status());
  Published published;
  for (const auto& [folder, known] : folders) {
    const std::string trust = absl::StrCat(folder, "/", kAuthorityCertificateFile);
    // Nothing is written where nothing of this authority is.
    if (!io::Exists(trust)) {
      published.absent.push_back(folder);
      continue;
    }
    const absl::StatusOr<std::string> trusted = io::ReadFile(trust);
    absl::Status written = trusted.status();
    if (trusted.ok() && !known && !authority.IsOurs(*trusted)) {
      published.foreign.push_back(folder);
      continue;
    }
    if (written.ok()) written = WriteTrust(authority, folder, now);
    if (written.ok()) {
      published.folders.push_back(folder);
    } else {
      published.failed.push_back({folder, written});
    }
  }
  return published;
}

absl::Status FinishRotation(AuthorityFolder& authority, bool force, absl::Time now) {
  std::vector<std::string> left;
  if (authority.old_signer().has_value()) {
    for (const IndexEntry& entry : InPlace(authority.index())) {
      if (entry.issuer != authority.old_signer()->serial) continue;
      if (!entry.revoked && !HasEnded(entry, now)) left.push_back(Named(entry));
    }
  }
  if (!left.empty() && !force) {
    return absl::FailedPreconditionError(absl::StrCat(
        "certificates of the old authority are still in use: ", absl::StrJoin(left, ", "),
        "; renew them with `netsentinelctl certs renew --all`, or give --force: they are refused "
        "everywhere from then on"));
  }
  NS_RETURN_IF_ERROR(authority.FinishRotation());
  return authority.WriteLists(now).status();
}

}  // namespace netsentinel::ctl
