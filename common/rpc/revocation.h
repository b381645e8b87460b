#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace netsentinel::rpc {

// The revocation lists (X.509 CRLs) of one file: one for each authority that is trusted, so two
// while an authority is being replaced. Immutable, thread-safe.
class RevocationLists {
 public:
  // From PEM texts. A list that none of the authorities has signed does not count: it belongs to an
  // authority that is not trusted (yet, or any more). kInvalidArgument when no list is left or when
  // there is no authority.
  static absl::StatusOr<RevocationLists> Parse(absl::string_view lists_pem,
                                               absl::string_view authorities_pem);

  // kPermissionDenied, naming the certificate, when one of a PEM chain is revoked. A list counts
  // for certificates of its own authority only. kInvalidArgument when the text holds no
  // certificate.
  absl::Status Check(absl::string_view chain_pem) const;

  std::size_t list_count() const;
  // Of all lists.
  std::size_t revoked_count() const;

 private:
  struct Lists;
  explicit RevocationLists(std::shared_ptr<const Lists> lists) : lists_(std::move(lists)) {}
  std::shared_ptr<const Lists> lists_;
};

// Reads the lists of `crl_path` that the authorities of `ca_path` have signed. kFailedPrecondition,
// or as io::ReadFile, names the file and the fix.
absl::StatusOr<RevocationLists> LoadRevocationLists(const std::string& crl_path,
                                                    const std::string& ca_path);

// The revocation lists of a file that may be replaced at any time. It is looked at when a
// certificate is checked, at most once every `refresh`; while it cannot be read the last lists that
// could be hold. Thread-safe.
class RevocationFile {
 public:
  // `clock` must outlive it.
  RevocationFile(std::string crl_path, std::string ca_path, absl::Duration refresh,
                 const base::Clock& clock);

  // As RevocationLists::Check, with the file named. kFailedPrecondition when no lists could be read
  // so far: nobody is let in on the strength of a file that is not there.
  absl::Status Check(absl::string_view chain_pem);

 private:
  const std::string crl_path_;
  const std::string ca_path_;
  const absl::Duration refresh_;
  const base::Clock& clock_;
  base::Mutex mutex_;
  absl::StatusOr<RevocationLists> lists_ ABSL_GUARDED_BY(mutex_);
  absl::Duration next_look_ ABSL_GUARDED_BY(mutex_) = absl::ZeroDuration();
};

}  // namespace netsentinel::rpc
