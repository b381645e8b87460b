#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <openssl/ssl.h>

#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_library.h"
#include "common/rpc/grpc_server.h"
#include "common/rpc/tls_credentials.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_certificates.h"
#include "tests/unit/common/rpc/echo_service.h"
#include "tests/unit/common/rpc/raw_tls_client.h"
#include "tests/unit/common/rpc/server_surroundings.h"

namespace netsentinel::rpc {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class MutualTlsTest : public testing::Test {
 protected:
  MutualTlsTest() : library_log_(logger_) {}

  // Serves with the aggregator's certificate.
  void Serve(config::Security security) {
    ServerOptions options;
    options.address = {"127.0.0.1", 0};
    options.security = std::move(security);
    options.certificate_refresh = absl::Seconds(1);
    ASSERT_OK_AND_ASSIGN(server_, Start(options));
  }

  absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options) {
    options.admits = {Role::kCollector, Role::kViewer};
    const std::vector<grpc::Service*> services = {&service_};
    return Server::Start(options, around_.authority, services, around_.all());
  }

  std::string target() const { return absl::StrCat("127.0.0.1:", server_->port()); }

  absl::StatusOr<std::shared_ptr<grpc::Channel>> Channel(config::Security security) {
    return MakeChannel({.peer = {target(), std::move(security)}}, clock_);
  }

  static absl::Status Call(const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN)));
    v1::ListRouterStatesResponse response;
    return FromGrpc(
        v1::CollectorService::NewStub(channel)->ListRouterStates(&context, {}, &response));
  }

  // Calls without the checks that MakeChannel makes of its own files.
  absl::Status CallUnchecked(const config::TlsFiles& files) {
    return Call(grpc::CreateChannel(target(), TlsClient(files, absl::Seconds(60))));
  }

  const test::TestCertificates certificates_;
  ServerSurroundings around_;
  const io::SystemClock& clock_ = around_.clock;
  log::CapturingLogger& logger_ = around_.logger;
  LibraryLog library_log_;
  EchoService service_{around_.authority, Role::kCollector};
  std::unique_ptr<Server> server_;
};

TEST_F(MutualTlsTest, TheServerKnowsItsCallerFromTheCertificate) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  ASSERT_OK_AND_ASSIGN(const auto channel,
                       Channel(certificates_.Secure(Role::kCollector, "lahore-hq")));
  EXPECT_THAT(Call(channel), IsOk());
  EXPECT_THAT(service_.callers(), ElementsAre(PeerIdentity{Role::kCollector, "lahore-hq", true}));
}

TEST_F(MutualTlsTest, AnotherRoleIsRefusedByName) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  ASSERT_OK_AND_ASSIGN(const auto channel, Channel(certificates_.Secure(Role::kViewer, "eve")));
  EXPECT_THAT(Call(channel),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("viewer eve may not do this; it takes the role collector")));
}

TEST_F(MutualTlsTest, AClientOfAnotherAuthorityIsRefusedAndTheLogSaysWhy) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  const test::TestCertificates others;
  config::TlsFiles files = others.Issue(Role::kCollector, "lahore-hq");
  files.ca = certificates_.Issue(Role::kCollector, "x").ca;
  EXPECT_THAT(CallUnchecked(files), StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_TRUE(logger_.WaitForText("certificate verify failed")) << logger_.Text();
}

TEST_F(MutualTlsTest, AServerOfAnotherAuthorityIsRefusedByTheClient) {
  const test::TestCertificates others;
  config::TlsFiles served = others.Issue(Role::kAggregator, "main");
  Serve({false, served});
  EXPECT_THAT(CallUnchecked(certificates_.Issue(Role::kCollector, "lahore-hq")),
              StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_TRUE(logger_.WaitForText("certificate verify failed")) << logger_.Text();
}

TEST_F(MutualTlsTest, AServerThatIsRevokedIsRefusedByTheClientAndNamed) {
  Serve(certificates_.Secure(Role::kAggregator, "stolen"));
  const config::Security caller = certificates_.Secure(Role::kCollector, "lahore-hq");
  ASSERT_OK_AND_ASSIGN(const auto before, Channel(caller));
  EXPECT_THAT(Call(before), IsOk());
  certificates_.Revoke(Role::kAggregator, "stolen");
  ASSERT_OK_AND_ASSIGN(const auto after, Channel(caller));
  EXPECT_THAT(Call(after), StatusIs(absl::StatusCode::kUnavailable,
                                    AllOf(HasSubstr("aggregator stolen"), HasSubstr("is revoked"),
                                          HasSubstr("ca.crl"))));
}

TEST_F(MutualTlsTest, AChannelThatIsOpenReadsAChangedRevocationListForItsNextConnection) {
  Serve(certificates_.Secure(Role::kAggregator, "stolen"));
  ASSERT_OK_AND_ASSIGN(
      const auto channel,
      MakeChannel({.peer = {target(), certificates_.Secure(Role::kCollector, "lahore-hq")},
                   .certificate_refresh = absl::ZeroDuration()},
                  clock_));
  ASSERT_THAT(Call(channel), IsOk());
  certificates_.Revoke(Role::kAggregator, "stolen");
  const std::uint16_t port = server_->port();
  server_.reset();
  ServerOptions options;
  options.address = {"127.0.0.1", port};
  options.security = {false, certificates_.Issue(Role::kAggregator, "other")};
  // A server that does not know that it is revoked itself.
  options.security.tls.crl = "";
  ASSERT_OK_AND_ASSIGN(server_, Start(options));
  EXPECT_THAT(Call(channel), IsOk());
  certificates_.Revoke(Role::kAggregator, "other");
  server_.reset();
  ASSERT_OK_AND_ASSIGN(server_, Start(options));
  EXPECT_THAT(Call(channel),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("aggregator other")));
}

TEST_F(MutualTlsTest, AnExpiredClientIsRefusedAndTheLogSaysWhy) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  EXPECT_THAT(CallUnchecked(certificates_.IssueExpired(Role::kCollector, "late")),
              StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_TRUE(logger_.WaitForText("certificate verify failed")) << logger_.Text();
}

TEST_F(MutualTlsTest, AClientWithoutACertificateIsRefusedAndTheLogSaysWhy) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  const config::TlsFiles files = certificates_.Issue(Role::kCollector, "x");
  EXPECT_THAT(Handshake(server_->port(), {files.ca, "", ""}, TLS1_3_VERSION), StartsWith("failed"));
  EXPECT_TRUE(logger_.WaitForText("peer did not return a certificate")) << logger_.Text();
}

TEST_F(MutualTlsTest, AServerUnderAnotherNameIsRefusedByTheClient) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  ASSERT_OK_AND_ASSIGN(const auto channel,
                       MakeChannel({.peer = {target(), certificates_.Secure(Role::kCollector, "a")},
                                    .server_name = "elsewhere.example"},
                                   clock_));
  EXPECT_THAT(Call(channel), StatusIs(absl::StatusCode::kUnavailable, testing::_));
  EXPECT_TRUE(service_.callers().empty());
}

TEST_F(MutualTlsTest, Tls12IsRefusedForAnEcdsaServerThatTakesTls13) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  const config::TlsFiles client = certificates_.Issue(Role::kCollector, "a");
  EXPECT_EQ(Handshake(server_->port(), client, TLS1_3_VERSION), "TLSv1.3");
  EXPECT_THAT(Handshake(server_->port(), client, TLS1_2_VERSION), StartsWith("failed"));
}

TEST_F(MutualTlsTest, Tls12IsRefusedForAnRsaServerThatTakesTls13) {
  const config::TlsFiles served = certificates_.Issue(Role::kAggregator, "rsa");
  MakeRsa(certificates_.folder(), served);
  Serve({false, served});
  const config::TlsFiles client = certificates_.Issue(Role::kCollector, "a");
  EXPECT_EQ(Handshake(server_->port(), client, TLS1_3_VERSION), "TLSv1.3");
  EXPECT_THAT(Handshake(server_->port(), client, TLS1_2_VERSION), StartsWith("failed"));
}

TEST_F(MutualTlsTest, ANewCertificateIsUsedWithoutARestart) {
  const config::TlsFiles client = certificates_.Issue(Role::kCollector, "a");
  const test::TestCertificates successor;
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  const config::TlsFiles served = certificates_.Issue(Role::kAggregator, "main");
  const config::TlsFiles next = successor.Issue(Role::kAggregator, "main");
  for (const auto& [from, to] : {std::pair{next.key, served.key}, std::pair{next.cert, served.cert},
                                 std::pair{next.ca, served.ca}}) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  }
  ASSERT_OK_AND_ASSIGN(const auto channel, Channel(successor.Secure(Role::kCollector, "new")));
  // The files are looked at every second; the channel itself tries again until its deadline.
  absl::Status status = absl::UnavailableError("not called");
  for (int i = 0; i < 100 && !status.ok(); ++i) {
    status = Call(channel);
    if (!status.ok()) absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_THAT(status, IsOk());
  EXPECT_THAT(CallUnchecked(client), StatusIs(absl::StatusCode::kUnavailable, testing::_));
}

TEST_F(MutualTlsTest, AClientKeepsItsPairUntilCertificateAndKeyOfANewOneFit) {
  const config::TlsFiles files = certificates_.Issue(Role::kCollector, "first");
  const config::TlsFiles next = certificates_.Issue(Role::kCollector, "second");
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  ServerOptions options;
  options.address = {"127.0.0.1", server_->port()};
  options.security = certificates_.Secure(Role::kAggregator, "main");
  ASSERT_OK_AND_ASSIGN(const auto channel, MakeChannel({.peer = {target(), {false, files}},
                                                        .certificate_refresh = absl::Seconds(1)},
                                                       clock_));
  // Whom the server sees on a new connection.
  const auto caller = [&]() -> std::string {
    server_.reset();
    auto server = Start(options);
    EXPECT_THAT(server, IsOk());
    if (!server.ok()) return "";
    server_ = *std::move(server);
    const absl::Status status = Call(channel);
    return status.ok() ? service_.callers().back().id : status.ToString();
  };
  const auto replace = [](const std::string& from, const std::string& to) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  };
  ASSERT_EQ(caller(), "first");
  replace(next.cert, files.cert);
  // For several looks at the files.
  const absl::Time end = absl::Now() + absl::Seconds(4);
  while (absl::Now() < end) ASSERT_EQ(caller(), "first");
  replace(next.key, files.key);
  std::string seen;
  for (int i = 0; i < 100 && seen != "second"; ++i) {
    seen = caller();
    if (seen != "second") absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_EQ(seen, "second");
}

TEST_F(MutualTlsTest, AnInsecureServerOnLoopbackTakesEveryoneAsLocal) {
  ASSERT_OK_AND_ASSIGN(const auto server,
                       Start({.address = {"127.0.0.1", 0}, .security = {true, {}}}));
  ASSERT_OK_AND_ASSIGN(
      const auto channel,
      MakeChannel({.peer = {absl::StrCat("127.0.0.1:", server->port()), {true, {}}}}, clock_));
  EXPECT_THAT(Call(channel), IsOk());
  EXPECT_THAT(service_.callers(), ElementsAre(PeerIdentity{Role::kLocal, "", false}));
}

TEST_F(MutualTlsTest, PlaintextOffLoopbackIsRefusedOnBothEnds) {
  EXPECT_THAT(Start({.address = {"0.0.0.0", 0}, .security = {true, {}}}).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("plaintext")));
  EXPECT_THAT(MakeChannel({.peer = {"dns:///example.org:7443", {true, {}}}}, clock_).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("plaintext")));
}

TEST_F(MutualTlsTest, APortThatIsTakenIsNamed) {
  Serve(certificates_.Secure(Role::kAggregator, "main"));
  ServerOptions options;
  options.address = {"127.0.0.1", server_->port()};
  options.security = certificates_.Secure(Role::kAggregator, "second");
  EXPECT_THAT(Start(options).status(),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr(target()), HasSubstr("listen.grpc"))));
}

}  // namespace
}  // namespace netsentinel::rpc
