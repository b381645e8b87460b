#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/config/shared_sections.h"
#include "common/rpc/peer_identity.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::test {

// An authority of its own in a temporary folder, and certificates of it for 127.0.0.1, ::1 and
// localhost, valid around the real present.
class TestCertificates {
 public:
  TestCertificates();

  // Issues a certificate; a second one of the same name replaces the first one's files.
  config::TlsFiles Issue(rpc::Role role, absl::string_view name) const;
  // One that ended an hour ago.
  config::TlsFiles IssueExpired(rpc::Role role, absl::string_view name) const;
  // Revokes every certificate of that name, in the list of everything that was issued here.
  void Revoke(rpc::Role role, absl::string_view name) const;
  // As Issue, ready for a server or a channel.
  config::Security Secure(rpc::Role role, absl::string_view name) const {
    return {false, Issue(role, name)};
  }
  // The authority's own folder.
  const std::string& folder() const { return folder_.path(); }

 private:
  config::TlsFiles IssueAt(rpc::Role role, absl::string_view name, absl::Time now,
                           absl::Duration valid) const;
  TempFolder folder_;
};

}  // namespace netsentinel::test
