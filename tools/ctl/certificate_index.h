#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/rpc/peer_identity.h"

namespace netsentinel::ctl {

// One certificate that an authority has issued. Times are whole seconds.
struct IndexEntry {
  std::string serial;  // upper-case hexadecimal
  rpc::Role role = rpc::Role::kViewer;
  std::string name;
  absl::Time not_before;
  absl::Time not_after;
  std::string issuer;  // the serial number of the authority's certificate
  std::string path;    // where the certificate was written; its key beside it
  bool revoked = false;
  absl::Time revoked_at = absl::InfinitePast();
  std::string reason = {};  // as CheckRevocationReason

  bool operator==(const IndexEntry&) const = default;
};

// Everything that an authority has issued, oldest first, and the number of its newest revocation
// list. Nothing is ever taken out.
struct CertificateIndex {
  std::uint64_t list_number = 0;
  std::vector<IndexEntry> entries;
};

// A text file: a line that says what it is, a line with the list's number, and a line of fields
// between tabs for each entry. kDataLoss names the line that cannot be read, kFailedPrecondition a
// version that this program does not know. Pure.
std::string FormatIndex(const CertificateIndex& index);
absl::StatusOr<CertificateIndex> ParseIndex(absl::string_view text);

// Whole days until it ends, rounded up as "valid for 90 days" is; 0 when it has ended. Pure.
std::int64_t DaysLeft(const IndexEntry& entry, absl::Time now);

// The newest entry of each path: the others' files have been replaced. In the order of the index.
std::vector<IndexEntry> InPlace(const CertificateIndex& index);

}  // namespace netsentinel::ctl
