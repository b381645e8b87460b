#include "tools/ctl/certificate_life.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "common/rpc/revocation.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/tools/ctl/certificate_fixture.h"
#include "tools/ctl/certificate_files.h"
#include "tools/ctl/openssl_revocation.h"

namespace netsentinel::ctl {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(CertificateLifeTest, TheIndexKnowsEverythingThatWasIssued) {
  const config::TlsFiles files = Issue(rpc::Role::kAggregator, "main");
  Issue(rpc::Role::kViewer, "eve");
  const AuthorityFolder authority = Open();
  ASSERT_THAT(authority.index().entries, SizeIs(2));
  const IndexEntry& entry = authority.index().entries[0];
  EXPECT_EQ(entry.serial, *SerialOf(Read(files.cert)));
  EXPECT_EQ(entry.role, rpc::Role::kAggregator);
  EXPECT_EQ(entry.name, "main");
  EXPECT_EQ(entry.not_before, now_ - absl::Minutes(5));
  EXPECT_EQ(entry.not_after, now_ + 90 * kDay);
  EXPECT_EQ(entry.issuer, authority.signer().serial);
  EXPECT_EQ(entry.path, files.cert);
  EXPECT_FALSE(entry.revoked);
  EXPECT_EQ(*authority.Issued(entry), Read(files.cert));
}

TEST_F(CertificateLifeTest, TheIndexComesBackAsItWasWrittenAndABrokenOneIsNamedByItsLine) {
  CertificateIndex index;
  index.list_number = 41;
  index.entries = {
      {"0A1B", rpc::Role::kCollector, "lahore", absl::FromUnixSeconds(1), absl::FromUnixSeconds(2),
       "FF", "/tls/x y/lahore.crt"},
      {"0C", rpc::Role::kAdmin, "root", absl::FromUnixSeconds(3), absl::FromUnixSeconds(4), "FF",
       "/r.crt", true, absl::FromUnixSeconds(5), "keyCompromise"}};
  const std::string text = FormatIndex(index);
  ASSERT_OK_AND_ASSIGN(const CertificateIndex back, ParseIndex(text));
  EXPECT_EQ(back.list_number, 41u);
  EXPECT_EQ(back.entries, index.entries);
  EXPECT_THAT(ParseIndex(text.substr(0, text.size() - 1)),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cut off")));
  std::string broken = text;
  broken.replace(broken.find("collector"), 9, "colector!");
  EXPECT_THAT(ParseIndex(broken), StatusIs(absl::StatusCode::kDataLoss, HasSubstr("line 3")));
  std::string newer = text;
  newer.replace(newer.find(" 1\n"), 3, " 2\n");
  EXPECT_THAT(ParseIndex(newer),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("version 2")));
}

TEST_F(CertificateLifeTest, RenewingKeepsKeyNameAndHostsAndChangesTheCertificateOnly) {
  const config::TlsFiles files = Issue(rpc::Role::kAggregator, "main");
  const std::string key = Read(files.key);
  const std::string serial = *SerialOf(Read(files.cert));
  now_ += 70 * kDay;
  ASSERT_OK_AND_ASSIGN(const IndexEntry renewed, RenewOne("main"));
  EXPECT_EQ(renewed.not_after, now_ + 90 * kDay);
  EXPECT_EQ(Read(files.key), key);
  EXPECT_NE(*SerialOf(Read(files.cert)), serial);
  EXPECT_THAT(Verified(files), IsOk());
  ASSERT_OK_AND_ASSIGN(const CertificateRequest request, RequestOf(Read(files.cert)));
  EXPECT_EQ(request.name, "main");
  EXPECT_THAT(request.dns_names, ElementsAre("localhost", "*.example"));
  EXPECT_THAT(request.ip_addresses, ElementsAre("127.0.0.1", "2001:db8::1"));
  EXPECT_THAT(Open().index().entries, SizeIs(2));
  EXPECT_THAT(InPlaceNow(), SizeIs(1));
}

TEST_F(CertificateLifeTest, RenewingWithANewKeyReplacesBothAsAPair) {
  const config::TlsFiles files = Issue(rpc::Role::kNotifier, "main");
  const std::string key = Read(files.key);
  ASSERT_THAT(RenewOne("main", {.new_key = true}), IsOk());
  EXPECT_NE(Read(files.key), key);
  EXPECT_THAT(Verified(files), IsOk());
  EXPECT_THAT(io::CheckPrivate(files.key), IsOk());
}

// A crash after each step of replacing a pair.
TEST_F(CertificateLifeTest, APairThatACrashHasLeftHalfReplacedIsMended) {
  const config::TlsFiles files = Issue(rpc::Role::kNotifier, "main");
  const std::string old_key = Read(files.key);
  const std::string old_certificate = Read(files.cert);
  ASSERT_THAT(RenewOne("main", {.new_key = true}), IsOk());
  const std::string new_key = Read(files.key);
  const std::string new_certificate = Read(files.cert);
  const auto lay = [&](bool key_in_place, bool certificate_written) {
    std::filesystem::remove(files.key + ".new");
    std::filesystem::remove(files.cert + ".new");
    ASSERT_THAT(io::WriteFileDurably(files.key, key_in_place ? new_key : old_key, 0600), IsOk());
    ASSERT_THAT(io::WriteFileDurably(files.cert, old_certificate), IsOk());
    if (!key_in_place) {
      ASSERT_THAT(io::WriteFileDurably(files.key + ".new", new_key, 0600), IsOk());
    }
    if (certificate_written) {
      ASSERT_THAT(io::WriteFileDurably(files.cert + ".new", new_certificate), IsOk());
    }
  };
  for (const auto& [key_in_place, certificate_written] :
       {std::pair(false, false), std::pair(false, true), std::pair(true, true)}) {
    lay(key_in_place, certificate_written);
    ASSERT_THAT(FinishPair(files), IsOk());
    EXPECT_THAT(Verified(files), IsOk());
    EXPECT_EQ(Read(files.cert), key_in_place ? new_certificate : old_certificate);
    EXPECT_FALSE(io::Exists(files.key + ".new"));
    EXPECT_FALSE(io::Exists(files.cert + ".new"));
  }
}

TEST_F(CertificateLifeTest, AnotherCertificateInThePlaceIsNotOverwrittenUnasked) {
  const config::TlsFiles files = Issue(rpc::Role::kNotifier, "main");
  const config::TlsFiles other = Issue(rpc::Role::kNotifier, "other");
  const std::string foreign = Read(other.cert);
  ASSERT_THAT(io::WriteFileDurably(files.cert, foreign), IsOk());
  EXPECT_THAT(RenewOne("main"), StatusIs(absl::StatusCode::kAlreadyExists,
                                         AllOf(HasSubstr("main.crt"), HasSubstr("--overwrite"))));
  EXPECT_EQ(Read(files.cert), foreign);
  ASSERT_THAT(RenewOne("main", {.overwrite = true}), IsOk());
  EXPECT_THAT(Verified(files), IsOk());
}

TEST_F(CertificateLifeTest, AKeyThatIsNotTheCertificatesIsFoundBeforeTheCertificateChanges) {
  const config::TlsFiles files = Issue(rpc::Role::kNotifier, "main");
  const config::TlsFiles other = Issue(rpc::Role::kNotifier, "other");
  const std::string before = Read(files.cert);
  ASSERT_THAT(io::WriteFileDurably(files.key, Read(other.key), 0600), IsOk());
  EXPECT_THAT(RenewOne("main"),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--new-key")));
  EXPECT_EQ(Read(files.cert), before);
}

TEST_F(CertificateLifeTest, ACertificateOfAnotherHostIsRenewedIntoAFolderWithoutItsKey) {
  const config::TlsFiles files = Issue(rpc::Role::kCollector, "far");
  const std::string key = Read(files.key);
  std::filesystem::remove_all(Out("far"));
  EXPECT_THAT(RenewOne("far"), StatusIs(absl::StatusCode::kNotFound, HasSubstr("--out FOLDER")));
  ASSERT_THAT(RenewOne("far", {.out = Out("parcel")}), IsOk());
  EXPECT_FALSE(io::Exists(Out("parcel") + "/far.key"));
  ASSERT_THAT(io::WriteFileDurably(Out("parcel") + "/far.key", key, 0600), IsOk());
  EXPECT_THAT(Verified({Out("parcel") + "/ca.crt", Out("parcel") + "/far.crt",
                        Out("parcel") + "/far.key", Out("parcel") + "/ca.crl"}),
              IsOk());
}

TEST_F(CertificateLifeTest,
       ACertificateOfAnotherHostIsRenewedAgainAndAgainAndItsAuthorityReplaced) {
  const config::TlsFiles files = Issue(rpc::Role::kCollector, "far");
  const std::string key = Read(files.key);
  std::filesystem::remove_all(Out("far"));
  const std::string parcel = Out("parcel");
  for (int i = 0; i < 2; ++i) {
    now_ += 70 * kDay;
    ASSERT_THAT(RenewOne("far", {.out = parcel}), IsOk()) << i;
    const std::vector<IndexEntry> in_place = InPlaceNow();
    ASSERT_THAT(in_place, SizeIs(1)) << i;
    EXPECT_EQ(in_place[0].path, files.cert) << "where it lives, not where the copy lies";
    EXPECT_EQ(*SerialOf(Read(parcel + "/far.crt")), in_place[0].serial);
    EXPECT_THAT(Renewable(Open(), "", std::nullopt, now_ + 30 * kDay, now_), IsEmpty());
  }
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(authority.BeginRotation(now_, 3650 * kDay), IsOk());
    ASSERT_OK_AND_ASSIGN(const Published published, Publish(authority, now_));
    EXPECT_THAT(published.absent, ElementsAre(Out("far")));
  }
  ASSERT_THAT(RenewOne("far", {.out = parcel}), IsOk());
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(FinishRotation(authority, /*force=*/false, now_), IsOk());
  }
  now_ += 70 * kDay;
  ASSERT_THAT(RenewOne("far", {.out = parcel}), IsOk());
  ASSERT_THAT(io::WriteFileDurably(parcel + "/far.key", key, 0600), IsOk());
  EXPECT_THAT(
      Verified({parcel + "/ca.crt", parcel + "/far.crt", parcel + "/far.key", parcel + "/ca.crl"}),
      IsOk());
}

TEST_F(CertificateLifeTest, WhatWasRenewedElsewhereIsRenewedInItsPlaceTheNextTime) {
  const config::TlsFiles files = Issue(rpc::Role::kCollector, "far");
  ASSERT_THAT(RenewOne("far", {.out = Out("parcel")}), IsOk());
  // The parcel never arrived: its predecessor lies there still.
  ASSERT_THAT(RenewOne("far"), IsOk());
  EXPECT_THAT(InPlaceNow(), SizeIs(1));
  EXPECT_THAT(Verified(files), IsOk());
}

TEST_F(CertificateLifeTest, AParcelDoesNotReplaceTheTrustOfAnotherAuthority) {
  const std::string elsewhere = folder_.path() + "/elsewhere";
  ASSERT_THAT(InitAuthority(elsewhere, now_, 3650 * kDay), IsOk());
  Issue(rpc::Role::kCollector, "far");
  std::filesystem::remove_all(Out("far"));
  std::filesystem::create_directories(Out("parcel"));
  std::filesystem::copy_file(elsewhere + "/ca.crt", Out("parcel") + "/ca.crt");
  EXPECT_THAT(RenewOne("far", {.out = Out("parcel")}),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("another authority")));
  EXPECT_EQ(Read(Out("parcel") + "/ca.crt"), Read(elsewhere + "/ca.crt"));
}

TEST_F(CertificateLifeTest, WhatHasEndedElsewhereIsNotDueAndWhatHasEndedHereIs) {
  Issue(rpc::Role::kCollector, "here");
  Issue(rpc::Role::kCollector, "gone");
  std::filesystem::remove_all(Out("gone"));
  now_ += 91 * kDay;
  const auto due = Renewable(Open(), "", std::nullopt, now_ + 30 * kDay, now_);
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_EQ(due[0].name, "here");
  EXPECT_THAT(Renewable(Open(), "gone", std::nullopt, absl::InfiniteFuture(), now_), SizeIs(1))
      << "asked for by name";
}

TEST_F(CertificateLifeTest, ARenewedCertificateLastsAsLongAsTheOldOneUnlessToldOtherwise) {
  CertificateRequest request;
  request.role = rpc::Role::kViewer;
  request.name = "long";
  ASSERT_THAT(IssueInto(Authority(), Out("long"), request, now_, 365 * kDay), IsOk());
  now_ += 340 * kDay;
  ASSERT_OK_AND_ASSIGN(const IndexEntry renewed, RenewOne("long"));
  EXPECT_EQ(renewed.not_after, now_ + 365 * kDay);
  EXPECT_EQ(DaysLeft(renewed, now_), 365);
  EXPECT_EQ(DaysLeft(renewed, now_ + absl::Seconds(1)), 365);
  EXPECT_EQ(DaysLeft(renewed, now_ + 364 * kDay), 1);
  EXPECT_EQ(DaysLeft(renewed, renewed.not_after), 0);
  ASSERT_OK_AND_ASSIGN(const IndexEntry shorter, RenewOne("long", {.valid = 30 * kDay}));
  EXPECT_EQ(shorter.not_after, now_ + 30 * kDay);
}

TEST_F(CertificateLifeTest, OnlyWhatEndsSoonIsDue) {
  Issue(rpc::Role::kCollector, "early");
  now_ += 70 * kDay;
  Issue(rpc::Role::kCollector, "late");
  const AuthorityFolder authority = Open();
  const auto due = Renewable(authority, "", std::nullopt, now_ + 30 * kDay, now_);
  ASSERT_THAT(due, SizeIs(1));
  EXPECT_EQ(due[0].name, "early");
  EXPECT_THAT(Renewable(authority, "", rpc::Role::kViewer, absl::InfiniteFuture(), now_),
              IsEmpty());
}

TEST_F(CertificateLifeTest, RevokingANameRefusesEveryCertificateItGot) {
  const config::TlsFiles files = Issue(rpc::Role::kOperator, "anna");
  const std::string first = Read(files.cert);
  ASSERT_THAT(RenewOne("anna"), IsOk());
  const std::string second = Read(files.cert);
  const config::TlsFiles other = Issue(rpc::Role::kOperator, "bob");
  {
    AuthorityFolder authority = Open();
    ASSERT_OK_AND_ASSIGN(const auto revoked,
                         Revoke(authority, {.name = "anna", .reason = "keyCompromise"}, now_));
    EXPECT_THAT(revoked, SizeIs(2));
  }
  ASSERT_OK_AND_ASSIGN(const rpc::RevocationLists lists,
                       rpc::LoadRevocationLists(Authority() + "/ca.crl", Authority() + "/ca.crt"));
  EXPECT_FALSE(lists.Check(first).ok());
  EXPECT_FALSE(lists.Check(second).ok());
  EXPECT_THAT(lists.Check(Read(other.cert)), IsOk());
  EXPECT_THAT(Renewable(Open(), "anna", std::nullopt, absl::InfiniteFuture(), now_), IsEmpty());
  const std::vector<IndexEntry> entries = Open().index().entries;
  AuthorityFolder authority = Open();
  EXPECT_THAT(Renew(authority, entries[1], {.valid = kDay}, now_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("is revoked"), HasSubstr("certs issue --overwrite"))));
}

TEST_F(CertificateLifeTest, AListIsNumberedUpwardsLastsAsLongAsItsAuthorityAndForgetsNobody) {
  Issue(rpc::Role::kOperator, "anna");
  std::uint64_t before = 0;
  {
    AuthorityFolder authority = Open();
    before = authority.index().list_number;
    ASSERT_THAT(Revoke(authority, {.name = "anna", .reason = "keyCompromise"}, now_), IsOk());
    EXPECT_EQ(authority.index().list_number, before + 1);
  }
  // Years after the certificate has ended it is on the list still.
  now_ += 1000 * kDay;
  AuthorityFolder authority = Open();
  ASSERT_THAT(authority.WriteLists(now_), IsOk());
  EXPECT_EQ(authority.index().list_number, before + 2);
  ASSERT_OK_AND_ASSIGN(const rpc::RevocationLists lists,
                       rpc::LoadRevocationLists(Authority() + "/ca.crl", Authority() + "/ca.crt"));
  EXPECT_EQ(lists.revoked_count(), 1u);
}

TEST_F(CertificateLifeTest, WhoMayBeMeantIsAskedRatherThanGuessed) {
  Issue(rpc::Role::kOperator, "anna", "one");
  Issue(rpc::Role::kViewer, "anna", "two");
  AuthorityFolder authority = Open();
  EXPECT_THAT(Revoke(authority, {.name = "anna"}, now_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--role")));
  EXPECT_THAT(Revoke(authority, {.name = "ana"}, now_),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("certs list")));
  EXPECT_THAT(Revoke(authority, {.serial = "00FF"}, now_),
              StatusIs(absl::StatusCode::kNotFound, testing::_));
  EXPECT_THAT(Revoke(authority, {.name = "anna", .reason = "angry"}, now_),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("keyCompromise")));
  ASSERT_OK_AND_ASSIGN(
      const auto revoked,
      Revoke(authority, {.name = "anna", .role = rpc::Role::kViewer, .reason = "superseded"},
             now_));
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].role, rpc::Role::kViewer);
}

TEST_F(CertificateLifeTest, OneCertificateIsRevokedByItsFileOrSerialNumber) {
  const config::TlsFiles files = Issue(rpc::Role::kOperator, "anna");
  const config::TlsFiles other = Issue(rpc::Role::kOperator, "bob");
  AuthorityFolder authority = Open();
  ASSERT_OK_AND_ASSIGN(auto revoked, Revoke(authority, {.file = files.cert}, now_));
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].name, "anna");
  ASSERT_OK_AND_ASSIGN(revoked, Revoke(authority, {.serial = *SerialOf(Read(other.cert))}, now_));
  ASSERT_THAT(revoked, SizeIs(1));
  EXPECT_EQ(revoked[0].name, "bob");
}

TEST_F(CertificateLifeTest, PublishingReachesEveryFolderOfThisHostAndNamesTheOthers) {
  const config::TlsFiles here = Issue(rpc::Role::kAggregator, "main");
  Issue(rpc::Role::kCollector, "far");
  std::filesystem::remove_all(Out("far"));
  AuthorityFolder authority = Open();
  ASSERT_THAT(Revoke(authority, {.name = "far"}, now_), IsOk());
  ASSERT_OK_AND_ASSIGN(const Published published, Publish(authority, now_));
  EXPECT_THAT(published.folders, ElementsAre(Out("main")));
  EXPECT_THAT(published.absent, ElementsAre(Out("far")));
  EXPECT_EQ(Read(here.crl), Read(Authority() + "/ca.crl"));
  EXPECT_FALSE(io::Exists(Out("far")));
}

TEST_F(CertificateLifeTest, PublishingLeavesTheTrustOfAnotherAuthorityAlone) {
  const std::string elsewhere = folder_.path() + "/elsewhere";
  ASSERT_THAT(InitAuthority(elsewhere, now_, 3650 * kDay), IsOk());
  const config::TlsFiles files = Issue(rpc::Role::kAggregator, "main");
  CertificateRequest request;
  request.role = rpc::Role::kAggregator;
  request.name = "main";
  ASSERT_THAT(IssueInto(elsewhere, Out("main"), request, now_, kDay, /*overwrite=*/true), IsOk());
  const std::string trusted = Read(files.ca);
  const std::string list = Read(files.crl);
  AuthorityFolder authority = Open();
  ASSERT_OK_AND_ASSIGN(const Published published, Publish(authority, now_));
  EXPECT_THAT(published.foreign, ElementsAre(Out("main")));
  EXPECT_THAT(published.folders, IsEmpty());
  EXPECT_EQ(Read(files.ca), trusted);
  EXPECT_EQ(Read(files.crl), list);
}

TEST_F(CertificateLifeTest, AFolderThatMissedTheReplacementOfTheAuthorityIsNotTakenForForeign) {
  const config::TlsFiles files = Issue(rpc::Role::kAggregator, "main");
  const std::string old_trust = Read(files.ca);
  AuthorityFolder authority = Open();
  ASSERT_THAT(authority.BeginRotation(now_, 3650 * kDay), IsOk());
  ASSERT_THAT(FinishRotation(authority, /*force=*/true, now_), IsOk());
  EXPECT_EQ(Read(files.ca), old_trust);
  ASSERT_OK_AND_ASSIGN(const Published published, Publish(authority, now_));
  EXPECT_THAT(published.folders, ElementsAre(Out("main")));
  EXPECT_EQ(Read(files.ca), authority.bundle());
}

TEST_F(CertificateLifeTest, AFolderThatCannotBeWrittenDoesNotKeepTheOthersFromTheirs) {
  const config::TlsFiles first = Issue(rpc::Role::kAggregator, "a");
  const config::TlsFiles last = Issue(rpc::Role::kCollector, "z");
  // Not even root writes a file where a folder is.
  std::filesystem::remove(first.crl);
  std::filesystem::create_directories(first.crl + "/x");
  AuthorityFolder authority = Open();
  ASSERT_THAT(authority.WriteLists(now_), IsOk());
  ASSERT_OK_AND_ASSIGN(const Published published, Publish(authority, now_));
  ASSERT_THAT(published.failed, SizeIs(1));
  EXPECT_EQ(published.failed[0].folder, Out("a"));
  EXPECT_THAT(published.failed[0].status.message(), HasSubstr("ca.crl"));
  EXPECT_THAT(published.folders, ElementsAre(Out("z")));
  EXPECT_EQ(Read(last.crl), Read(Authority() + "/ca.crl"));
}

TEST_F(CertificateLifeTest, AnAuthorityIsReplacedWithBothTrustedInBetween) {
  const config::TlsFiles files = Issue(rpc::Role::kAggregator, "main");
  Issue(rpc::Role::kOperator, "anna");
  const std::string old_certificate = Read(files.cert);
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(Revoke(authority, {.name = "anna"}, now_), IsOk());
    ASSERT_THAT(authority.BeginRotation(now_, 3650 * kDay), IsOk());
    ASSERT_THAT(Publish(authority, now_), IsOk());
    EXPECT_THAT(authority.BeginRotation(now_, 3650 * kDay),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--finish")));
    EXPECT_THAT(FinishRotation(authority, /*force=*/false, now_),
                StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("aggregator main")));
  }
  EXPECT_THAT(Verified(files), IsOk()) << "a certificate of the old authority";
  ASSERT_OK_AND_ASSIGN(const rpc::RevocationLists both,
                       rpc::LoadRevocationLists(files.crl, files.ca));
  EXPECT_EQ(both.list_count(), 2u);
  EXPECT_EQ(both.revoked_count(), 1u);

  ASSERT_THAT(RenewOne("main"), IsOk());
  EXPECT_THAT(Verified(files), IsOk()) << "a certificate of the new authority";
  {
    AuthorityFolder authority = Open();
    ASSERT_THAT(FinishRotation(authority, /*force=*/false, now_), IsOk());
    ASSERT_THAT(Publish(authority, now_), IsOk());
  }
  EXPECT_THAT(Verified(files), IsOk());
  EXPECT_FALSE(io::Exists(Authority() + "/ca.old.key"));
  ASSERT_THAT(io::WriteFileDurably(files.cert, old_certificate), IsOk());
  EXPECT_THAT(Verified(files), StatusIs(absl::StatusCode::kFailedPrecondition,
                                        HasSubstr("does not verify against")));
  AuthorityFolder authority = Open();
  EXPECT_THAT(FinishRotation(authority, /*force=*/false, now_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("--begin")));
}

TEST_F(CertificateLifeTest, ACopyOfAnotherAuthoritysTrustIsNotOverwrittenUnasked) {
  const std::string elsewhere = folder_.path() + "/elsewhere";
  ASSERT_THAT(InitAuthority(elsewhere, now_, 3650 * kDay), IsOk());
  std::filesystem::create_directories(Out("main"));
  std::filesystem::copy_file(elsewhere + "/ca.crt", Out("main") + "/ca.crt");
  CertificateRequest request;
  request.name = "main";
  EXPECT_THAT(IssueInto(Authority(), Out("main"), request, now_, kDay),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("another authority")));
  EXPECT_EQ(Read(Out("main") + "/ca.crt"), Read(elsewhere + "/ca.crt"));
  EXPECT_THAT(IssueInto(Authority(), Out("main"), request, now_, kDay, /*overwrite=*/true), IsOk());
}

}  // namespace
}  // namespace netsentinel::ctl
