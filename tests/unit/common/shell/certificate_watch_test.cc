#include "common/shell/certificate_watch.h"

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "common/log/capturing_logger.h"
#include "common/rpc/tls_files.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_certificates.h"

namespace netsentinel::shell {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr absl::Duration kDay = absl::Hours(24);

class CertificateWatchTest : public testing::Test {
 protected:
  // Certificates end a day after the real present, their authority 29 days after it.
  CertificateWatchTest() : clock_(absl::Now() - 100 * kDay) {}

  double Shown(const std::string& file) {
    return metrics_
        .AddGauge("netsentinel_certificate_expiry_timestamp_seconds",
                  "When the first certificate of the file ends.", {{"file", file}})
        .value();
  }
  // A minute or more passes, and the shell looks.
  void Pass(absl::Duration duration) {
    clock_.Advance(duration);
    watch_.Look();
  }

  const test::TestCertificates certificates_;
  test::FakeClock clock_;
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  CertificateWatch watch_{clock_, logger_, metrics_};
};

TEST_F(CertificateWatchTest, ShowsWhenEachFileEndsAndWarnsOnceADayFromThirtyDaysBefore) {
  const config::Security security = certificates_.Secure(rpc::Role::kCollector, "a");
  ASSERT_OK_AND_ASSIGN(const rpc::CertificateFacts facts,
                       rpc::CheckTlsFiles(security.tls, absl::Now()));
  watch_.Add(security);
  EXPECT_EQ(Shown(security.tls.cert), static_cast<double>(absl::ToUnixSeconds(facts.not_after)));
  EXPECT_GT(Shown(security.tls.ca), Shown(security.tls.cert));
  EXPECT_EQ(logger_.Text(), "");

  // After 60 days the certificate has 41 left, after 74 days 27; the authority has 28 more.
  for (int day_quarter = 0; day_quarter < 4 * 60; ++day_quarter) Pass(absl::Hours(6));
  EXPECT_EQ(logger_.Count("certificate.expiring"), 0U);
  for (int day_quarter = 0; day_quarter < 4 * 14; ++day_quarter) Pass(absl::Hours(6));
  EXPECT_THAT(logger_.Text(), HasSubstr(absl::StrCat("file=", security.tls.cert)));
  EXPECT_THAT(logger_.Text(), HasSubstr("days_left=29"));
  EXPECT_THAT(logger_.Text(), Not(HasSubstr(security.tls.ca)));
  const std::size_t days = logger_.Count("certificate.expiring");
  EXPECT_GE(days, 2U);
  EXPECT_LE(days, 4U);
}

TEST_F(CertificateWatchTest, ACertificateThatEndedIsAnErrorOnceADay) {
  const config::Security security = certificates_.Secure(rpc::Role::kCollector, "a");
  watch_.Add(security);
  Pass(102 * kDay);
  EXPECT_EQ(logger_.Count("certificate.expired"), 1U);
  Pass(absl::Hours(1));
  EXPECT_EQ(logger_.Count("certificate.expired"), 1U);
  Pass(kDay);
  EXPECT_EQ(logger_.Count("certificate.expired"), 2U);
}

TEST_F(CertificateWatchTest, AFileThatGoesAwayIsWarnedOfAndKeepsItsFigure) {
  const config::Security security = certificates_.Secure(rpc::Role::kCollector, "a");
  watch_.Add(security);
  const double before = Shown(security.tls.cert);
  std::filesystem::remove(security.tls.cert);
  Pass(absl::Minutes(1));
  EXPECT_THAT(logger_.Text(), HasSubstr("event=certificate.unreadable"));
  EXPECT_THAT(logger_.Text(), HasSubstr(security.tls.cert));
  EXPECT_EQ(Shown(security.tls.cert), before);
}

TEST_F(CertificateWatchTest, ARenewedCertificateIsShownAfterTenSeconds) {
  const config::Security security = certificates_.Secure(rpc::Role::kCollector, "a");
  watch_.Add(security);
  const config::TlsFiles late = certificates_.IssueExpired(rpc::Role::kCollector, "late");
  std::filesystem::copy_file(late.cert, security.tls.cert,
                             std::filesystem::copy_options::overwrite_existing);
  Pass(absl::Seconds(10));
  ASSERT_OK_AND_ASSIGN(const std::string pem, io::ReadFile(security.tls.cert));
  EXPECT_EQ(Shown(security.tls.cert),
            static_cast<double>(absl::ToUnixSeconds(rpc::ReadCertificate(pem)->not_after)));
}

TEST_F(CertificateWatchTest, ARevocationListShowsHowManyItRefusesAndIsWarnedOfWhenItCannotBeRead) {
  const config::Security security = certificates_.Secure(rpc::Role::kCollector, "a");
  certificates_.Issue(rpc::Role::kCollector, "lost");
  watch_.Add(security);
  const auto revoked = metrics_.AddGauge("netsentinel_revoked_certificates",
                                         "How many certificates the revocation list refuses.",
                                         {{"file", security.tls.crl}});
  EXPECT_EQ(revoked.value(), 0);
  certificates_.Revoke(rpc::Role::kCollector, "lost");
  Pass(absl::Seconds(10));
  EXPECT_EQ(revoked.value(), 1);
  ASSERT_THAT(io::WriteFileDurably(security.tls.crl, "garbage"), test::IsOk());
  Pass(absl::Seconds(10));
  Pass(absl::Seconds(10));
  EXPECT_EQ(logger_.Count("revocation_list.unreadable"), 1U);
  EXPECT_EQ(revoked.value(), 1);
}

TEST_F(CertificateWatchTest, ACertificateBesideTheKeyOfAnotherIsWarnedOfUntilTheyFit) {
  const config::Security security = certificates_.Secure(rpc::Role::kCollector, "a");
  watch_.Add(security);
  const config::TlsFiles other = certificates_.Issue(rpc::Role::kCollector, "b");
  const auto put = [](const std::string& from, const std::string& to) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  };
  put(other.cert, security.tls.cert);
  Pass(absl::Seconds(10));
  Pass(absl::Seconds(10));
  EXPECT_EQ(logger_.Count("certificate.mismatched"), 1U);
  EXPECT_THAT(logger_.Text(), HasSubstr("does not belong to the certificate"));
  put(other.key, security.tls.key);
  Pass(absl::Seconds(10));
  put(security.tls.cert, other.cert);
  Pass(absl::Seconds(10));
  EXPECT_EQ(logger_.Count("certificate.mismatched"), 1U);
}

TEST_F(CertificateWatchTest, AnInsecureConnectionHasNothingToWatch) {
  watch_.Add({.insecure = true});
  EXPECT_EQ(metrics_.Text().find("certificate"), std::string::npos);
}

}  // namespace
}  // namespace netsentinel::shell
