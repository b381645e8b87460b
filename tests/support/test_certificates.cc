#include "tests/support/test_certificates.h"

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "tools/ctl/certificate_files.h"
#include "tools/ctl/certificate_life.h"

namespace netsentinel::test {

TestCertificates::TestCertificates() {
  const absl::Status made =
      ctl::InitAuthority(folder_.path(), absl::Now() - absl::Hours(24), absl::Hours(24 * 30));
  NS_CHECK(made.ok(), made.message());
}

config::TlsFiles TestCertificates::Issue(rpc::Role role, absl::string_view name) const {
  return IssueAt(role, name, absl::Now(), absl::Hours(24));
}

config::TlsFiles TestCertificates::IssueExpired(rpc::Role role, absl::string_view name) const {
  return IssueAt(role, name, absl::Now() - absl::Hours(3), absl::Hours(2));
}

config::TlsFiles TestCertificates::IssueAt(rpc::Role role, absl::string_view name, absl::Time now,
                                           absl::Duration valid) const {
  ctl::CertificateRequest request;
  request.role = role;
  request.name = std::string(name);
  request.dns_names = {"localhost"};
  request.ip_addresses = {"127.0.0.1", "::1"};
  auto files = ctl::IssueInto(
      folder_.path(), absl::StrCat(folder_.path(), "/", rpc::RoleName(role)), request, now, valid,
      /*overwrite=*/true);
  NS_CHECK(files.ok(), files.status().message());
  return *std::move(files);
}

void TestCertificates::Revoke(rpc::Role role, absl::string_view name) const {
  auto authority = ctl::AuthorityFolder::Open(folder_.path());
  NS_CHECK(authority.ok(), authority.status().message());
  const auto revoked =
      ctl::Revoke(*authority, {.name = std::string(name), .role = role}, absl::Now());
  NS_CHECK(revoked.ok(), revoked.status().message());
  const auto published = ctl::Publish(*authority, absl::Now());
  NS_CHECK(published.ok(), published.status().message());
  NS_CHECK(published->failed.empty(), "a folder could not be written");
}

}  // namespace netsentinel::test
