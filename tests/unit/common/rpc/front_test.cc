// The server's front against peers that mean it no good, over real sockets. Honest peers on the
// same address go on meanwhile.
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1/reflection.grpc.pb.h"
#include "gtest/gtest.h"
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "common/io/descriptors.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "tests/support/child_process.h"
#include "tests/support/http2_frames.h"
#include "tests/support/raw_peer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_certificates.h"
#include "tests/unit/common/rpc/echo_service.h"
#include "tests/unit/common/rpc/server_surroundings.h"

namespace netsentinel::rpc {
namespace {

using test::Http2Frame;
using test::Http2Frames;
using test::Http2Opening;
using test::IsOk;
using test::RawPeer;
using test::WaitUntil;
using testing::AllOf;
using testing::HasSubstr;

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class FrontTest : public testing::Test {
 protected:
  void SetUp() override { Serve({}); }

  void Serve(ServerOptions options) {
    server_.reset();
    options.address = {"127.0.0.1", 0};
    options.security = certificates_.Secure(Role::kAggregator, "main");
    served_ = options.security.tls;
    options.admits = {Role::kCollector, Role::kOperator};
    options.certificate_refresh = absl::Seconds(1);
    const std::vector<grpc::Service*> services = {&service_};
    ASSERT_OK_AND_ASSIGN(server_,
                         Server::Start(options, around_.authority, services, around_.all()));
    auto honest = MakeChannel({.peer = {absl::StrCat("127.0.0.1:", server_->port()),
                                        certificates_.Secure(Role::kCollector, "honest")}},
                              around_.clock);
    ASSERT_THAT(honest, IsOk());
    honest_ = *std::move(honest);
    ASSERT_THAT(Call(), IsOk());
  }

  // Of the honest peer.
  absl::Status Call() {
    grpc::ClientContext context;
    // On a busy machine the channel may need more than one attempt to connect.
    context.set_wait_for_ready(true);
    context.set_deadline(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN)));
    v1::ListRouterStatesResponse response;
    return FromGrpc(
        v1::CollectorService::NewStub(honest_)->ListRouterStates(&context, {}, &response));
  }

  config::TlsFiles Files(Role role, const std::string& name) const {
    return certificates_.Issue(role, name);
  }
  double Connections(const char* state) {
    return around_.metrics.AddGauge("netsentinel_grpc_connections", "", {{"state", state}}).value();
  }

  // A holder of a valid certificate sends `frames`: it is cut off, and the log and the metric say
  // for what. It has cost little.
  void IsCutFor(const std::string& frames, const char* reason) {
    const double cpu = CpuSeconds();
    RawPeer peer(server_->port(), Files(Role::kCollector, "evil"));
    ASSERT_TRUE(peer.connected());
    ASSERT_TRUE(peer.Send(Http2Opening()));
    peer.Send(frames);
    EXPECT_TRUE(peer.ClosedWithin(absl::Seconds(20)));
    EXPECT_TRUE(WaitUntil([&] { return around_.Refused(reason) == 1; })) << around_.logger.Text();
    EXPECT_LT(CpuSeconds() - cpu, 2);
    EXPECT_THAT(around_.logger.Text(),
                AllOf(HasSubstr(absl::StrCat("reason=", reason)), HasSubstr("collector evil"),
                      HasSubstr("address=127.0.0.1:")));
    EXPECT_THAT(Call(), IsOk());
  }

  const test::TestCertificates certificates_;
  ServerSurroundings around_;
  EchoService service_{around_.authority, Role::kCollector};
  config::TlsFiles served_;  // the server's own
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> honest_;
};

TEST_F(FrontTest, AnEndlessHeaderIsCutBeforeItCosts) {
  const std::string rest(16'000, '\x80');
  IsCutFor(Http2Frame(1, 0, 1, "\x7f") + Http2Frames(500, Http2Frame(9, 0, 1, rest)),
           "http2_header_block");
}

TEST_F(FrontTest, ARapidResetIsCut) {
  // :method POST, :scheme http, :path /a.B/C, and an authority.
  const std::string headers("\x83\x86\x44\x06/a.B/C\x41\x01x", 13);
  std::string frames;
  for (std::uint32_t stream = 1; stream < 40'000; stream += 2) {
    frames += Http2Frame(1, 0x4, stream, headers);
    frames += Http2Frame(3, 0, stream, std::string("\0\0\0\x8", 4));
  }
  IsCutFor(frames, "http2_reset_rate");
}

TEST_F(FrontTest, AFloodOfPingsIsCut) {
  IsCutFor(Http2Frames(100'000, Http2Frame(6, 0, 0, "12345678")), "http2_ping_rate");
}

TEST_F(FrontTest, AFloodOfSettingsIsCut) {
  IsCutFor(Http2Frames(100'000, Http2Frame(4, 0, 0, "")), "http2_settings_rate");
}

TEST_F(FrontTest, WhatIsNoHttp2IsCutBeforeGrpcSeesIt) {
  RawPeer peer(server_->port(), Files(Role::kCollector, "browser"));
  ASSERT_TRUE(peer.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_TRUE(peer.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("http2_preface") == 1; }));
}

TEST_F(FrontTest, PlainBytesAndClientsWithoutACertificateAreNamedByTheirAddress) {
  RawPeer plain(server_->port());
  ASSERT_TRUE(plain.Send(Http2Opening()));
  EXPECT_TRUE(plain.ClosedWithin(absl::Seconds(20)));
  RawPeer nobody(server_->port(), config::TlsFiles{});
  EXPECT_TRUE(nobody.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("handshake") == 2; }));
  EXPECT_THAT(around_.logger.Text(),
              AllOf(HasSubstr("reason=handshake"), HasSubstr("address=127.0.0.1:")));
  EXPECT_THAT(Call(), IsOk());
}

TEST_F(FrontTest, ARoleThatHasNoBusinessHereIsToldSoAndLogged) {
  RawPeer peer(server_->port(), Files(Role::kNotifier, "mailer"));
  EXPECT_THAT(peer.Read(), HasSubstr("notifier mailer may not connect here; this server takes the "
                                     "role collector or operator"));
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("role") == 1; }));
  EXPECT_THAT(around_.logger.Text(), HasSubstr("name=\"notifier mailer\""));
}

TEST_F(FrontTest, ExpiredAndForeignCertificatesAreRefusedWithTheReason) {
  RawPeer late(server_->port(), certificates_.IssueExpired(Role::kCollector, "late"));
  EXPECT_TRUE(late.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(around_.logger.WaitForText("certificate has expired"));
  const test::TestCertificates others;
  RawPeer foreign(server_->port(), others.Issue(Role::kCollector, "honest"));
  EXPECT_TRUE(foreign.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("handshake") == 2; }));
  EXPECT_THAT(Call(), IsOk());
}

TEST_F(FrontTest, ARevokedCertificateIsRefusedAndItsConnectionsAreCut) {
  const config::TlsFiles files = Files(Role::kCollector, "stolen");
  RawPeer before(server_->port(), files);
  ASSERT_TRUE(before.Send(Http2Opening()));
  ASSERT_FALSE(before.Read(9).empty());
  ASSERT_TRUE(WaitUntil([&] { return Connections("peer") == 2; }));
  // Has shown its certificate, and not begun to speak.
  RawPeer silent(server_->port(), files);
  ASSERT_TRUE(WaitUntil([&] { return Connections("peer") == 3; }));
  certificates_.Revoke(Role::kCollector, "stolen");
  EXPECT_TRUE(before.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(silent.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(around_.logger.WaitForText("the connection was cut: the certificate"));
  RawPeer after(server_->port(), files);
  EXPECT_THAT(after.Read(), HasSubstr("is revoked"));
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("revoked") == 3; }));
  EXPECT_THAT(around_.logger.Text(), HasSubstr("name=\"collector stolen\""));
  EXPECT_THAT(Call(), IsOk());
}

TEST_F(FrontTest, ACallThatItsRoleForbidsIsLoggedAndCounted) {
  ASSERT_OK_AND_ASSIGN(const auto channel,
                       MakeChannel({.peer = {absl::StrCat("127.0.0.1:", server_->port()),
                                             certificates_.Secure(Role::kOperator, "olga")}},
                                   around_.clock));
  honest_ = channel;
  EXPECT_EQ(Call().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(around_.Refused("call"), 1);
  EXPECT_THAT(around_.logger.Text(),
              AllOf(HasSubstr("operator olga may not do this"), HasSubstr("address=127.0.0.1:")));
}

TEST_F(FrontTest, ACallOfAConnectionThatNobodyHasVerifiedIsRefused) {
  // gRPC with a port of its own, past the front.
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  EchoService service(around_.authority, Role::kCollector);
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> past = builder.BuildAndStart();
  ASSERT_OK_AND_ASSIGN(
      honest_,
      MakeChannel({.peer = {absl::StrCat("127.0.0.1:", port), {true, {}}}}, around_.clock));
  EXPECT_EQ(Call().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(around_.Refused("unknown_connection"), 1);
  EXPECT_TRUE(service.callers().empty());
  honest_.reset();
  past->Shutdown();
}

TEST_F(FrontTest, ReflectionIsForPeopleAndHealthForWhoeverMayConnect) {
  const auto check = grpc::health::v1::Health::NewStub(honest_);
  grpc::ClientContext asked;
  grpc::health::v1::HealthCheckResponse health;
  EXPECT_TRUE(check->Check(&asked, {}, &health).ok());
  const auto reflect = [](const std::shared_ptr<grpc::Channel>& channel) {
    grpc::ClientContext context;
    const auto stub = grpc::reflection::v1::ServerReflection::NewStub(channel);
    const auto stream = stub->ServerReflectionInfo(&context);
    grpc::reflection::v1::ServerReflectionRequest request;
    request.set_list_services("");
    stream->Write(request);
    stream->WritesDone();
    grpc::reflection::v1::ServerReflectionResponse response;
    while (stream->Read(&response)) {
    }
    return stream->Finish().error_code();
  };
  EXPECT_EQ(reflect(honest_), grpc::StatusCode::PERMISSION_DENIED);
  ASSERT_OK_AND_ASSIGN(const auto olga,
                       MakeChannel({.peer = {absl::StrCat("127.0.0.1:", server_->port()),
                                             certificates_.Secure(Role::kOperator, "olga")}},
                                   around_.clock));
  EXPECT_EQ(reflect(olga), grpc::StatusCode::OK);
}

TEST_F(FrontTest, ANewCertificateWaitsForItsKeyAndTheOldPairServes) {
  const config::TlsFiles next = Files(Role::kAggregator, "next");
  const auto replace = [](const std::string& from, const std::string& to) {
    std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
  };
  replace(next.cert, served_.cert);
  EXPECT_TRUE(around_.logger.WaitFor("rpc.certificates_unusable"));
  EXPECT_THAT(around_.readiness.Text(), AllOf(HasSubstr("certificates: waiting"),
                                              HasSubstr("does not belong to the certificate")));
  EXPECT_TRUE(around_.readiness.ready());
  RawPeer peer(server_->port(), Files(Role::kCollector, "other"));
  EXPECT_TRUE(peer.connected());
  replace(next.key, served_.key);
  EXPECT_TRUE(around_.logger.WaitFor("rpc.certificates"));
  EXPECT_THAT(around_.readiness.Text(), Not(HasSubstr("certificates")));
  EXPECT_THAT(Call(), IsOk());
}

TEST_F(FrontTest, AFloodOfHalfHandshakesIsCappedAndHonestPeersStillConnect) {
  RawPeer silent(server_->port(), Files(Role::kCollector, "silent"));
  EXPECT_TRUE(silent.connected());
  const std::string hello = test::HalfHello();
  std::vector<std::unique_ptr<RawPeer>> flood;
  for (int i = 0; i < 400; ++i) {
    flood.push_back(std::make_unique<RawPeer>(server_->port()));
    flood.back()->Send(hello);
  }
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("crowded") >= 200; }));
  EXPECT_TRUE(WaitUntil([&] { return Connections("newcomer") > 0; }));
  EXPECT_LE(Connections("newcomer"), 128);
  RawPeer honest(server_->port(), Files(Role::kCollector, "another"));
  EXPECT_TRUE(honest.connected());
  EXPECT_THAT(Call(), IsOk());
  // The last ones are cut after ten seconds.
  EXPECT_TRUE(flood.back()->ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return Connections("newcomer") == 0; }));
  EXPECT_TRUE(around_.logger.WaitForText("it stopped at: handshake"));
  EXPECT_TRUE(silent.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(around_.logger.WaitForText("name=\"collector silent\""));
  EXPECT_THAT(around_.logger.Text(), HasSubstr("it stopped at: preface"));
}

TEST_F(FrontTest, ANameHasAtMostItsConnections) {
  ServerOptions options;
  options.connections.peers_per_name = 3;
  Serve(options);
  const config::TlsFiles files = Files(Role::kCollector, "greedy");
  std::vector<std::unique_ptr<RawPeer>> taken;
  for (int i = 0; i < 3; ++i) {
    taken.push_back(std::make_unique<RawPeer>(server_->port(), files));
    ASSERT_TRUE(taken.back()->Send(Http2Opening()));
    ASSERT_FALSE(taken.back()->Read(9).empty());
  }
  RawPeer more(server_->port(), files);
  EXPECT_THAT(more.Read(), HasSubstr("collector greedy has 3 connections already"));
  EXPECT_THAT(Call(), IsOk());
  taken.pop_back();
  EXPECT_TRUE(WaitUntil([&] {
    RawPeer again(server_->port(), files);
    return again.Send(Http2Opening()) && again.Read(9).size() >= 9 &&
           around_.Refused("name_limit") >= 1;
  }));
}

TEST_F(FrontTest, WhereAllPlacesAreTakenOrKeptANewNameIsToldSo) {
  ServerOptions options;
  options.connections.peers = 4;
  Serve(options);
  std::map<std::string, std::unique_ptr<RawPeer>> inside;
  const auto enter = [&](const std::string& name) {
    auto peer = std::make_unique<RawPeer>(server_->port(), Files(Role::kCollector, name));
    EXPECT_TRUE(peer->Send(Http2Opening()));
    EXPECT_GE(peer->Read(9).size(), 9U);
    inside[name] = std::move(peer);
  };
  for (const char* name : {"first", "second", "third"}) enter(name);
  RawPeer late(server_->port(), Files(Role::kCollector, "late"));
  EXPECT_THAT(late.Read(), HasSubstr("all 4 connections are taken (listen.max_connections)"));
  inside.erase("second");
  ASSERT_TRUE(WaitUntil([&] { return Connections("peer") == 3; }));
  RawPeer later(server_->port(), Files(Role::kCollector, "later"));
  EXPECT_THAT(later.Read(), HasSubstr("kept"));
  enter("second");
  EXPECT_EQ(around_.Refused("full"), 1);
  EXPECT_EQ(around_.Refused("kept"), 1);
  EXPECT_THAT(around_.logger.Text(), HasSubstr("name=\"collector later\""));
  EXPECT_THAT(Call(), IsOk());
}

TEST_F(FrontTest, TheLastDescriptorsAreNotForPeers) {
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
  rlimit tight = old;
  tight.rlim_cur = 400;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  // The test takes all that peers could have.
  std::vector<io::FileDescriptor> taken;
  do {
    taken.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
  } while (taken.back().get() + 1 < io::MaxPeerDescriptor());
  RawPeer refused(server_->port());
  EXPECT_TRUE(refused.ClosedWithin(absl::Seconds(20)));
  EXPECT_TRUE(WaitUntil([&] { return around_.Refused("descriptors") > 0; }));
  // What is kept back is there for the rest of the process, and who is inside goes on.
  std::vector<io::FileDescriptor> kept;
  for (int i = 0; i < 30; ++i) kept.emplace_back(::socket(AF_INET, SOCK_STREAM, 0));
  EXPECT_TRUE(kept.back().valid());
  EXPECT_THAT(Call(), IsOk());
  kept.clear();
  taken.clear();
  RawPeer again(server_->port(), Files(Role::kCollector, "again"));
  EXPECT_TRUE(again.connected());
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
}

}  // namespace
}  // namespace netsentinel::rpc
