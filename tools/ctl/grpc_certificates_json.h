#pragma once

#include <vector>

#include "absl/time/time.h"

#include "tools/ctl/authority_folder.h"
#include "tools/ctl/certificate_index.h"

namespace netsentinel::ctl {

// What `certs list` says of the entries, for scripts: one object with the list "certificates" and
// the flag "authority_being_replaced". Instants are UTC, as 2026-03-29T18:15:00Z.
void PrintCertificatesJson(const AuthorityFolder& authority, const std::vector<IndexEntry>& entries,
                           absl::Time now);

}  // namespace netsentinel::ctl
