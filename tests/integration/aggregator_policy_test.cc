#include "tests/integration/aggregator_fixture.h"

// A configuration that changes while the aggregator runs and while it does not.
namespace netsentinel {
namespace {

class AggregatorPolicyTest : public AggregatorFixture {};

TEST_F(AggregatorPolicyTest, TakesOverAChangedConfigurationAndKeepsTheOldForABrokenOne) {
  Start();
  auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  ASSERT_TRUE(client->ReadAck().has_value());
  more_routers_ = "  - {id: r9, site: lab, collectors: [c1]}\n";
  WriteConfig();
  ::kill(aggregator_->pid(), SIGHUP);
  EXPECT_EQ(client->Finish().error_code(), grpc::UNAVAILABLE);
  client = Hello("c1", {"r1", "r9"});
  EXPECT_GT(Epoch("r9"), 0U);
  EXPECT_EQ(Resume("r1"), 1U);
  client->Send(Snapshot("r1", 2, 2000));
  ASSERT_TRUE(client->ReadAck().has_value());

  more_routers_ = "  - {id: r10, site: nowhere, collectors: [c1]}\n";
  WriteConfig();
  ::kill(aggregator_->pid(), SIGHUP);
  ASSERT_TRUE(test::WaitUntil([this] { return LogCount("there is no site") > 0; })) << Log();
  client->Send(Snapshot("r1", 3, 3000));
  ASSERT_TRUE(client->ReadAck().has_value());
  EXPECT_EQ(Ranking()["r1/alice"], 2000U);
}

TEST_F(AggregatorPolicyTest, AChangedTimeZoneTakesEffectAtTheNextBoundaryThoughItWasRestarted) {
  // All of it has to lie within one day: the last minutes of one are let pass.
  const auto ends_soon = [] {
    return absl::ToCivilDay(absl::Now() + absl::Minutes(2), absl::UTCTimeZone()) !=
           absl::ToCivilDay(absl::Now(), absl::UTCTimeZone());
  };
  ASSERT_TRUE(test::WaitUntil([&] { return !ends_soon(); }, std::chrono::minutes(3)));
  const absl::CivilHour utc = absl::ToCivilHour(absl::Now(), absl::UTCTimeZone());
  const absl::CivilDay today(utc);
  // A zone in which it is another day now.
  const bool ahead = utc.hour() >= 12;
  Start();
  auto client = Hello("c1", {"r1"});
  client->Send(Snapshot("r1", 1, 1000));
  ASSERT_TRUE(client->ReadAck().has_value());
  ASSERT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  time_zone_ = ahead ? "Pacific/Kiritimati" : "Etc/GMT+12";
  WriteConfig();
  for (std::uint64_t sequence = 2; sequence <= 3; ++sequence) {
    Start();
    client = Hello("c1", {"r1"});
    client->Send(Snapshot("r1", sequence, sequence * 1000));
    ASSERT_TRUE(client->ReadAck().has_value());
    ASSERT_EQ(aggregator_->Stop(SIGTERM), 0) << Log();
  }
  Start();
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListSitesResponse sites;
  ASSERT_TRUE(v1::UsageService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                  ->ListSites(&context, v1::ListSitesRequest(), &sites)
                  .ok());
  ASSERT_EQ(sites.sites_size(), 1);
  EXPECT_EQ(sites.sites(0).current_day(), absl::FormatCivilTime(today));
  const std::int64_t midnight = absl::ToUnixMicros(absl::FromCivil(today + 1, absl::UTCTimeZone()));
  // Behind UTC the new rule's day at that midnight has the same date and runs on to its own end.
  EXPECT_EQ(sites.sites(0).day_end_us(), midnight + (ahead ? 0 : 12 * 3'600'000'000LL));
  EXPECT_EQ(sites.sites(0).day_begin_us(), midnight - 24 * 3'600'000'000LL);
  v1::GetSubscriberUsageRequest request;
  request.mutable_subscriber()->set_router_id("r1");
  request.mutable_subscriber()->mutable_name()->set_name("alice");
  request.set_first_day(absl::FormatCivilTime(today - 1));
  grpc::ClientContext usage_context;
  SetDeadline(usage_context);
  v1::GetSubscriberUsageResponse usage;
  ASSERT_TRUE(v1::UsageService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                  ->GetSubscriberUsage(&usage_context, request, &usage)
                  .ok());
  ASSERT_EQ(usage.days_size(), 1);
  EXPECT_EQ(usage.days(0).day(), absl::FormatCivilTime(today));
  EXPECT_EQ(usage.days(0).usage().counted().download_bytes(), 2000U);
}

TEST_F(AggregatorPolicyTest, CountsTheJournalUnderThePolicyItWasCommittedUnder) {
  flush_interval_ = "60s";
  more_routers_ = "  - {id: r9, site: lab, collectors: [c1]}\n";
  WriteConfig();
  Start();
  auto client = Hello("c1", {"r1", "r9"});
  for (const char* router : {"r1", "r9"}) {
    client->Send(Snapshot(router, 1, 1000));
    ASSERT_TRUE(client->ReadAck().has_value());
    client->Send(Snapshot(router, 2, 6000));
    ASSERT_TRUE(client->ReadAck().has_value());
  }
  Kill();
  more_routers_ = "";
  more_config_ = "map: [{menu: simple, name: alice, subscriber: bob}]\n";
  WriteConfig();
  Start();
  client = Hello("c1", {"r1"});
  EXPECT_EQ(Resume("r1"), 2U);
  client->Send(Snapshot("r1", 3, 8000));
  ASSERT_EQ(client->ReadAck()->sequence(), 3U);
  const std::map<std::string, std::uint64_t> figures = {
      {"r1/alice", 5000}, {"r1/bob", 2000}, {"r9/alice", 5000}};
  EXPECT_EQ(Ranking(), figures) << Log();
  EXPECT_EQ(LogCount("policy.imported"), 2);
  Kill();
  Start();
  EXPECT_EQ(Ranking(), figures) << Log();
  EXPECT_EQ(LogCount("policy.imported"), 2);
}

}  // namespace
}  // namespace netsentinel
