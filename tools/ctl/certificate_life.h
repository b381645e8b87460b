#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "tools/ctl/authority_folder.h"
#include "tools/ctl/certificate_files.h"

namespace netsentinel::ctl {

// How a certificate is renewed.
struct RenewWish {
  // Where to write it; empty: in place of the old one. It replaces the old one whichever it is: a
  // certificate lives where it was issued to, and what is written elsewhere is on its way there.
  std::string out = {};
  // A new key as well. Without it the key stays, and only the certificate is replaced, in one step.
  bool new_key = false;
  // Replaces another certificate that is in the way.
  bool overwrite = false;
  // As long as the old one when none is given.
  std::optional<absl::Duration> valid = std::nullopt;
};

// Issues the certificate again: same role, name and hosts, a new time, from the authority that
// issues now. What was written: its entry has the path where it lives. kFailedPrecondition when it
// is revoked or when the key in place is not its own, kNotFound when it is not on this host and
// `out` is empty, kAlreadyExists when another certificate is in its place.
absl::StatusOr<IndexEntry> Renew(AuthorityFolder& authority, const IndexEntry& entry,
                                 const RenewWish& wish, absl::Time now);

// The certificates in place that are not revoked: those of `name` (any when empty) and `role` (any
// without one), that end before `ends_before`. Of those that have ended at `now` only the ones
// whose files are on this host, unless `name` asks for them: the others were left behind.
std::vector<IndexEntry> Renewable(const AuthorityFolder& authority, const std::string& name,
                                  std::optional<rpc::Role> role, absl::Time ends_before,
                                  absl::Time now);

// Which certificates are revoked: all that a name ever got and that have not ended, or one by its
// serial number or by its file.
struct RevokeWish {
  std::string name = {};
  std::optional<rpc::Role> role = std::nullopt;
  std::string serial = {};
  std::string file = {};
  std::string reason = "unspecified";
};

// Revokes them and writes the lists; what was revoked. kNotFound when there are none,
// kInvalidArgument when the name stands for several roles and none is given.
absl::StatusOr<std::vector<IndexEntry>> Revoke(AuthorityFolder& authority, const RevokeWish& wish,
                                               absl::Time now);

// Where what programs trust was brought to.
struct Published {
  std::vector<std::string> folders;  // on this host, now as in the authority's folder
  std::vector<std::string> absent;   // certificates were issued into them; they are not here
  std::vector<std::string> foreign;  // hold the trust of another authority; not touched
  struct Failure {
    std::string folder;
    absl::Status status;
  };
  std::vector<Failure> failed;  // could not be read or written
};

// Writes ca.crt and ca.crl into every folder that certificates in use were issued into; one that
// cannot be written does not keep the others from theirs.
absl::StatusOr<Published> Publish(AuthorityFolder& authority, absl::Time now);

// Takes the old authority out and writes the lists. kFailedPrecondition, naming them, while
// certificates of it are in use, unless `force`.
absl::Status FinishRotation(AuthorityFolder& authority, bool force, absl::Time now);

}  // namespace netsentinel::ctl
