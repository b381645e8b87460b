#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>

#include "common/http/client.h"
#include "netsentinel/v1/alerts.grpc.pb.h"
#include "tests/integration/aggregator_fixture.h"
#include "tests/support/grpc_health.h"
#include "tests/support/mariadb_server.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// What the aggregator says of itself while what it needs is away.
class AggregatorStartupTest : public AggregatorFixture {
 protected:
  // Starts it without waiting for more than its ports.
  void Launch() {
    aggregator_ = LaunchAs("ports");
    ports_ = test::WaitForPorts(Path("ports"));
    ASSERT_TRUE(ports_.contains("grpc")) << Log();
  }
  std::unique_ptr<test::ChildProcess> LaunchAs(const std::string& ports) {
    return std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_AGGREGATOR, "--config", Path("aggregator.yaml"), "--ports-file",
                                 Path(ports)},
        Path("log"));
  }
  std::string Get(const std::string& path, std::uint16_t port = 0) {
    const auto answer =
        http::Fetch({.host = "127.0.0.1", .port = port == 0 ? ports_.at("http") : port}, path);
    return answer.ok() ? absl::StrCat(answer->status, " ", answer->body)
                       : answer.status().ToString();
  }
  bool WaitForReadyz(const std::string& part) {
    return test::WaitUntil([&] { return Get("/readyz").find(part) != std::string::npos; },
                           std::chrono::seconds(60));
  }
  std::string Health() { return test::GrpcHealth(Channel(rpc::Role::kViewer, "eve")); }
  void UseMariaDb() {
    auto database = test::MariaDbServer::Start();
    ASSERT_TRUE(database.ok()) << database.status();
    database_ = *std::move(database);
    ASSERT_TRUE(database_->Run("CREATE DATABASE netsentinel CHARACTER SET utf8mb4").ok());
    store_url_ = absl::StrCat("mysql://root@127.0.0.1:", database_->port(), "/netsentinel");
    WriteConfig();
  }
  // Starts it beside a notifier that takes breaches as `alerts` does.
  std::unique_ptr<grpc::Server> StartBesideNotifier(v1::AlertService::Service& alerts) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&alerts);
    auto notifier = builder.BuildAndStart();
    more_config_ = absl::StrCat("notifier: {target: \"127.0.0.1:", port, "\", insecure: true}\n");
    WriteConfig();
    Start();
    return notifier;
  }
  void CauseABreach() {
    auto client = Hello("c1", {"r1"});
    client->Send(Snapshot("r1", 1, 1000));
    client->Send(Snapshot("r1", 2, 6000));
    ASSERT_TRUE(client->ReadAck().has_value());
    ASSERT_TRUE(client->ReadAck().has_value());
    v1::SetQuotaRequest quota;
    quota.mutable_subscriber()->set_router_id("r1");
    quota.mutable_subscriber()->mutable_name()->set_name("alice");
    quota.set_limit_bytes(4000);
    ASSERT_TRUE(SetQuota(quota).ok());
  }
  void Reload() { ::kill(aggregator_->pid(), SIGHUP); }
  // The exit code of netsentinelctl and what it says.
  std::string Ctl(std::vector<std::string> words, std::uint16_t port) {
    const config::TlsFiles files = certificates_.Issue(rpc::Role::kViewer, "eve");
    for (const std::string& word :
         {std::string("--aggregator"), absl::StrCat("127.0.0.1:", port), std::string("--ca"),
          files.ca, std::string("--cert"), files.cert, std::string("--key"), files.key}) {
      words.push_back(word);
    }
    test::Subprocess process(NS_CTL, words);
    const int code = process.Wait();
    return absl::StrCat(code, " ", process.Stdout(), process.Stderr());
  }
  // What the figures are asked for is refused in words, not answered with an empty table.
  void ExpectNoFigures(std::uint16_t port) {
    for (const std::vector<std::string>& question :
         {std::vector<std::string>{"ranking"}, {"usage", "alice", "--router", "r1"}, {"routers"}}) {
      EXPECT_THAT(Ctl(question, port),
                  AllOf(StartsWith("1 "), HasSubstr("this aggregator has no figures: it is a"
                                                    " standby")))
          << question[0];
    }
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListSitesResponse sites;
    const std::map<std::string, std::uint16_t> ports = std::exchange(ports_, {{"grpc", port}});
    EXPECT_EQ(v1::UsageService::NewStub(Channel(rpc::Role::kNotifier, "notifier"))
                  ->ListSites(&context, v1::ListSitesRequest(), &sites)
                  .error_code(),
              grpc::UNAVAILABLE);
    ports_ = ports;
  }

  std::unique_ptr<test::MariaDbServer> database_;
};

TEST_F(AggregatorStartupTest, LivesWithoutItsDatabaseAndGoesOnWhenThatComes) {
  UseMariaDb();
  database_->Kill();
  Launch();
  EXPECT_TRUE(WaitForReadyz("; trying again")) << Get("/readyz");
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("503 "), HasSubstr("store: not ready: ")));
  EXPECT_EQ(Get("/healthz"), "200 alive\n");
  EXPECT_EQ(Health(), "NOT_SERVING");
  // Questions are answered in words.
  v1::SetQuotaRequest quota;
  quota.mutable_subscriber()->set_router_id("r1");
  quota.mutable_subscriber()->mutable_name()->set_name("alice");
  quota.set_limit_bytes(4000);
  EXPECT_EQ(SetQuota(quota).error_code(), grpc::UNAVAILABLE);
  // A policy that changes meanwhile is not forgotten.
  more_routers_ = "  - {id: late, site: lab, collectors: [c1]}\n";
  WriteConfig();
  Reload();
  ASSERT_TRUE(test::WaitUntil([this] { return LogCount("shell.reloaded") == 1; })) << Log();

  ASSERT_TRUE(database_->Restart().ok());
  EXPECT_TRUE(WaitForReadyz("200 ready")) << Get("/readyz");
  EXPECT_TRUE(test::WaitUntil([this] { return Health() == "SERVING"; }));
  EXPECT_THAT(Get("/metrics"),
              AllOf(HasSubstr("netsentinel_loop_silence_seconds{loop=\"engine\"}"),
                    HasSubstr("netsentinel_condition_holds{condition=\"store\"} 1\n")));
  EXPECT_TRUE(SetQuota(quota).ok());
  EXPECT_TRUE(test::WaitUntil([this] { return LogCount("policy.imported") == 2; })) << Log();
  Hello("c1", {"late"});
  EXPECT_GT(Epoch("late"), 0U);

  database_->Kill();
  EXPECT_TRUE(WaitForReadyz("503 ")) << Get("/readyz");
  EXPECT_TRUE(test::WaitUntil([this] { return Health() == "NOT_SERVING"; }));
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
}

TEST_F(AggregatorStartupTest, AnOlderSchemaIsLeftToItsAggregatorUntilThatOneEnds) {
  UseMariaDb();
  Launch();
  ASSERT_TRUE(WaitForReadyz("200 ready")) << Get("/readyz");
  ASSERT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  // The active one of the version before, which goes on extending its lease.
  ASSERT_TRUE(database_
                  ->Run("USE netsentinel; DELETE FROM schema_version WHERE version > 4;"
                        " DROP TABLE read_days; UPDATE lease SET holder = 'the old one',"
                        " until_us = (UNIX_TIMESTAMP() + 1800) * 1000000")
                  .ok());
  aggregator_ = LaunchAs("ports-2");
  ports_ = test::WaitForPorts(Path("ports-2"));
  EXPECT_TRUE(
      WaitForReadyz("the database schema is version 4, this program writes 6: it is changed"
                    " when the active aggregator stops; to upgrade, stop that one now (the"
                    " old one holds the lease"))
      << Get("/readyz");
  EXPECT_TRUE(
      database_->Run("USE netsentinel; INSERT INTO read_days VALUES ('a', '2026-01-01', 'r')")
          .ToString()
          .find("doesn't exist") != std::string::npos);
  ASSERT_TRUE(database_->Run("USE netsentinel; UPDATE lease SET holder = ''").ok());
  EXPECT_TRUE(WaitForReadyz("200 ready")) << Get("/readyz");
  EXPECT_EQ(LogCount("store.schema_waits"), 1) << Log();
  EXPECT_EQ(LogCount("step 5 of 6 is done"), 1) << Log();
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
}

TEST_F(AggregatorStartupTest, StopsAtOnceWhileItWaitsForItsDatabase) {
  UseMariaDb();
  database_->Kill();
  Launch();
  EXPECT_TRUE(WaitForReadyz("; trying again"));
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
}

TEST_F(AggregatorStartupTest, WaitsWhenItsDatabaseGoesAwayWhileItReadsTheStateBack) {
  UseMariaDb();
  Launch();
  ASSERT_TRUE(WaitForReadyz("200 ready")) << Log();
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  std::filesystem::remove(Path("ports"));
  // Somebody holds a table that is read between the lease and the first snapshot.
  test::ChildProcess holder(
      {"/usr/bin/mariadb", "--no-defaults", "-uroot", "-S" + database_->socket_path(),
       "-eLOCK TABLES netsentinel.quota_overrides WRITE; SELECT SLEEP(600)"},
      Path("holder-log"));
  ASSERT_TRUE(test::WaitUntil([this] {
    return !database_
                ->Run("SET lock_wait_timeout = 1; SELECT COUNT(*) FROM netsentinel.quota_overrides")
                .ok();
  }));
  Launch();
  ASSERT_TRUE(test::WaitUntil([this] { return LogCount("store.lease_taken") == 2; })) << Log();
  EXPECT_THAT(Get("/readyz"), StartsWith("503 "));
  ExpectNoFigures(ports_.at("grpc"));
  database_->Kill();
  EXPECT_TRUE(WaitForReadyz("; trying again")) << Log();
  EXPECT_TRUE(aggregator_->Running()) << Log();
  ASSERT_TRUE(database_->Restart().ok());
  EXPECT_TRUE(WaitForReadyz("200 ready")) << Log();
  EXPECT_EQ(LogCount("ingest.recovered"), 2) << Log();
}

TEST_F(AggregatorStartupTest, ARefusedDatabasePasswordIsNotLogged) {
  constexpr char kSecret[] = "correct-horse-battery-staple";
  UseMariaDb();
  std::ofstream(Path("password")) << kSecret << "\n";
  std::filesystem::permissions(Path("password"), std::filesystem::perms(0600));
  store_url_ = absl::StrCat("mysql://nobody@127.0.0.1:", database_->port(),
                            "/netsentinel\", password_file: \"password");
  WriteConfig();
  Launch();
  EXPECT_TRUE(test::WaitUntil([this] { return LogCount("Access denied") > 0; })) << Log();
  aggregator_->Stop(SIGTERM);
  EXPECT_THAT(Log(), Not(HasSubstr(kSecret)));
}

TEST_F(AggregatorStartupTest, AStandbyIsAliveAndNotServing) {
  UseMariaDb();
  Launch();
  ASSERT_TRUE(WaitForReadyz("200 ready")) << Log();
  const auto standby = LaunchAs("ports-2");
  const auto ports = test::WaitForPorts(Path("ports-2"));
  ASSERT_TRUE(ports.contains("http")) << Log();
  EXPECT_TRUE(test::WaitUntil([&] {
    return Get("/readyz", ports.at("http")).find(" holds the lease for another ") !=
           std::string::npos;
  })) << Get("/readyz", ports.at("http"));
  EXPECT_EQ(Get("/healthz", ports.at("http")), "200 alive\n");
  // One line, however long it stands by.
  EXPECT_TRUE(test::WaitUntil([this] { return LogCount("standing by: aggregator-") == 1; }))
      << Log();
  EXPECT_THAT(Log(),
              testing::ContainsRegex("level=info .*standing by: aggregator-.* holds the lease"));
  ExpectNoFigures(ports.at("grpc"));
  EXPECT_THAT(Ctl({"events"}, ports.at("grpc")), StartsWith("0 "));  // those are in the store
  EXPECT_THAT(Ctl({"ranking"}, ports_.at("grpc")), StartsWith("0 "));
  const std::map<std::string, std::uint16_t> first = std::exchange(ports_, ports);
  EXPECT_EQ(Health(), "NOT_SERVING");
  ports_ = first;
  EXPECT_EQ(Health(), "SERVING");
  EXPECT_EQ(LogCount("standing by: "), 1) << Log();
  // It takes over when the active one goes.
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  ports_ = ports;
  EXPECT_TRUE(WaitForReadyz("200 ready")) << Log();
  EXPECT_TRUE(test::WaitUntil([this] { return Health() == "SERVING"; }));
}

TEST_F(AggregatorStartupTest, ANotifierThatIsAwayIsShownAndDoesNotMakeItUnready) {
  // A port that nobody listens on any more.
  int port = 0;
  {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    grpc::AsyncGenericService nobody;
    builder.RegisterAsyncGenericService(&nobody);
    const auto queue = builder.AddCompletionQueue();
    const auto server = builder.BuildAndStart();
    server->Shutdown();
    queue->Shutdown();
  }
  more_config_ = absl::StrCat("notifier: {target: \"127.0.0.1:", port, "\", insecure: true}\n");
  WriteConfig();
  Start();
  CauseABreach();
  EXPECT_TRUE(WaitForReadyz("notifier: waiting: 1 breaches wait")) << Get("/readyz");
  EXPECT_THAT(Get("/readyz"), StartsWith("200 ready\n"));
  EXPECT_THAT(Get("/metrics"),
              AllOf(HasSubstr("netsentinel_condition_holds{condition=\"notifier\"} 0\n"),
                    HasSubstr("netsentinel_loop_silence_seconds{loop=\"outbox\"}")));
  EXPECT_GT(LogCount("outbox.waiting"), 0);
  EXPECT_EQ(Health(), "SERVING");
}

// Takes a call and answers it when the caller has gone.
class StuckAlerts final : public v1::AlertService::Service {
 public:
  grpc::Status DeliverBreaches(grpc::ServerContext* context, const v1::DeliverBreachesRequest*,
                               v1::DeliverBreachesResponse*) override {
    called_ = true;
    test::WaitUntil([&] { return context->IsCancelled(); }, std::chrono::seconds(60));
    return grpc::Status::CANCELLED;
  }
  bool called() const { return called_; }

 private:
  std::atomic<bool> called_{false};
};

TEST_F(AggregatorStartupTest, ANotifierThatHangsDoesNotHoldUpAStop) {
  StuckAlerts alerts;
  const auto notifier = StartBesideNotifier(alerts);
  CauseABreach();
  ASSERT_TRUE(test::WaitUntil([&] { return alerts.called(); })) << Log();
  // Beyond the shell's limit the exit code would be another.
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  notifier->Shutdown();
}

// Refuses everything for good.
class RejectingAlerts final : public v1::AlertService::Service {
 public:
  grpc::Status DeliverBreaches(grpc::ServerContext*, const v1::DeliverBreachesRequest* request,
                               v1::DeliverBreachesResponse* response) override {
    for (const v1::Breach& breach : request->breaches()) {
      v1::RejectedBreach* rejected = response->add_rejected();
      rejected->set_breach_id(breach.breach_id());
      rejected->set_reason("quota_id: longer than 64 bytes");
    }
    return grpc::Status::OK;
  }
};

TEST_F(AggregatorStartupTest, ABreachThatTheNotifierRejectsShowsTheReason) {
  RejectingAlerts alerts;
  const auto notifier = StartBesideNotifier(alerts);
  CauseABreach();
  std::string answer;
  EXPECT_TRUE(test::WaitUntil([&] {
    answer = Ctl({"breaches"}, ports_.at("grpc"));
    return answer.find("rejected: quota_id: longer than 64 bytes") != std::string::npos;
  })) << answer;
  EXPECT_THAT(Ctl({"breaches", "--json"}, ports_.at("grpc")),
              HasSubstr("\"delivery_detail\": \"quota_id: longer than 64 bytes\""));
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  notifier->Shutdown();
}

TEST_F(AggregatorStartupTest, AReloadNamesWhatItCannotTakeOver) {
  Start();
  more_config_ = "retention: {daily: 20d, monthly: 30mo}\n";
  store_url_ += "2";
  WriteConfig();
  Reload();
  EXPECT_TRUE(test::WaitUntil([this] {
    return LogCount("store.url, retention.daily, retention.monthly change only with a restart") ==
           1;
  })) << Log();
}

TEST_F(AggregatorStartupTest, ShowsWhenItsCertificatesEnd) {
  Start();
  EXPECT_THAT(Get("/metrics"), HasSubstr("netsentinel_certificate_expiry_timestamp_seconds{file="));
  EXPECT_GT(LogCount("certificate.expiring"), 0);
}

TEST_F(AggregatorStartupTest, TheCheckFindsFilesThatCannotBeUsed) {
  const auto check = [this] {
    test::Subprocess process(NS_AGGREGATOR,
                             {"--config", Path("aggregator.yaml"), "--check-config"});
    const int code = process.Wait();
    return absl::StrCat(code, " ", process.Stdout(), process.Stderr());
  };
  EXPECT_THAT(check(), StartsWith("0 "));
  more_config_ =
      "notifier: {target: \"n.example:7444\", tls: {ca: n.ca, cert: n.crt, key: n.key}}\n";
  WriteConfig();
  EXPECT_THAT(check(), AllOf(StartsWith("2 "), HasSubstr("n.ca")));
  more_config_.clear();
  const std::string sqlite = store_url_;
  for (const char* key : {"ca", "password_file"}) {
    // The quote that the fixture puts behind the URL ends this value.
    store_url_ = absl::StrCat("mysql://u@db.example/ns\", ", key, ": \"none");
    WriteConfig();
    EXPECT_THAT(check(), AllOf(StartsWith("2 "), HasSubstr(Path("none")))) << key;
  }
  store_url_ = sqlite;
  WriteConfig();
  certificates_.IssueExpired(rpc::Role::kAggregator, "agg");
  EXPECT_THAT(check(), AllOf(StartsWith("2 "), HasSubstr("expired on")));
}

}  // namespace
}  // namespace netsentinel
