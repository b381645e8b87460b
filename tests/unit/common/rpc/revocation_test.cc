#include "common/rpc/revocation.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "common/rpc/tls_files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace netsentinel::rpc {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

std::string Read(const std::string& path) { return *io::ReadFile(path); }

TEST(RevocationListsTest, OnlyWhatIsOnTheListIsRefusedAndNamed) {
  const test::TestCertificates certificates;
  const config::TlsFiles good = certificates.Issue(Role::kCollector, "good");
  const config::TlsFiles lost = certificates.Issue(Role::kCollector, "lost");
  certificates.Revoke(Role::kCollector, "lost");
  ASSERT_OK_AND_ASSIGN(const RevocationLists lists, LoadRevocationLists(good.crl, good.ca));
  EXPECT_EQ(lists.list_count(), 1u);
  EXPECT_EQ(lists.revoked_count(), 1u);
  EXPECT_THAT(lists.Check(Read(good.cert)), IsOk());
  EXPECT_THAT(lists.Check(Read(lost.cert)),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       AllOf(HasSubstr("collector lost"), HasSubstr("is revoked"))));
  EXPECT_THAT(lists.Check(Read(good.cert) + Read(lost.cert)),
              StatusIs(absl::StatusCode::kPermissionDenied, testing::_));
}

TEST(RevocationListsTest, AListOfAnotherAuthorityDoesNotCount) {
  const test::TestCertificates ours;
  const test::TestCertificates theirs;
  const config::TlsFiles own = ours.Issue(Role::kCollector, "a");
  const config::TlsFiles other = theirs.Issue(Role::kCollector, "a");
  EXPECT_THAT(LoadRevocationLists(other.crl, own.ca),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("no revocation list is signed by a trusted authority")));
  // Beside one that counts it is passed over.
  ASSERT_OK_AND_ASSIGN(const RevocationLists lists,
                       RevocationLists::Parse(Read(other.crl) + Read(own.crl), Read(own.ca)));
  EXPECT_EQ(lists.list_count(), 1u);
}

TEST(RevocationListsTest, AChangedByteIsNoList) {
  const test::TestCertificates certificates;
  const config::TlsFiles own = certificates.Issue(Role::kCollector, "a");
  certificates.Revoke(Role::kCollector, "a");
  std::string text = Read(own.crl);
  const std::size_t middle = text.size() / 2;
  text[middle] = text[middle] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(RevocationLists::Parse(text, Read(own.ca)).ok());
  EXPECT_FALSE(RevocationLists::Parse("", Read(own.ca)).ok());
  EXPECT_FALSE(RevocationLists::Parse(Read(own.crl), "").ok());
}

TEST(RevocationFileTest, AChangedFileIsReadAndABrokenOneLeavesTheLastListsInForce) {
  const test::TestCertificates certificates;
  const config::TlsFiles own = certificates.Issue(Role::kCollector, "a");
  test::FakeClock clock;
  RevocationFile file(own.crl, own.ca, absl::Seconds(10), clock);
  EXPECT_THAT(file.Check(Read(own.cert)), IsOk());
  certificates.Revoke(Role::kCollector, "a");
  clock.Advance(absl::Seconds(9));
  EXPECT_THAT(file.Check(Read(own.cert)), IsOk()) << "not looked at again yet";
  clock.Advance(absl::Seconds(1));
  const auto refused = StatusIs(absl::StatusCode::kPermissionDenied, HasSubstr(own.crl));
  EXPECT_THAT(file.Check(Read(own.cert)), refused);
  ASSERT_THAT(io::WriteFileDurably(own.crl, "garbage"), IsOk());
  clock.Advance(absl::Seconds(10));
  EXPECT_THAT(file.Check(Read(own.cert)), refused);
}

TEST(RevocationFileTest, WithoutAListThatCanBeReadNobodyPasses) {
  const test::TestCertificates certificates;
  const config::TlsFiles own = certificates.Issue(Role::kCollector, "a");
  const std::string list = Read(own.crl);
  test::FakeClock clock;
  ASSERT_THAT(io::WriteFileDurably(own.crl, "garbage"), IsOk());
  RevocationFile file(own.crl, own.ca, absl::Seconds(10), clock);
  EXPECT_THAT(file.Check(Read(own.cert)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(own.crl)));
  ASSERT_THAT(io::WriteFileDurably(own.crl, list), IsOk());
  EXPECT_THAT(file.Check(Read(own.cert)), IsOk());
}

TEST(TlsFilesWithAListTest, AnOwnCertificateThatIsRevokedAndAMissingListAreFoundBeforeTheStart) {
  const test::TestCertificates certificates;
  config::TlsFiles own = certificates.Issue(Role::kCollector, "a");
  EXPECT_THAT(CheckTlsFiles(own, absl::Now()), IsOk());
  certificates.Revoke(Role::kCollector, "a");
  EXPECT_THAT(CheckTlsFiles(own, absl::Now()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("a.crt"), HasSubstr("is revoked"))));
  own.crl += ".gone";
  EXPECT_THAT(CheckTlsFiles(own, absl::Now()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("ca.crl.gone")));
}

}  // namespace
}  // namespace netsentinel::rpc
