#include "common/rpc/tls_files.h"

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace netsentinel::rpc {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

TEST(TlsFilesTest, GoodFilesPassAndSayWhomTheyName) {
  const test::TestCertificates certificates;
  const auto facts = CheckTlsFiles(certificates.Issue(Role::kCollector, "lahore-hq"), absl::Now());
  ASSERT_THAT(facts, IsOk());
  EXPECT_EQ(facts->uri, "spiffe://netsentinel/collector/lahore-hq");
  EXPECT_GT(facts->not_after, absl::Now() + absl::Hours(23));
}

TEST(TlsFilesTest, AnExpiredCertificateIsNamedWithItsLastDay) {
  const test::TestCertificates certificates;
  EXPECT_THAT(CheckTlsFiles(certificates.IssueExpired(Role::kCollector, "old"), absl::Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("old.crt expired on"), HasSubstr("certs renew"))));
}

TEST(TlsFilesTest, ACertificateOfTheFutureBlamesTheClock) {
  const test::TestCertificates certificates;
  EXPECT_THAT(
      CheckTlsFiles(certificates.Issue(Role::kCollector, "new"), absl::Now() - absl::Hours(1)),
      StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("check this host's clock")));
}

TEST(TlsFilesTest, ACertificateOfAnotherAuthorityIsRefused) {
  const test::TestCertificates ours;
  const test::TestCertificates theirs;
  config::TlsFiles files = ours.Issue(Role::kCollector, "a");
  files.ca = theirs.Issue(Role::kCollector, "a").ca;
  EXPECT_THAT(CheckTlsFiles(files, absl::Now()), StatusIs(absl::StatusCode::kFailedPrecondition,
                                                          HasSubstr("does not verify against")));
}

TEST(TlsFilesTest, AKeyOfAnotherCertificateIsRefused) {
  const test::TestCertificates certificates;
  config::TlsFiles files = certificates.Issue(Role::kCollector, "a");
  files.key = certificates.Issue(Role::kCollector, "b").key;
  EXPECT_THAT(CheckTlsFiles(files, absl::Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("does not belong to")));
}

TEST(TlsFilesTest, AKeyThatOthersCanReadIsRefusedWithTheChmod) {
  const test::TestCertificates certificates;
  const config::TlsFiles files = certificates.Issue(Role::kCollector, "a");
  std::filesystem::permissions(files.key, std::filesystem::perms(0640));
  EXPECT_THAT(CheckTlsFiles(files, absl::Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("chmod 0600")));
}

TEST(TlsFilesTest, FilesThatAreNoPemAndMissingFilesAreNamed) {
  const test::TestCertificates certificates;
  const test::TempFolder folder;
  const std::string junk = folder.path() + "/junk";
  ASSERT_THAT(io::WriteFileDurably(junk, "hello", 0600), IsOk());
  const config::TlsFiles good = certificates.Issue(Role::kCollector, "a");
  EXPECT_THAT(CheckTlsFiles({junk, good.cert, good.key}, absl::Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no PEM certificate")));
  EXPECT_THAT(CheckTlsFiles({good.ca, good.cert, junk}, absl::Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no PEM private key")));
  EXPECT_THAT(CheckTlsFiles({good.ca, "/nowhere.crt", good.key}, absl::Now()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere.crt")));
}

TEST(TlsFilesTest, AnInsecureConnectionHasNoFilesToCheck) {
  EXPECT_THAT(CheckSecurityAs({.insecure = true}, Role::kNotifier, "tls", absl::Now()), IsOk());
  EXPECT_THAT(CheckSecurityAs({.insecure = false, .tls = {"/a", "/b", "/c"}}, Role::kNotifier,
                              "tls", absl::Now()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/a")));
}

TEST(TlsFilesTest, ACertificateForAnotherRoleIsNamedWithItsKeyAndHowToGetTheRightOne) {
  const test::TestCertificates certificates;
  const config::Security security{.tls = certificates.Issue(Role::kCollector, "a")};
  EXPECT_THAT(
      CheckSecurityAs(security, Role::kNotifier, "aggregator.tls", absl::Now()),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("aggregator.tls.cert "), HasSubstr("is for the role collector"),
                     HasSubstr("certs issue --role notifier"))));
  const auto right = CheckSecurityAs(security, Role::kCollector, "tls", absl::Now());
  ASSERT_THAT(right, IsOk());
  EXPECT_EQ(*right, (PeerIdentity{Role::kCollector, "a"}));
}

TEST(TlsFilesTest, AnAuthoritysFileMustHoldACertificate) {
  const test::TestCertificates certificates;
  const config::TlsFiles files = certificates.Issue(Role::kCollector, "a");
  EXPECT_THAT(CheckAuthorityFile(files.ca), IsOk());
  EXPECT_THAT(CheckAuthorityFile(files.key),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("no PEM certificate")));
  EXPECT_THAT(CheckAuthorityFile("/nowhere.crt"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nowhere.crt")));
}

}  // namespace
}  // namespace netsentinel::rpc
