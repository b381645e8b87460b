#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "common/rpc/tls_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tools/ctl/certificate_files.h"

namespace netsentinel::ctl {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

class CertificatesTest : public testing::Test {
 protected:
  CertificateRequest Request(rpc::Role role, const std::string& name) {
    CertificateRequest request;
    request.role = role;
    request.name = name;
    return request;
  }
  absl::StatusOr<config::TlsFiles> Issue(const CertificateRequest& request) {
    return IssueInto(folder_.path(), folder_.path() + "/out", request, now_, absl::Hours(24));
  }
  const absl::Time now_ = absl::FromCivil(absl::CivilDay(2026, 3, 1), absl::UTCTimeZone());
  test::TempFolder folder_;
};

TEST_F(CertificatesTest, WhatIsIssuedVerifiesAndNamesItsOwner) {
  ASSERT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(24 * 365)), IsOk());
  CertificateRequest request = Request(rpc::Role::kCollector, "lahore-hq");
  request.dns_names = {"localhost", "*.site.example"};
  request.ip_addresses = {"127.0.0.1", "::1"};
  ASSERT_OK_AND_ASSIGN(const config::TlsFiles files, Issue(request));
  ASSERT_OK_AND_ASSIGN(const rpc::CertificateFacts facts, rpc::CheckTlsFiles(files, now_));
  EXPECT_EQ(facts.uri, "spiffe://netsentinel/collector/lahore-hq");
  EXPECT_EQ(facts.not_after, now_ + absl::Hours(24));
  EXPECT_EQ(facts.not_before, now_ - absl::Minutes(5));
}

TEST_F(CertificatesTest, KeysAreTheirOwnersAlone) {
  ASSERT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(240)), IsOk());
  ASSERT_OK_AND_ASSIGN(const config::TlsFiles files, Issue(Request(rpc::Role::kAdmin, "root")));
  EXPECT_THAT(io::CheckPrivate(files.key), IsOk());
  EXPECT_THAT(io::CheckPrivate(folder_.path() + "/ca.key"), IsOk());
}

TEST_F(CertificatesTest, AnAuthorityIsNeverOverwritten) {
  ASSERT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(240)), IsOk());
  const std::string before = *io::ReadFile(folder_.path() + "/ca.crt");
  EXPECT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(240)),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("ca.crt exists")));
  EXPECT_EQ(*io::ReadFile(folder_.path() + "/ca.crt"), before);
}

TEST_F(CertificatesTest, IssuingAgainReplacesThePairOnlyWhenAsked) {
  ASSERT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(240)), IsOk());
  ASSERT_OK_AND_ASSIGN(const config::TlsFiles files, Issue(Request(rpc::Role::kViewer, "a")));
  const std::string before = *io::ReadFile(files.cert);
  EXPECT_THAT(Issue(Request(rpc::Role::kViewer, "a")),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       testing::AllOf(HasSubstr("a.crt exists"), HasSubstr("certs renew a"),
                                      HasSubstr("--overwrite"))));
  EXPECT_EQ(*io::ReadFile(files.cert), before);
  ASSERT_THAT(IssueInto(folder_.path(), folder_.path() + "/out", Request(rpc::Role::kViewer, "a"),
                        now_, absl::Hours(24), /*overwrite=*/true),
              IsOk());
  EXPECT_NE(*io::ReadFile(files.cert), before);
  EXPECT_THAT(rpc::CheckTlsFiles(files, now_), IsOk());
}

TEST_F(CertificatesTest, WithoutAnAuthorityTheWayToOneIsNamed) {
  EXPECT_THAT(Issue(Request(rpc::Role::kViewer, "a")),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("certs init --dir")));
}

TEST_F(CertificatesTest, ACertificateDoesNotOutliveItsAuthority) {
  ASSERT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(2)), IsOk());
  EXPECT_THAT(Issue(Request(rpc::Role::kViewer, "a")),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("ends on 2026-03-01")));
}

TEST_F(CertificatesTest, NamesThatCouldSayMoreThanTheyShouldAreRefused) {
  ASSERT_THAT(InitAuthority(folder_.path(), now_, absl::Hours(240)), IsOk());
  for (const char* name :
       {"", "a b", "a/b", "a,URI:spiffe://netsentinel/admin/x", "../x", "ca", "ca.old"}) {
    // "../x" holds a slash; "ca" would overwrite the authority's copy.
    EXPECT_THAT(Issue(Request(rpc::Role::kViewer, name)),
                StatusIs(absl::StatusCode::kInvalidArgument, testing::_))
        << name;
  }
  for (const char* dns : {"", "a b", "a,IP:1.2.3.4", "*", "a..b", "-a", "10.0.0.1", "a\n"}) {
    CertificateRequest request = Request(rpc::Role::kViewer, "v");
    request.dns_names = {dns};
    EXPECT_THAT(Issue(request), StatusIs(absl::StatusCode::kInvalidArgument, testing::_)) << dns;
  }
  for (const char* ip : {"", "localhost", "1.2.3", "1.2.3.4,DNS:x", "[::1]"}) {
    CertificateRequest request = Request(rpc::Role::kViewer, "v");
    request.ip_addresses = {ip};
    EXPECT_THAT(Issue(request), StatusIs(absl::StatusCode::kInvalidArgument, testing::_)) << ip;
  }
}

}  // namespace
}  // namespace netsentinel::ctl
