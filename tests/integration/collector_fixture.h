#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "common/io/files.h"
#include "tests/integration/aggregator_fixture.h"
#include "tests/support/status_matchers.h"

namespace netsentinel {

// The real netsentinel-collector c1 between simulated routers and the real aggregator.
class CollectorFixture : public AggregatorFixture {
 protected:
  // A router of the simulator: its id and further keys of its scenario.
  using Router = std::pair<std::string, std::string>;

  CollectorFixture() {
    EXPECT_THAT(io::WriteFileDurably(Path("password"), "pw", 0600), test::IsOk());
  }
  void StartSimulator(const std::vector<Router>& routers,
                      const std::vector<std::string>& more_words = {}) {
    std::ofstream scenario(Path("routers.yaml"));
    scenario << "routers:\n";
    routers_.clear();
    for (const auto& [router, keys] : routers) {
      scenario << "  - {id: " << router
               << ", users: [{name: ns, password: pw, policies: [read, api]}], " << keys << "}\n";
      routers_.push_back(router);
    }
    scenario.close();
    std::vector<std::string> words = {NS_SIMULATOR, "--scenario", Path("routers.yaml"),
                                      "--ports-file", Path("routers.json")};
    words.insert(words.end(), more_words.begin(), more_words.end());
    simulator_ = std::make_unique<test::ChildProcess>(words, Path("simulator.log"));
    ASSERT_TRUE(test::WaitUntil([this] { return io::Exists(Path("routers.json")); }))
        << test::ReadWhole(Path("simulator.log"));
  }
  // The `api` port of a router in the simulator's ports file.
  int RouterPort(const std::string& router) const {
    const std::string text = test::ReadWhole(Path("routers.json"));
    const std::size_t at = text.find("\"api\"", text.find(absl::StrCat("\"", router, "\"")));
    const std::size_t first = text.find_first_of("0123456789", at);
    int port = 0;
    EXPECT_TRUE(absl::SimpleAtoi(
        text.substr(first, text.find_first_not_of("0123456789", first) - first), &port))
        << text;
    return port;
  }
  // Reads every simulated router once a second; `more_keys` goes to each, such as "queues: [tree]".
  void StartCollector(const std::string& more_keys = "") {
    const config::TlsFiles files = certificates_.Issue(rpc::Role::kCollector, "c1");
    std::ofstream file(Path("collector.yaml"));
    file << "collector: {id: c1, state_dir: " << Path("state") << "}\n"
         << "aggregator: {target: \"127.0.0.1:" << ports_.at("grpc") << "\", tls: {ca: " << files.ca
         << ", cert: " << files.cert << ", key: " << files.key << "}}\n"
         << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nrouters:\n";
    for (const std::string& router : routers_) {
      file << "  - {id: " << router << ", address: \"127.0.0.1:" << RouterPort(router)
           << "\", transport: api, username: ns, password_file: " << Path("password")
           << ", poll_interval: 1s" << (more_keys.empty() ? "" : ", ") << more_keys << "}\n";
    }
    file << more_collector_routers_;
    file.close();
    collector_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_COLLECTOR, "--config", Path("collector.yaml")},
        Path("collector.log"));
  }
  std::string CollectorLog() const { return test::ReadWhole(Path("collector.log")); }

  std::vector<std::string> routers_;    // those of the simulator
  std::string more_collector_routers_;  // lines of further ones
  std::unique_ptr<test::ChildProcess> simulator_, collector_;
};

}  // namespace netsentinel
