#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <stdlib.h>

#include "tests/unit/collector/routeros/asio_client_fixture.h"

namespace netsentinel::routeros {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Transport = ScriptedRouterOptions::Transport;

class AsioClientTlsTest : public AsioClientTest {
 protected:
  static void SetUpTestSuite() {
    certificate_ =
        new test::TestCertificate(test::MakeTestCertificate("IP:127.0.0.1,DNS:router.example"));
    other_ = new test::TestCertificate(test::MakeTestCertificate("IP:10.9.9.9"));
  }
  static void TearDownTestSuite() {
    delete certificate_;
    delete other_;
  }
  ScriptedRouterOptions WithCertificate(const test::TestCertificate& certificate) {
    return {.transport = Transport::kTls, .certificate = certificate};
  }
  std::string CaFile(const test::TestCertificate& certificate) {
    std::string folder = (std::filesystem::temp_directory_path() / "ns-ca-XXXXXX").string();
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    folders_.push_back(folder);
    std::ofstream(folder + "/ca.pem") << certificate.certificate_pem;
    return folder + "/ca.pem";
  }
  void TearDown() override {
    for (const std::string& folder : folders_) std::filesystem::remove_all(folder);
  }
  static test::TestCertificate* certificate_;
  static test::TestCertificate* other_;
  std::vector<std::string> folders_;
};
test::TestCertificate* AsioClientTlsTest::certificate_ = nullptr;
test::TestCertificate* AsioClientTlsTest::other_ = nullptr;

TEST_F(AsioClientTlsTest, BelievesThePinnedCertificateWithAndWithoutColons) {
  ScriptedRouter router(WithCertificate(*other_), Answering({}));
  std::string colons;
  for (std::size_t i = 0; i < other_->sha256_hex.size(); i += 2) {
    absl::StrAppend(&colons, i == 0 ? "" : ":",
                    absl::AsciiStrToUpper(other_->sha256_hex.substr(i, 2)));
  }
  EXPECT_THAT(Connect(TlsTo(router, {.pin_sha256 = other_->sha256_hex})), test::IsOk());
  client_->Close();
  EXPECT_THAT(Connect(TlsTo(router, {.pin_sha256 = colons})), test::IsOk());
}

TEST_F(AsioClientTlsTest, SendsNothingToACertificateThatIsNotPinned) {
  std::optional<SentenceWords> seen;
  {
    ScriptedRouter router(WithCertificate(*other_),
                          [&seen](RouterConnection& connection) { seen = connection.Read(); });
    const absl::Status status = Connect(TlsTo(router, {.pin_sha256 = certificate_->sha256_hex}));
    EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
    EXPECT_THAT(Text(status),
                AllOf(HasSubstr("not the pinned one"), HasSubstr(other_->sha256_hex)));
    router.Join();
  }
  EXPECT_FALSE(seen.has_value());
}

TEST_F(AsioClientTlsTest, BelievesTheCaWhenTheAddressIsInTheCertificate) {
  ScriptedRouter router(WithCertificate(*certificate_), Answering({}));
  EXPECT_THAT(Connect(TlsTo(router, {.ca_file = CaFile(*certificate_)})), test::IsOk());
}

TEST_F(AsioClientTlsTest, BelievesTheCaWhenTheGivenNameIsInTheCertificate) {
  ScriptedRouter router(WithCertificate(*certificate_), Answering({}));
  EXPECT_THAT(
      Connect(TlsTo(router, {.ca_file = CaFile(*certificate_), .server_name = "router.example"})),
      test::IsOk());
}

TEST_F(AsioClientTlsTest, NamesAnAddressThatIsNotInTheCertificate) {
  ScriptedRouter router(WithCertificate(*other_), Answering({}));
  const absl::Status status = Connect(TlsTo(router, {.ca_file = CaFile(*other_)}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("IP address mismatch"), HasSubstr("subject-alt-name")));
}

TEST_F(AsioClientTlsTest, NamesAHostNameThatIsNotInTheCertificate) {
  ScriptedRouter router(WithCertificate(*certificate_), Answering({}));
  const absl::Status status =
      Connect(TlsTo(router, {.ca_file = CaFile(*certificate_), .server_name = "other.example"}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("ostname mismatch"), HasSubstr("subject-alt-name")));
}

TEST_F(AsioClientTlsTest, NamesACertificateOfAnotherCa) {
  ScriptedRouter router(WithCertificate(*certificate_), Answering({}));
  const absl::Status status = Connect(TlsTo(router, {.ca_file = CaFile(*other_)}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), HasSubstr("not signed by the given ca"));
}

TEST_F(AsioClientTlsTest, NamesACaFileThatCannotBeRead) {
  ScriptedRouter router(WithCertificate(*certificate_), Answering({}));
  const absl::Status status = Connect(TlsTo(router, {.ca_file = "/nonexistent/ca.pem"}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), HasSubstr("/nonexistent/ca.pem"));
}

TEST_F(AsioClientTlsTest, SaysThatApiSslHasNoCertificate) {
  ScriptedRouter router({.transport = Transport::kAnonymousTls}, Answering({}));
  const absl::Status status = Connect(TlsTo(router, {.pin_sha256 = certificate_->sha256_hex}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), HasSubstr("api-ssl has no certificate"));
  EXPECT_EQ(router.scripts_started(), 0);
}

TEST_F(AsioClientTlsTest, AcceptsAnonymousDiffieHellmanOnExplicitWish) {
  ScriptedRouter router({.transport = Transport::kAnonymousTls}, Answering({}));
  EXPECT_THAT(Connect(TlsTo(router, {.anonymous = true})), test::IsOk());
}

TEST_F(AsioClientTlsTest, SaysThatAnAnonymousConfigMeetsACertificate) {
  ScriptedRouter router(WithCertificate(*certificate_), Answering({}));
  const absl::Status status = Connect(TlsTo(router, {.anonymous = true}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), HasSubstr("replace anonymous: true"));
}

TEST_F(AsioClientTlsTest, NeverFallsBackToPlainText) {
  std::string seen;
  int connections = 0;
  ScriptedRouter router([&seen, &connections](RouterConnection& connection) {
    ++connections;
    // What a plain api does with a TLS hello it takes for a word: an answer that is not TLS.
    connection.SendBytes(std::string("\x06!fatal\x0Dnot logged in\x00", 22));
    seen += connection.ReadToEnd();
  });
  const absl::Status status = Connect(TlsTo(router, {.pin_sha256 = certificate_->sha256_hex}));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kTlsRefused);
  EXPECT_THAT(Text(status), HasSubstr("does not speak TLS"));
  EXPECT_FALSE(client_->connected());
  router.Join();
  EXPECT_EQ(connections, 1);
  EXPECT_THAT(seen, Not(HasSubstr("/login")));
  EXPECT_THAT(seen, Not(HasSubstr("s3cret")));
}

TEST(TlsOptionsTest, WantsExactlyOneTrust) {
  const std::string pin(64, 'a');
  EXPECT_THAT(CheckTlsOptions({.ca_file = "ca.pem"}), test::IsOk());
  EXPECT_THAT(CheckTlsOptions({.pin_sha256 = pin}), test::IsOk());
  EXPECT_THAT(CheckTlsOptions({.anonymous = true}), test::IsOk());
  EXPECT_THAT(CheckTlsOptions({}),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exactly one")));
  EXPECT_THAT(CheckTlsOptions({.pin_sha256 = pin, .anonymous = true}),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("exactly one")));
}

TEST(TlsOptionsTest, RefusesAPinThatIsNoSha256) {
  EXPECT_THAT(ParsePin("abcd"),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not 4")));
  EXPECT_THAT(ParsePin(std::string(64, 'g')),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hex digits")));
}

}  // namespace
}  // namespace netsentinel::routeros
