#include "tools/ctl/authority_folder.h"

#include <filesystem>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "common/rpc/revocation.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/ctl/certificate_fixture.h"
#include "tools/ctl/openssl_revocation.h"

// What lies in the folder, lost, old and half written.
namespace netsentinel::ctl {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::AllOf;
using testing::HasSubstr;

class AuthorityFolderTest : public CertificateLifeTest {};

TEST_F(AuthorityFolderTest, WithoutItsIndexNoListIsMadeThatRevokesNobody) {
  const config::TlsFiles files = Issue(rpc::Role::kOperator, "anna");
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(Revoke(authority, {.name = "anna"}, now_), IsOk());
  }
  const std::string index = Read(Authority() + "/index");
  const std::string list = Read(Authority() + "/ca.crl");
  std::filesystem::remove(Authority() + "/index");
  const auto missing = StatusIs(absl::StatusCode::kDataLoss,
                                AllOf(HasSubstr("/index is missing"), HasSubstr("backup")));
  EXPECT_THAT(AuthorityFolder::Open(Authority()), missing);
  std::filesystem::remove(Authority() + "/ca.crl");
  EXPECT_THAT(AuthorityFolder::Open(Authority()), missing) << "certificates were issued";
  ASSERT_THAT(io::WriteFileDurably(Authority() + "/ca.crl", list), IsOk());
  ASSERT_THAT(io::WriteFileDurably(Authority() + "/index", index, 0600), IsOk());
  EXPECT_THAT(AuthorityFolder::Open(Authority()), IsOk());
}

TEST_F(AuthorityFolderTest, AnIndexOlderThanTheListIsNotUsed) {
  Issue(rpc::Role::kOperator, "anna");
  const std::string before = Read(Authority() + "/index");
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(Revoke(authority, {.name = "anna"}, now_), IsOk());
  }
  ASSERT_THAT(io::WriteFileDurably(Authority() + "/index", before, 0600), IsOk());
  EXPECT_THAT(AuthorityFolder::Open(Authority()),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("is older than")));
}

TEST_F(AuthorityFolderTest, AnAuthorityThatACrashLeftWithItsKeyAloneIsMadeAnew) {
  const std::string folder = folder_.path() + "/fresh";
  std::filesystem::create_directories(folder);
  ASSERT_THAT(io::WriteFileDurably(folder + "/ca.key", "half", 0600), IsOk());
  ASSERT_THAT(InitAuthority(folder, now_, 3650 * kDay), IsOk());
  EXPECT_THAT(AuthorityFolder::Open(folder), IsOk());
  // One that was in use is not.
  std::filesystem::remove(folder + "/ca.crt");
  EXPECT_THAT(InitAuthority(folder, now_, 3650 * kDay),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("an authority was here")));
}

TEST_F(AuthorityFolderTest, AnEndOfARotationThatACrashInterruptedIsCompletedByTheNextCommand) {
  const std::string a = Authority();
  const config::TlsFiles files = Issue(rpc::Role::kAggregator, "main");
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(authority.BeginRotation(now_, 3650 * kDay), IsOk());
    ASSERT_THAT(Publish(authority, now_), IsOk());
  }
  ASSERT_THAT(RenewOne("main"), IsOk());
  const std::string both = Read(a + "/ca.crt");
  const std::string next = Open().signer().pair.certificate;
  for (const std::string& bundle : {both, next}) {
    ASSERT_TRUE(io::Exists(a + "/ca.old.crt") || bundle == next);
    if (bundle == next) {
      ASSERT_THAT(io::WriteFileDurably(a + "/ca.old.crt", both.substr(next.size())), IsOk());
    }
    std::filesystem::remove(a + "/ca.old.key");
    ASSERT_THAT(io::WriteFileDurably(a + "/ca.crt", bundle), IsOk());
    AuthorityFolder authority = Open();
    EXPECT_FALSE(authority.old_signer().has_value());
    EXPECT_EQ(Read(a + "/ca.crt"), next);
    EXPECT_FALSE(io::Exists(a + "/ca.old.crt"));
    ASSERT_OK_AND_ASSIGN(const std::string lists, authority.Lists(now_));
    EXPECT_EQ(rpc::RevocationLists::Parse(lists, next)->list_count(), 1u);
    ASSERT_THAT(Publish(authority, now_), IsOk());
  }
  EXPECT_THAT(Verified(files), IsOk());
}

TEST_F(AuthorityFolderTest, TwoCommandsDoNotWorkInOneFolderAtATime) {
  const AuthorityFolder first = Open();
  EXPECT_THAT(AuthorityFolder::Open(Authority()),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another netsentinelctl")));
}

TEST_F(AuthorityFolderTest, AKeyThatIsNotTheAuthoritysStopsEveryCommand) {
  ASSERT_OK_AND_ASSIGN(const CertificatePair other,
                       MakeAuthority("other", now_ - absl::Minutes(5), now_ + kDay));
  ASSERT_THAT(io::WriteFileDurably(Authority() + "/ca.key", other.key.reveal(), 0600), IsOk());
  EXPECT_THAT(AuthorityFolder::Open(Authority()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("is not the key of")));
}

// The files as a crash between any two steps of `rotate-ca --begin` leaves them.
TEST_F(AuthorityFolderTest, AReplacementThatACrashInterruptedIsCompletedByTheNextCommand) {
  const std::string a = Authority();
  const std::string old_certificate = Read(a + "/ca.crt");
  const std::string old_key = Read(a + "/ca.key");
  ASSERT_OK_AND_ASSIGN(const CertificatePair next,
                       MakeAuthority("next", now_ - absl::Minutes(5), now_ + 3650 * kDay));
  const std::string bundle = next.certificate + old_certificate;
  struct Step {
    const char* file;
    std::string content;
  };
  const std::vector<Step> steps = {{"ca.old.key", old_key},
                                   {"ca.old.crt", old_certificate},
                                   {"ca.key", next.key.reveal()},
                                   {"ca.crt", bundle}};
  for (std::size_t done = 0; done <= steps.size(); ++done) {
    SCOPED_TRACE(done);
    for (const char* file : {"ca.old.key", "ca.old.crt"}) std::filesystem::remove(a + "/" + file);
    ASSERT_THAT(io::WriteFileDurably(a + "/ca.key", old_key, 0600), IsOk());
    ASSERT_THAT(io::WriteFileDurably(a + "/ca.crt", old_certificate), IsOk());
    ASSERT_THAT(io::WriteFileDurably(a + "/ca.next.key", next.key.reveal(), 0600), IsOk());
    ASSERT_THAT(io::WriteFileDurably(a + "/ca.next.crt", next.certificate), IsOk());
    for (std::size_t i = 0; i < done; ++i) {
      ASSERT_THAT(io::WriteFileDurably(a + "/" + steps[i].file, steps[i].content, 0600), IsOk());
    }
    AuthorityFolder authority = Open();
    EXPECT_EQ(authority.signer().pair.certificate, next.certificate);
    EXPECT_TRUE(IsPair(authority.signer().pair));
    ASSERT_TRUE(authority.old_signer().has_value());
    EXPECT_TRUE(IsPair(authority.old_signer()->pair));
    EXPECT_EQ(authority.old_signer()->pair.certificate, old_certificate);
    EXPECT_EQ(Read(a + "/ca.crt"), bundle);
    EXPECT_FALSE(io::Exists(a + "/ca.next.key"));
    ASSERT_OK_AND_ASSIGN(const std::string lists, authority.Lists(now_));
    EXPECT_EQ(rpc::RevocationLists::Parse(lists, bundle)->list_count(), 2u);
  }
}

}  // namespace
}  // namespace netsentinel::ctl
