#include <atomic>
#include <functional>
#include <set>

#include "common/base/mutex.h"
#include "netsentinel/v1/alerts.grpc.pb.h"
#include "tests/integration/aggregator_fixture.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class AggregatorIngestTest : public AggregatorFixture {};

TEST_F(AggregatorIngestTest, WelcomesWithLeasesBoundariesCadenceAndCredit) {
  Start();
  const auto client = Hello("c1", {"r1", "r2"});
  EXPECT_EQ(welcome_.protocol_version(), 1U);
  EXPECT_THAT(welcome_.aggregator_id(), HasSubstr("aggregator-"));
  EXPECT_GT(welcome_.credit_bytes(), 1U << 20);
  EXPECT_LT(absl::AbsDuration(absl::FromUnixMicros(welcome_.aggregator_time_us()) - absl::Now()),
            absl::Seconds(10));
  ASSERT_EQ(welcome_.routers_size(), 2);
  EXPECT_EQ(welcome_.routers(0).poll_interval_ms(), 7000U);
  EXPECT_EQ(welcome_.routers(1).poll_interval_ms(), 0U);
  EXPECT_GT(Epoch("r1"), 0U);
  EXPECT_NE(Epoch("r1"), Epoch("r2"));
  EXPECT_EQ(welcome_.routers(0).lease().ttl_ms(), 5000U);
  EXPECT_EQ(welcome_.routers(0).resume_points_size(), 0);
  EXPECT_GE(welcome_.routers(0).boundary_us_size(), 44);
  EXPECT_EQ(welcome_.routers(0).boundary_us(0) % 86'400'000'000, 0);
}

TEST_F(AggregatorIngestTest, WelcomesThousandsOfRoutersWithAllTheirBoundaries) {
  constexpr int kRouters = 3000;
  more_site_ = ", cut_times: [\"02:00\", \"06:00\", \"10:00\", \"14:00\", \"18:00\", \"22:00\"]";
  std::vector<std::string> routers;
  for (int i = 0; i < kRouters; ++i) {
    routers.push_back(absl::StrCat("m", i));
    absl::StrAppend(&more_routers_, "  - {id: ", routers.back(),
                    ", site: lab, collectors: [c1]}\n");
  }
  WriteConfig();
  Start();
  const auto client = Hello("c1", routers);
  ASSERT_EQ(welcome_.routers_size(), kRouters);
  std::set<std::uint64_t> epochs;
  for (const v1::RouterWelcome& router : welcome_.routers()) {
    epochs.insert(router.lease().lease_epoch());
    ASSERT_GE(router.boundary_us_size(), 44 * 7);
  }
  EXPECT_EQ(epochs.size(), static_cast<std::size_t>(kRouters));
  client->Send(Snapshot("m2999", 1, 1000));
  EXPECT_EQ(client->ReadAck()->router_id(), "m2999");
  EXPECT_EQ(LogCount("lease_not_renewed"), 0) << Log();
}

TEST_F(AggregatorIngestTest, CountsToTheByteWhatItAcknowledgedAndAReplayNotAgain) {
  Start();
  const auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  ASSERT_EQ(client->ReadAck()->sequence(), 1U);
  const v1::SnapshotFrame second = Snapshot("r1", 2, 1'234'567);
  client->Send(second);
  ASSERT_EQ(client->ReadAck()->sequence(), 2U);
  EXPECT_EQ(Ranking()["r1/alice"], 1'233'567U);
  client->Send(second);
  const auto again = client->ReadAck();
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(again->sequence(), 2U);
  EXPECT_FALSE(again->superseded());
  EXPECT_EQ(Ranking()["r1/alice"], 1'233'567U);
  const auto later = Hello("c1", {"r1"});
  EXPECT_EQ(Resume("r1"), 2U);
  EXPECT_EQ(client->Finish().error_code(), grpc::ABORTED);
}

TEST_F(AggregatorIngestTest, TakesTheCollectorsNameFromItsCertificateOnly) {
  Start();
  const auto liar = Connect("c1");
  liar->Send(test::MakeHello("c2", kSpool, {"r3"}));
  const grpc::Status status = liar->Finish();
  EXPECT_EQ(status.error_code(), grpc::PERMISSION_DENIED);
  EXPECT_THAT(status.error_message(), HasSubstr("the certificate is for collector \"c1\""));

  test::IngestClient viewer(Channel(rpc::Role::kViewer, "eve"));
  viewer.Send(test::MakeHello("eve", kSpool, {}));
  EXPECT_EQ(viewer.Finish().error_code(), grpc::PERMISSION_DENIED);

  grpc::SslCredentialsOptions authority_only;
  authority_only.pem_root_certs =
      test::ReadWhole(certificates_.Issue(rpc::Role::kViewer, "eve").ca);
  const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", ports_.at("grpc")),
                                           grpc::SslCredentials(authority_only));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  v1::ListSitesResponse sites;
  EXPECT_EQ(v1::UsageService::NewStub(channel)
                ->ListSites(&context, v1::ListSitesRequest(), &sites)
                .error_code(),
            grpc::UNAVAILABLE);
}

TEST_F(AggregatorIngestTest, WithoutCertificatesTheHelloNamesTheCollector) {
  insecure_ = true;
  WriteConfig();
  Start();
  config::Security plain;
  plain.insecure = true;
  test::IngestClient client(Channel(plain));
  client.Send(test::MakeHello("c1", kSpool, {"r1", "other"}));
  const auto welcome = client.ReadWelcome();
  ASSERT_TRUE(welcome.has_value()) << Log();
  welcome_ = *welcome;
  ASSERT_EQ(welcome_.routers_size(), 1);
  const auto refusal = client.ReadRefusal();
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->router_id(), "other");
  EXPECT_EQ(refusal->reason(), v1::REFUSAL_REASON_NOT_GRANTED);
  client.Send(Snapshot("r1", 1, 1000));
  EXPECT_EQ(client.ReadAck()->router_id(), "r1");
}

TEST_F(AggregatorIngestTest, RefusesARouterInWordsWhileAnotherOnTheStreamGoesOn) {
  Start();
  const auto client = Connect("c1");
  client->Send(test::MakeHello("c1", kSpool, {"other", "nowhere", "r1"}));
  // Collectors take nothing before the welcome.
  const auto first = client->Read();
  ASSERT_TRUE(first.has_value() && first->has_welcome()) << Log();
  welcome_ = first->welcome();
  ASSERT_EQ(welcome_.routers_size(), 1);
  const auto not_granted = client->ReadRefusal();
  ASSERT_TRUE(not_granted.has_value());
  EXPECT_EQ(not_granted->reason(), v1::REFUSAL_REASON_NOT_GRANTED);
  EXPECT_THAT(not_granted->detail(), HasSubstr("add it to the router's collectors: list"));
  const auto unknown = client->ReadRefusal();
  ASSERT_TRUE(unknown.has_value());
  EXPECT_EQ(unknown->reason(), v1::REFUSAL_REASON_UNKNOWN_ROUTER);
  EXPECT_THAT(unknown->detail(), HasSubstr("\"nowhere\""));
  client->Send(Snapshot("other", 1, 1000));
  EXPECT_EQ(client->ReadRefusal()->reason(), v1::REFUSAL_REASON_NOT_GRANTED);
  client->Send(Snapshot("r1", 1, 1000));
  EXPECT_EQ(client->ReadAck()->router_id(), "r1");
  EXPECT_THAT(Events("other"), ::testing::ElementsAre("refused"));
  EXPECT_EQ(LogCount("ingest.refused"), 2)
      << "the second of \"other\" within a minute is held back";
}

struct Broken {
  const char* name;
  std::function<void(v1::SnapshotFrame&)> spoil;
  v1::RefusalReason reason;
  const char* words;
};

TEST_F(AggregatorIngestTest, RefusesWhatItCannotCountAndLivesOn) {
  const Broken table[] = {
      {"columns", [](auto& f) { f.add_upload(1); }, v1::REFUSAL_REASON_MALFORMED,
       "columns of unequal length"},
      {"uuid", [](auto& f) { f.set_spool_uuid("short"); }, v1::REFUSAL_REASON_MALFORMED,
       "16 bytes"},
      {"differences", [](auto& f) { f.set_absolute(false); }, v1::REFUSAL_REASON_MALFORMED,
       "differences without an absolute snapshot"},
      {"header", [](auto& f) { f.clear_header(); }, v1::REFUSAL_REASON_MALFORMED, "no header"},
      {"part", [](auto& f) { f.set_part(3); }, v1::REFUSAL_REASON_MALFORMED, "part 3"},
      {"count", [](auto& f) { f.mutable_header()->set_queue_count(9); },
       v1::REFUSAL_REASON_MALFORMED, "the header says 9"},
      {"too many", [](auto& f) { f.mutable_header()->set_queue_count(2'000'000); },
       v1::REFUSAL_REASON_TOO_LARGE, "the limit is 1000000"},
      {"name", [](auto& f) { f.mutable_added(0)->set_name(std::string(2049, 'n')); },
       v1::REFUSAL_REASON_TOO_LARGE, "the name of queue row 1 has 2049 bytes"},
      {"device",
       [](auto& f) { f.mutable_header()->mutable_device()->set_version(std::string(70'000, 'v')); },
       v1::REFUSAL_REASON_TOO_LARGE, "a text of the device has 70000 bytes"},
      {"sequence", [](auto& f) { f.set_sequence(1ULL << 63); }, v1::REFUSAL_REASON_MALFORMED,
       "past 2^63-1"},
      {"lease", [](auto& f) { f.set_lease_epoch(f.lease_epoch() + 100); }, v1::REFUSAL_REASON_LEASE,
       "was not granted"},
      {"step",
       [](auto& f) {
         v1::MergedStep* step = f.add_steps();
         *step->mutable_header() = f.header();
         step->add_gone()->set_name(std::string(5000, 'n'));
       },
       v1::REFUSAL_REASON_TOO_LARGE, "has 5000 bytes"},
      {"time", [](auto& f) { f.mutable_header()->set_begin_us(-5); }, v1::REFUSAL_REASON_MALFORMED,
       ""},
  };
  Start();
  const auto client = Hello("c1", {"r1", "r2"});
  std::uint64_t good = 0;
  for (const Broken& row : table) {
    SCOPED_TRACE(row.name);
    v1::SnapshotFrame frame = Snapshot("r1", 1, 1000);
    row.spoil(frame);
    // Beside it a good one, which a commit of both must not take down.
    ASSERT_TRUE(client->Send(frame));
    ++good;
    ASSERT_TRUE(client->Send(Snapshot("r2", good, good * 1000)));
    bool refused = false;
    bool acknowledged = false;
    while (!refused || !acknowledged) {
      const auto response = client->Read();
      ASSERT_TRUE(response.has_value()) << Log();
      if (response->has_refusal()) {
        refused = true;
        EXPECT_EQ(response->refusal().router_id(), "r1");
        EXPECT_EQ(response->refusal().reason(), row.reason) << response->refusal().detail();
        EXPECT_THAT(response->refusal().detail(), HasSubstr(row.words));
      } else if (response->has_ack()) {
        acknowledged = true;
        EXPECT_EQ(response->ack().router_id(), "r2");
      }
    }
  }
  EXPECT_EQ(Ranking()["r2/alice"], (good - 1) * 1000);
  client->Send(Snapshot("r1", 1, 1000));
  EXPECT_EQ(client->ReadAck()->router_id(), "r1");
}

TEST_F(AggregatorIngestTest, TakesASnapshotOfARouterThatWasNeverOfferedForNoLease) {
  Start();
  const auto client = Hello("c1", {"r1"});
  v1::SnapshotFrame frame = Snapshot("r2", 1, 1000);
  frame.set_lease_epoch(0);
  client->Send(frame);
  const auto refusal = client->ReadRefusal();
  ASSERT_TRUE(refusal.has_value()) << Log();
  EXPECT_EQ(refusal->reason(), v1::REFUSAL_REASON_LEASE);
  EXPECT_THAT(refusal->detail(), HasSubstr("offer the router in a hello"));
}

TEST_F(AggregatorIngestTest, ClosesStreamsThatSpeakNoProtocol) {
  Start();
  const auto empty = Hello("c1", {"r1"});
  empty->Send(v1::IngestRequest());
  EXPECT_EQ(empty->Finish().error_code(), grpc::INVALID_ARGUMENT);

  const auto eager = Connect("c1");
  eager->Send(Snapshot("r1", 1, 1000));
  const grpc::Status status = eager->Finish();
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "the first message must be a hello");

  const auto twice = Hello("c1", {"r1"});
  twice->Send(test::MakeHello("c1", kSpool, {"r1"}));
  EXPECT_EQ(twice->Finish().error_code(), grpc::INVALID_ARGUMENT);

  const auto old = Connect("c1");
  v1::Hello hello = test::MakeHello("c1", kSpool, {});
  hello.set_protocol_version(0);
  old->Send(hello);
  EXPECT_EQ(old->Finish().error_code(), grpc::FAILED_PRECONDITION);
}

TEST_F(AggregatorIngestTest, NamesTheSequenceItExpectsAfterAGap) {
  Start();
  const auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  ASSERT_TRUE(client->ReadAck().has_value());
  client->Send(Snapshot("r1", 5, 5000));
  const auto gap = client->ReadRefusal();
  ASSERT_TRUE(gap.has_value());
  EXPECT_EQ(gap->reason(), v1::REFUSAL_REASON_GAP);
  EXPECT_EQ(gap->expected_sequence(), 1U);
}

TEST_F(AggregatorIngestTest, WithinASpoolOnlyTheSequenceOrders) {
  Start();
  const auto client = Hello("c1", {"r1", "r2"});
  client->Send(Snapshot("r2", 1, 1000));
  ASSERT_TRUE(client->ReadAck().has_value());
  v1::SnapshotFrame fallen = Snapshot("r2", 2, 2000);
  fallen.set_lease_epoch(Epoch("r2") - 1);
  client->Send(fallen);
  const auto ack = client->ReadAck();
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->sequence(), 2U);
  client->Send(Snapshot("r1", 1, 1000));
  EXPECT_TRUE(client->ReadAck().has_value());
}

TEST_F(AggregatorIngestTest, ANewSpoolTakesOverFromTheOldOneAndLosesNoByte) {
  Start();
  const std::string old_spool(16, 'a');
  const std::string new_spool(16, 'b');
  const auto send = [&](test::IngestClient& client, const test::ClientPosition& position,
                        std::uint64_t download) {
    client.Send(test::MakeSnapshot(position, {{"alice", 0, download}}, absl::Now()));
    const auto answer = client.Read();
    EXPECT_TRUE(answer.has_value() && answer->has_ack()) << Log();
    return answer.value_or(v1::IngestResponse()).ack();
  };
  auto client = Hello("c1", {"r1"}, old_spool);
  const std::uint64_t old_epoch = Epoch("r1");
  send(*client, {"r1", old_epoch, old_spool, 1, 0}, 1000);
  client = Hello("c1", {"r1"}, new_spool);
  const std::uint64_t new_epoch = Epoch("r1");
  ASSERT_GT(new_epoch, old_epoch);
  // What the old spool still had follows what was committed of it.
  v1::Ack ack = send(*client, {"r1", old_epoch, old_spool, 2, 1}, 3000);
  EXPECT_EQ(ack.sequence(), 2U);
  EXPECT_FALSE(ack.superseded());
  // What the new spool took in before it had a lease of its own is in no order with that.
  ack = send(*client, {"r1", old_epoch, new_spool, 2, 1}, 2000);
  EXPECT_EQ(ack.sequence(), 2U);
  EXPECT_TRUE(ack.superseded());
  ack = send(*client, {"r1", new_epoch, new_spool, 3, 2}, 7000);
  EXPECT_EQ(ack.sequence(), 3U);
  EXPECT_FALSE(ack.superseded());
  EXPECT_THAT(Events("r1"), ::testing::Contains("superseded"));
  EXPECT_EQ(Ranking()["r1/alice"], 6000U);
}

TEST_F(AggregatorIngestTest, GivesASecondCollectorTheLeaseOnlyWhenTheFirstLapses) {
  Start();
  auto first = Hello("c1", {"r3"});
  const std::uint64_t first_epoch = Epoch("r3");
  const auto granted = std::chrono::steady_clock::now();
  const auto second = Hello("c2", {"r3"}, std::string(16, 't'));
  EXPECT_EQ(Epoch("r3"), 0U);
  const auto grant = second->ReadUntil([](const auto& message) { return message.has_grant(); });
  ASSERT_TRUE(grant.has_value());
  EXPECT_EQ(grant->grant().router_id(), "r3");
  EXPECT_GT(grant->grant().lease_epoch(), first_epoch);
  EXPECT_GE(std::chrono::steady_clock::now() - granted, std::chrono::milliseconds(4500));
}

TEST_F(AggregatorIngestTest, DrainsOnSigtermAndExitsClean) {
  Start();
  const auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  ASSERT_TRUE(client->ReadAck().has_value());
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  EXPECT_EQ(client->Finish().error_code(), grpc::UNAVAILABLE);
}

// Keeps what it is given.
class RecordingAlerts final : public v1::AlertService::Service {
 public:
  grpc::Status DeliverBreaches(grpc::ServerContext*, const v1::DeliverBreachesRequest* request,
                               v1::DeliverBreachesResponse* response) override {
    base::MutexLock lock(mutex_);
    for (const v1::Breach& breach : request->breaches()) {
      breaches_.push_back(breach);
      response->add_accepted_ids(breach.breach_id());
    }
    return grpc::Status::OK;
  }
  std::vector<v1::Breach> breaches() const {
    base::MutexLock lock(mutex_);
    return breaches_;
  }

 private:
  mutable base::Mutex mutex_;
  std::vector<v1::Breach> breaches_;
};

// Takes as long as its caller lets it.
class SilentAlerts final : public v1::AlertService::Service {
 public:
  grpc::Status DeliverBreaches(grpc::ServerContext* context, const v1::DeliverBreachesRequest*,
                               v1::DeliverBreachesResponse*) override {
    asked_.store(true);
    test::WaitUntil([&] { return context->IsCancelled(); }, std::chrono::seconds(60));
    return grpc::Status(grpc::StatusCode::CANCELLED, "");
  }
  bool asked() const { return asked_.load(); }

 private:
  std::atomic<bool> asked_{false};
};

TEST_F(AggregatorIngestTest, DrainsInTimeThoughTheNotifierDoesNotAnswer) {
  int port = 0;
  SilentAlerts alerts;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&alerts);
  const auto server = builder.BuildAndStart();
  more_config_ = absl::StrCat("notifier: {target: \"127.0.0.1:", port, "\", insecure: true}\n");
  limit_ = "4000B";
  WriteConfig();
  Start();
  auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  client->Send(Snapshot("r1", 2, 6000));
  ASSERT_EQ(client->ReadAck()->sequence(), 1U);
  ASSERT_EQ(client->ReadAck()->sequence(), 2U);
  ASSERT_TRUE(test::WaitUntil([&] { return alerts.asked(); })) << Log();
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  // A delivery's own deadline is 15 s.
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(10));
  server->Shutdown();
}

TEST_F(AggregatorIngestTest, HandsABreachOverOnceThoughTheNotifierWasDownAndItWasKilled) {
  // A port that nothing listens on until the notifier comes up.
  int port = 0;
  RecordingAlerts alerts;
  const auto serve = [&](int at) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", at), grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(&alerts);
    return builder.BuildAndStart();
  };
  serve(0)->Shutdown();
  more_config_ = absl::StrCat("notifier: {target: \"127.0.0.1:", port, "\", insecure: true}\n");
  WriteConfig();
  Start();
  auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  client->Send(Snapshot("r1", 2, 6000));
  ASSERT_EQ(client->ReadAck()->sequence(), 1U);
  ASSERT_EQ(client->ReadAck()->sequence(), 2U);

  v1::SetQuotaRequest quota;
  quota.mutable_subscriber()->set_site_id("lab");
  quota.mutable_subscriber()->set_router_id("r1");
  quota.mutable_subscriber()->mutable_name()->set_name("alice");
  quota.set_limit_bytes(4000);
  EXPECT_EQ(SetQuota(quota, rpc::Role::kViewer).error_code(), grpc::PERMISSION_DENIED);
  ASSERT_TRUE(SetQuota(quota).ok());
  ASSERT_TRUE(test::WaitUntil([this] { return LogCount("outbox.waiting") > 0; })) << Log();
  Kill();
  Start();
  const auto server = serve(port);
  ASSERT_TRUE(test::WaitUntil([&] { return !alerts.breaches().empty(); }, std::chrono::seconds(90)))
      << Log();
  EXPECT_EQ(alerts.breaches()[0].subscriber().name().name(), "alice");
  EXPECT_EQ(alerts.breaches()[0].limit_bytes(), 4000U);
  EXPECT_EQ(alerts.breaches()[0].used().download_bytes(), 5000U);

  // Further bytes of the same day cross nothing again, and the override can go.
  client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 3, 9000));
  ASSERT_TRUE(client->ReadAck().has_value());
  quota.clear_limit_bytes();
  quota.set_remove(true);
  ASSERT_TRUE(SetQuota(quota).ok());
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListQuotasResponse quotas;
  ASSERT_TRUE(v1::AdminService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                  ->ListQuotas(&context, v1::ListQuotasRequest(), &quotas)
                  .ok());
  EXPECT_EQ(quotas.overrides_size(), 0);
  EXPECT_EQ(aggregator_->Stop(SIGTERM), 0);
  EXPECT_THAT(alerts.breaches(), SizeIs(1));
  server->Shutdown();
}

TEST_F(AggregatorIngestTest, AnswersTheCommandLineInTablesAndJson) {
  Start();
  const auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1 << 20));
  client->Send(Snapshot("r1", 2, 6 << 20));
  ASSERT_EQ(client->ReadAck()->sequence(), 1U);
  ASSERT_EQ(client->ReadAck()->sequence(), 2U);
  const config::TlsFiles files = certificates_.Issue(rpc::Role::kOperator, "olga");
  const auto ctl = [&](std::vector<std::string> words, bool json) {
    for (const std::string& word :
         {std::string("--aggregator"), absl::StrCat("127.0.0.1:", ports_.at("grpc")),
          std::string("--ca"), files.ca, std::string("--cert"), files.cert, std::string("--key"),
          files.key}) {
      words.push_back(word);
    }
    if (json) words.push_back("--json");
    test::Subprocess process(NS_CTL, words);
    EXPECT_EQ(process.Wait(), 0) << words[0] << ": " << process.Stderr();
    return process.Stdout();
  };
  EXPECT_THAT(ctl({"ranking"}, false), HasSubstr("5.00 MiB"));
  EXPECT_THAT(ctl({"ranking"}, true), HasSubstr("\"download_bytes\": \"5242880\""));
  EXPECT_THAT(ctl({"usage", "alice", "--router", "r1"}, false), HasSubstr("5.00 MiB"));
  EXPECT_THAT(ctl({"usage", "alice", "--router", "r1"}, true),
              HasSubstr("\"download_bytes\": \"5242880\""));
  EXPECT_THAT(ctl({"routers"}, false), HasSubstr("c1"));
  EXPECT_THAT(ctl({"routers"}, true), HasSubstr("\"router_id\": \"r2\""));
  EXPECT_THAT(
      ctl({"usage", "alice"}, false),
      AllOf(HasSubstr("alice at site lab on router r1 ("), ContainsRegex("DAY +DOWNLOAD +UPLOAD"),
            HasSubstr("5.00 MiB"), ContainsRegex("r1 +alice +first sight\n")));
  EXPECT_THAT(ctl({"quota", "set", "alice", "--router", "r1", "--limit", "1MiB"}, false),
              HasSubstr("alice at site lab on router r1: quota default is now 1.00 MiB"));
  EXPECT_THAT(ctl({"quota", "list"}, true), HasSubstr("\"limit_bytes\": \"1048576\""));
  EXPECT_THAT(ctl({"quota", "list"}, false),
              ContainsRegex("default +lab +r1 +alice +1\\.00 MiB\n"));
  ASSERT_TRUE(
      test::WaitUntil([&] { return ctl({"breaches"}, false).find("alice") != std::string::npos; }));
  EXPECT_THAT(ctl({"breaches"}, true), HasSubstr("\"quota_id\": \"default\""));
  EXPECT_THAT(ctl({"events"}, false), HasSubstr("WHAT"));
  EXPECT_THAT(ctl({"events"}, true), HasSubstr("\"events\""));
}

}  // namespace
}  // namespace netsentinel
