#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/grpcpp.h>

#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "netsentinel/v1/admin.grpc.pb.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/ingest_client.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace netsentinel {

inline const std::string kSpool(16, 's');

// The real netsentinel-aggregator with mutual TLS and a store of its own. Site "lab" (UTC) has the
// routers r1 and r2 of collector c1, r3 of c1 and c2, and "other" of c2 alone.
class AggregatorFixture : public ::testing::Test {
 protected:
  AggregatorFixture() { WriteConfig(); }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void WriteConfig() {
    const config::TlsFiles files = certificates_.Issue(rpc::Role::kAggregator, "agg");
    std::ofstream file(Path("aggregator.yaml"));
    file << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n"
         << (insecure_ ? "insecure: true\n" : "") << (insecure_ ? "# " : "")
         << "tls: {ca: " << files.ca << ", cert: " << files.cert << ", key: " << files.key << "}\n"
         << "store: {url: \"" << store_url_ << "\", flush_interval: " << flush_interval_
         << ", lease_ttl: 1s}\n"
         << "router_lease_ttl: 5s\n"
         << "sites: [{id: lab, time_zone: " << time_zone_ << more_site_ << "}]\n"
         << "routers:\n"
         << "  - {id: r1, site: lab, collectors: [c1], line_rate: 1000Gbps, poll_interval: 7s}\n"
         << "  - {id: r2, site: lab, collectors: [c1], line_rate: 1000Gbps}\n"
         << "  - {id: r3, site: lab, collectors: [c1, c2], line_rate: 1000Gbps}\n"
         << "  - {id: other, site: lab, collectors: [c2]}\n"
         << more_routers_ << "quota: {default: {period: day, basis: download, limit: " << limit_
         << "}}\n"
         << more_config_;
  }
  void Start() {
    std::filesystem::remove(Path("ports"));
    aggregator_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_AGGREGATOR, "--config", Path("aggregator.yaml"), "--ports-file",
                                 Path("ports")},
        Path("log"));
    ports_ = test::WaitForPorts(Path("ports"));
    ASSERT_TRUE(ports_.contains("grpc")) << Log();
    ASSERT_TRUE(test::WaitUntil([this] { return LogCount("ingest.recovered") > recovered_; }))
        << Log();
    recovered_ = LogCount("ingest.recovered");
  }
  void Kill() {
    aggregator_->Stop(SIGKILL);
    aggregator_.reset();
  }
  std::string Log() const { return test::ReadWhole(Path("log")); }
  int LogCount(const std::string& word) const {
    const std::string log = Log();
    int count = 0;
    for (std::size_t at = log.find(word); at != std::string::npos; at = log.find(word, at + 1)) {
      ++count;
    }
    return count;
  }

  std::shared_ptr<grpc::Channel> Channel(const config::Security& security) {
    rpc::ChannelOptions options;
    options.peer.target = absl::StrCat("127.0.0.1:", ports_.at("grpc"));
    options.peer.security = security;
    options.max_reconnect_backoff = absl::Milliseconds(200);
    options.max_receive_bytes = 64 << 20;  // as a collector's
    auto channel = rpc::MakeChannel(options, clock_);
    EXPECT_TRUE(channel.ok()) << channel.status();
    return *std::move(channel);
  }
  std::shared_ptr<grpc::Channel> Channel(rpc::Role role, const std::string& name) {
    return Channel(certificates_.Secure(role, name));
  }
  std::unique_ptr<test::IngestClient> Connect(const std::string& collector) {
    return std::make_unique<test::IngestClient>(Channel(rpc::Role::kCollector, collector));
  }
  // Connects and says hello; the welcome goes to `welcome_`.
  std::unique_ptr<test::IngestClient> Hello(const std::string& collector,
                                            const std::vector<std::string>& routers,
                                            const std::string& spool = kSpool) {
    auto client = Connect(collector);
    client->Send(test::MakeHello(collector, spool, routers));
    const auto welcome = client->ReadWelcome();
    EXPECT_TRUE(welcome.has_value()) << Log();
    welcome_ = welcome.value_or(v1::Welcome());
    return client;
  }
  std::uint64_t Epoch(const std::string& router) const {
    for (const v1::RouterWelcome& one : welcome_.routers()) {
      if (one.router_id() == router) return one.lease().lease_epoch();
    }
    return 0;
  }
  std::uint64_t Resume(const std::string& router) const {
    for (const v1::RouterWelcome& one : welcome_.routers()) {
      if (one.router_id() == router && one.resume_points_size() > 0) {
        return one.resume_points(0).sequence();
      }
    }
    return 0;
  }
  // A snapshot of `router` with one queue, following the one before.
  v1::SnapshotFrame Snapshot(const std::string& router, std::uint64_t sequence,
                             std::uint64_t download, const std::string& name = "alice") {
    return test::MakeSnapshot({router, Epoch(router), kSpool, sequence, sequence - 1},
                              {{name, download / 2, download}}, absl::Now());
  }

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context.set_wait_for_ready(true);
  }
  // Download bytes by "router/name" of yesterday and today, so that no midnight divides a test.
  std::map<std::string, std::uint64_t> Ranking() {
    v1::GetRankingRequest request;
    request.set_site_id("lab");
    request.set_limit(10'000);
    request.set_first_day(
        absl::FormatTime("%Y-%m-%d", absl::Now() - absl::Hours(24), absl::UTCTimeZone()));
    request.set_last_day(absl::FormatTime("%Y-%m-%d", absl::Now(), absl::UTCTimeZone()));
    grpc::ClientContext context;
    SetDeadline(context);
    v1::GetRankingResponse response;
    const grpc::Status status = v1::UsageService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                                    ->GetRanking(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::map<std::string, std::uint64_t> figures;
    for (const v1::RankingRow& row : response.rows()) {
      figures[row.subscriber().router_id() + "/" + row.subscriber().name().name()] =
          row.usage().counted().download_bytes();
    }
    return figures;
  }
  // Kinds of a router's events, newest first.
  std::vector<std::string> Events(const std::string& router) {
    v1::ListEventsRequest request;
    request.set_router_id(router);
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListEventsResponse response;
    const grpc::Status status = v1::UsageService::NewStub(Channel(rpc::Role::kViewer, "eve"))
                                    ->ListEvents(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<std::string> kinds;
    for (const v1::Event& event : response.events()) kinds.push_back(event.kind());
    return kinds;
  }
  grpc::Status SetQuota(const v1::SetQuotaRequest& request, rpc::Role role = rpc::Role::kOperator) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::SetQuotaResponse response;
    return v1::AdminService::NewStub(Channel(role, "olga"))->SetQuota(&context, request, &response);
  }

  test::TempFolder folder_;
  test::TestCertificates certificates_;
  io::SystemClock clock_;
  std::string store_url_ = "sqlite://" + folder_.path() + "/store.db";
  bool insecure_ = false;
  std::string time_zone_ = "UTC";
  std::string flush_interval_ = "100ms";
  std::string limit_ = "1TiB";
  std::string more_site_, more_routers_, more_config_;
  std::unique_ptr<test::ChildProcess> aggregator_;
  std::map<std::string, std::uint16_t> ports_;
  int recovered_ = 0;
  v1::Welcome welcome_;
};

}  // namespace netsentinel
