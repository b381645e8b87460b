#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/io/file_descriptor.h"
#include "tools/ctl/certificate_index.h"
#include "tools/ctl/openssl_certificates.h"

namespace netsentinel::ctl {

// The files of an authority's folder. ca.crt is what programs are to trust: the authority's own
// certificate first and, while it is being replaced, the old one's behind it.
inline constexpr char kAuthorityCertificateFile[] = "ca.crt";
inline constexpr char kAuthorityKeyFile[] = "ca.key";
inline constexpr char kRevocationListFile[] = "ca.crl";
inline constexpr char kIndexFile[] = "index";
// Only while the authority is being replaced.
inline constexpr char kOldAuthorityCertificateFile[] = "ca.old.crt";
inline constexpr char kOldAuthorityKeyFile[] = "ca.old.key";

// Clocks of other hosts may be behind.
inline constexpr absl::Duration kBackdated = absl::Minutes(5);

// A certificate's pair, with its serial number.
struct Signer {
  CertificatePair pair;  // one certificate
  std::string serial;
};

// The folder of an authority, open for one command: no other has it meanwhile. One thread.
class AuthorityFolder {
 public:
  // kNotFound where there is no authority, kUnavailable while another command works in the folder,
  // kDataLoss or kFailedPrecondition when its files do not fit together: without its index, or with
  // an older one, the next list would revoke nobody.
  static absl::StatusOr<AuthorityFolder> Open(const std::string& folder);

  const std::string& path() const { return path_; }
  // What issues.
  const Signer& signer() const { return signer_; }
  // What issued before, while it is being replaced.
  const std::optional<Signer>& old_signer() const { return old_; }
  // What programs are to trust, PEM.
  const std::string& bundle() const { return bundle_; }
  const CertificateIndex& index() const { return index_; }

  // Whether a certificate (PEM) is one of the two authorities.
  bool IsOurs(const std::string& certificate) const;
  // The certificate of an entry, as it was issued.
  absl::StatusOr<std::string> Issued(const IndexEntry& entry) const;

  // Takes a certificate into the index, durable before anybody is given it.
  absl::StatusOr<IndexEntry> Record(const std::string& certificate, const std::string& path);
  // Marks an entry as revoked, for as long as its authority lives; the list is not written yet.
  absl::Status MarkRevoked(const std::string& serial, absl::Time at, const std::string& reason);
  // Signs and writes the revocation list of each authority under the next number; the PEM text.
  absl::StatusOr<std::string> WriteLists(absl::Time now);
  // The text that WriteLists has written last, writing it where there is none.
  absl::StatusOr<std::string> Lists(absl::Time now);

  // Puts another authority in the place of this one, which stays trusted as the old one. What a
  // crash interrupts is completed by the next Open.
  absl::Status BeginRotation(absl::Time now, absl::Duration valid);
  // Takes the old authority out; its key is deleted first. What a crash interrupts is completed by
  // the next Open.
  absl::Status FinishRotation();

 private:
  AuthorityFolder(std::string path, io::FileDescriptor lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string At(const std::string& file) const { return path_ + "/" + file; }
  absl::Status Load();
  absl::Status LoadOldSigner();
  absl::Status LoadIndex();
  absl::StatusOr<Signer> LoadSigner(const char* certificate_file, const char* key_file) const;
  absl::Status SaveIndex(CertificateIndex index);
  absl::Status WriteBundle();
  absl::Status InstallNext();
  std::vector<const Signer*> Signers() const;

  std::string path_;
  io::FileDescriptor lock_;
  Signer signer_;
  std::optional<Signer> old_;
  std::string bundle_;
  CertificateIndex index_;
};

// Makes `folder` (0700) with a new authority: ca.crt, ca.key (0600), an empty revocation list and
// an empty index. kAlreadyExists, and nothing is touched, when an authority is there: a new one
// makes every certificate worthless. A key alone, which a crash in the middle leaves, has issued
// nothing and is replaced.
absl::Status InitAuthority(const std::string& folder, absl::Time now, absl::Duration valid);

}  // namespace netsentinel::ctl
