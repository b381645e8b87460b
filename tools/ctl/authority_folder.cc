#include "tools/ctl/authority_folder.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "tools/ctl/openssl_revocation.h"

namespace netsentinel::ctl {
namespace {

constexpr char kNextCertificateFile[] = "ca.next.crt";
constexpr char kNextKeyFile[] = "ca.next.key";
constexpr char kIssuedFolder[] = "issued";
constexpr char kPemEnd[] = "-----END CERTIFICATE-----\n";

absl::StatusOr<io::FileDescriptor> LockFolder(const std::string& folder) {
  io::FileDescriptor lock(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!lock.valid()) {
    return absl::UnavailableError(
        absl::StrCat("cannot open the folder ", folder, ": ", std::strerror(errno)));
  }
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError(absl::StrCat("another netsentinelctl is working in ", folder,
                                               "; try again when it has ended"));
  }
  return lock;
}

// The first certificate of a bundle, with its newline.
std::string FirstOf(const std::string& bundle) {
  const std::size_t end = bundle.find(kPemEnd);
  return end == std::string::npos ? bundle : bundle.substr(0, end + sizeof(kPemEnd) - 1);
}

absl::Status Remove(const std::string& path) {
  if (::unlink(path.c_str()) == 0 || errno == ENOENT) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("cannot delete ", path, ": ", std::strerror(errno)));
}

std::string AuthorityName(absl::Time now) {
  return absl::StrCat("NetSentinel private authority ",
                      absl::FormatTime("%Y-%m-%d %H:%M:%S", now, absl::UTCTimeZone()));
}

}  // namespace

absl::StatusOr<AuthorityFolder> AuthorityFolder::Open(const std::string& folder) {
  if (!io::Exists(absl::StrCat(folder, "/", kAuthorityCertificateFile))) {
    return absl::NotFoundError(absl::StrCat(folder,
                                            " holds no authority; make one with "
                                            "`netsentinelctl certs init --dir ",
                                            folder, "`"));
  }
  NS_ASSIGN_OR_RETURN(io::FileDescriptor lock, LockFolder(folder));
  AuthorityFolder opened(folder, std::move(lock));
  NS_RETURN_IF_ERROR(opened.Load());
  return opened;
}

absl::StatusOr<Signer> AuthorityFolder::LoadSigner(const char* certificate_file,
                                                   const char* key_file) const {
  Signer signer;
  NS_ASSIGN_OR_RETURN(const std::string text, io::ReadFile(At(certificate_file)));
  signer.pair.certificate = FirstOf(text);
  NS_ASSIGN_OR_RETURN(signer.pair.key, io::ReadSecretFile(At(key_file)));
  const absl::StatusOr<std::string> serial = SerialOf(signer.pair.certificate);
  if (!serial.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat(At(certificate_file), ": ", serial.status().message()));
  }
  signer.serial = *serial;
  return signer;
}

absl::Status AuthorityFolder::Load() {
  if (io::Exists(At(kNextKeyFile)) && io::Exists(At(kNextCertificateFile))) {
    NS_RETURN_IF_ERROR(InstallNext());
  }
  NS_ASSIGN_OR_RETURN(bundle_, io::ReadFile(At(kAuthorityCertificateFile)));
  NS_ASSIGN_OR_RETURN(signer_, LoadSigner(kAuthorityCertificateFile, kAuthorityKeyFile));
  if (!IsPair(signer_.pair)) {
    return absl::FailedPreconditionError(
        absl::StrCat(At(kAuthorityKeyFile), " is not the key of ", At(kAuthorityCertificateFile),
                     "; bring both back from one backup of the folder"));
  }
  NS_RETURN_IF_ERROR(LoadOldSigner());
  return LoadIndex();
}

absl::Status AuthorityFolder::LoadOldSigner() {
  if (!io::Exists(At(kOldAuthorityCertificateFile))) return absl::OkStatus();
  if (io::Exists(At(kOldAuthorityKeyFile))) {
    NS_ASSIGN_OR_RETURN(old_, LoadSigner(kOldAuthorityCertificateFile, kOldAuthorityKeyFile));
    return absl::OkStatus();
  }
  // The key goes first when a rotation ends.
  NS_RETURN_IF_ERROR(WriteBundle());
  NS_RETURN_IF_ERROR(Remove(At(kRevocationListFile)));
  return Remove(At(kOldAuthorityCertificateFile));
}

absl::Status AuthorityFolder::LoadIndex() {
  const bool has_list = io::Exists(At(kRevocationListFile));
  if (!io::Exists(At(kIndexFile))) {
    if (!has_list && !io::Exists(At(kIssuedFolder))) return absl::OkStatus();
    return absl::DataLossError(
        absl::StrCat(At(kIndexFile),
                     " is missing, but certificates were issued from here: without it a new "
                     "revocation list would revoke nobody. Bring it back from the folder's backup; "
                     "without a backup make a new authority in another --dir and issue every "
                     "certificate anew"));
  }
  NS_ASSIGN_OR_RETURN(const std::string text, io::ReadFile(At(kIndexFile)));
  absl::StatusOr<CertificateIndex> index = ParseIndex(text);
  if (!index.ok()) {
    return absl::Status(index.status().code(),
                        absl::StrCat(At(kIndexFile), ": ", index.status().message()));
  }
  index_ = *std::move(index);
  if (!has_list) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(const std::string lists, io::ReadFile(At(kRevocationListFile)));
  const absl::StatusOr<std::uint64_t> number = ListNumberOf(lists);
  // The index is written before the list that it tells of.
  if (!number.ok() || *number <= index_.list_number) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      At(kIndexFile), " is older than ", At(kRevocationListFile), " (list ", index_.list_number,
      " and list ", *number,
      "): a list made from it would forget what was revoked since. Bring "
      "both back from the newest backup; if this index is the newest there is, delete ",
      kRevocationListFile,
      ", revoke again who must not come in, and run `netsentinelctl certs "
      "publish`"));
}

std::vector<const Signer*> AuthorityFolder::Signers() const {
  std::vector<const Signer*> signers = {&signer_};
  if (old_.has_value()) signers.push_back(&*old_);
  return signers;
}

bool AuthorityFolder::IsOurs(const std::string& certificate) const {
  const absl::StatusOr<std::string> serial = SerialOf(certificate);
  if (!serial.ok()) return false;
  for (const Signer* signer : Signers()) {
    if (signer->serial == *serial) return true;
  }
  return false;
}

absl::StatusOr<std::string> AuthorityFolder::Issued(const IndexEntry& entry) const {
  return io::ReadFile(absl::StrCat(At(kIssuedFolder), "/", entry.serial, ".crt"));
}

absl::Status AuthorityFolder::SaveIndex(CertificateIndex index) {
  NS_RETURN_IF_ERROR(io::WriteFileDurably(At(kIndexFile), FormatIndex(index), 0600));
  index_ = std::move(index);
  return absl::OkStatus();
}

absl::StatusOr<IndexEntry> AuthorityFolder::Record(const std::string& certificate,
                                                   const std::string& path) {
  for (const char c : path) {
    if (static_cast<unsigned char>(c) >= 0x20) continue;
    return absl::InvalidArgumentError("the path of a certificate must hold no control characters");
  }
  NS_ASSIGN_OR_RETURN(const CertificateRequest facts, RequestOf(certificate));
  IndexEntry entry;
  NS_ASSIGN_OR_RETURN(entry.serial, SerialOf(certificate));
  entry.role = facts.role;
  entry.name = facts.name;
  entry.not_before = facts.not_before;
  entry.not_after = facts.not_after;
  entry.issuer = signer_.serial;
  std::error_code error;
  entry.path = std::filesystem::absolute(path, error).lexically_normal().string();
  NS_RETURN_IF_ERROR(io::MakeFolder(At(kIssuedFolder), 0700));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(
      absl::StrCat(At(kIssuedFolder), "/", entry.serial, ".crt"), certificate, 0644));
  CertificateIndex index = index_;
  index.entries.push_back(entry);
  NS_RETURN_IF_ERROR(SaveIndex(std::move(index)));
  return entry;
}

absl::Status AuthorityFolder::MarkRevoked(const std::string& serial, absl::Time at,
                                          const std::string& reason) {
  NS_RETURN_IF_ERROR(CheckRevocationReason(reason));
  CertificateIndex index = index_;
  for (IndexEntry& entry : index.entries) {
    if (entry.serial != serial) continue;
    if (entry.revoked) return absl::OkStatus();
    entry.revoked = true;
    entry.revoked_at = absl::FromUnixSeconds(absl::ToUnixSeconds(at));
    entry.reason = reason;
    return SaveIndex(std::move(index));
  }
  return absl::NotFoundError(absl::StrCat("no certificate with the serial number ", serial,
                                          " was issued from ", path_,
                                          "; `netsentinelctl certs list` shows those that were"));
}

absl::StatusOr<std::string> AuthorityFolder::WriteLists(absl::Time now) {
  CertificateIndex index = index_;
  ++index.list_number;
  NS_RETURN_IF_ERROR(SaveIndex(std::move(index)));
  std::string lists;
  for (const Signer* signer : Signers()) {
    std::vector<RevokedSerial> revoked;
    for (const IndexEntry& entry : index_.entries) {
      if (!entry.revoked || entry.issuer != signer->serial) continue;
      revoked.push_back({entry.serial, entry.revoked_at, entry.reason});
    }
    NS_ASSIGN_OR_RETURN(const std::string list, MakeRevocationList(signer->pair, index_.list_number,
                                                                   now - kBackdated, revoked));
    lists += list;
  }
  NS_RETURN_IF_ERROR(io::WriteFileDurably(At(kRevocationListFile), lists, 0644));
  return lists;
}

absl::StatusOr<std::string> AuthorityFolder::Lists(absl::Time now) {
  if (!io::Exists(At(kRevocationListFile))) return WriteLists(now);
  return io::ReadFile(At(kRevocationListFile));
}

absl::Status AuthorityFolder::WriteBundle() {
  bundle_ = signer_.pair.certificate;
  if (old_.has_value()) bundle_ += old_->pair.certificate;
  return io::WriteFileDurably(At(kAuthorityCertificateFile), bundle_, 0644);
}

// In an order in which a crash at any point leaves files from which the rest can be made: the new
// pair, the copies of the old one, then the key and the certificates in their places.
absl::Status AuthorityFolder::InstallNext() {
  NS_ASSIGN_OR_RETURN(Signer next, LoadSigner(kNextCertificateFile, kNextKeyFile));
  if (io::Exists(At(kOldAuthorityCertificateFile))) {
    NS_ASSIGN_OR_RETURN(old_, LoadSigner(kOldAuthorityCertificateFile, kOldAuthorityKeyFile));
  } else {
    NS_ASSIGN_OR_RETURN(old_, LoadSigner(kAuthorityCertificateFile, kAuthorityKeyFile));
    NS_RETURN_IF_ERROR(
        io::WriteFileDurably(At(kOldAuthorityKeyFile), old_->pair.key.reveal(), 0600));
    NS_RETURN_IF_ERROR(
        io::WriteFileDurably(At(kOldAuthorityCertificateFile), old_->pair.certificate, 0644));
  }
  signer_ = std::move(next);
  NS_RETURN_IF_ERROR(io::WriteFileDurably(At(kAuthorityKeyFile), signer_.pair.key.reveal(), 0600));
  NS_RETURN_IF_ERROR(WriteBundle());
  // Made again, for both, by whoever needs it next.
  NS_RETURN_IF_ERROR(Remove(At(kRevocationListFile)));
  NS_RETURN_IF_ERROR(Remove(At(kNextCertificateFile)));
  return Remove(At(kNextKeyFile));
}

absl::Status AuthorityFolder::BeginRotation(absl::Time now, absl::Duration valid) {
  if (old_.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path_,
        ": the authority is being replaced already; renew what is left and end it with "
        "`netsentinelctl certs rotate-ca --finish`"));
  }
  NS_ASSIGN_OR_RETURN(const CertificatePair next,
                      MakeAuthority(AuthorityName(now), now - kBackdated, now + valid));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(At(kNextKeyFile), next.key.reveal(), 0600));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(At(kNextCertificateFile), next.certificate, 0644));
  NS_RETURN_IF_ERROR(InstallNext());
  return WriteLists(now).status();
}

absl::Status AuthorityFolder::FinishRotation() {
  if (!old_.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_,
                     ": no authority is being replaced; begin with "
                     "`netsentinelctl certs rotate-ca --begin`"));
  }
  old_.reset();
  NS_RETURN_IF_ERROR(Remove(At(kOldAuthorityKeyFile)));
  NS_RETURN_IF_ERROR(WriteBundle());
  return Remove(At(kOldAuthorityCertificateFile));
}

absl::Status InitAuthority(const std::string& folder, absl::Time now, absl::Duration valid) {
  const std::string certificate = absl::StrCat(folder, "/", kAuthorityCertificateFile);
  const std::string key = absl::StrCat(folder, "/", kAuthorityKeyFile);
  // What a certificate was ever issued with leaves more than a key.
  for (const char* file : {kAuthorityCertificateFile, kIndexFile, kRevocationListFile,
                           kIssuedFolder, kNextKeyFile, kOldAuthorityKeyFile}) {
    const std::string path = absl::StrCat(folder, "/", file);
    if (!io::Exists(path)) continue;
    if (path != certificate) {
      return absl::AlreadyExistsError(absl::StrCat(
          path, " exists, but ", certificate, " does not: an authority was here. Bring ",
          kAuthorityCertificateFile,
          " back from the folder's backup, or make another authority in another --dir"));
    }
    return absl::AlreadyExistsError(absl::StrCat(
        path,
        " exists: a new authority would make every certificate of the old one worthless; "
        "`netsentinelctl certs rotate-ca --begin` replaces one without an outage, and another "
        "--dir makes one beside it"));
  }
  NS_ASSIGN_OR_RETURN(const CertificatePair authority,
                      MakeAuthority(AuthorityName(now), now - kBackdated, now + valid));
  NS_RETURN_IF_ERROR(io::MakeFolder(folder, 0700));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(key, authority.key.reveal(), 0600));
  NS_RETURN_IF_ERROR(io::WriteFileDurably(certificate, authority.certificate, 0644));
  NS_ASSIGN_OR_RETURN(AuthorityFolder opened, AuthorityFolder::Open(folder));
  return opened.WriteLists(now).status();
}

}  // namespace netsentinel::ctl
