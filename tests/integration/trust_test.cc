// Certificates and the audit log, with the real programs: the way of docs/certificates.md.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/http/client.h"
#include "tests/support/child_process.h"
#include "tests/support/subprocess.h"
#include "tests/support/tcp_gate.h"
#include "tests/support/temp_folder.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// An aggregator and a notifier that trust an authority made by netsentinelctl. The notifier reaches
// the aggregator through a gate.
class TrustTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(Certs({"init"}), StartsWith("0 "));
    for (const char* role : {"aggregator", "notifier"}) {
      ASSERT_THAT(Certs({"issue", "--role", role, "--name", role, "--ip", "127.0.0.1", "--out",
                         Path(role)}),
                  AllOf(StartsWith("0 "), HasSubstr("crl: ")));
    }
    IssuePerson("operator", "anna");
  }

  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  // "CODE OUTPUT" of a command.
  std::string Run(std::vector<std::string> arguments) const {
    test::Subprocess process(NS_CTL, std::move(arguments));
    const int code = process.Wait(absl::Seconds(60));
    return absl::StrCat(code, " ", process.Stdout(), process.Stderr());
  }
  std::string Certs(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "certs");
    arguments.insert(arguments.end(), {"--dir", Path("authority")});
    return Run(std::move(arguments));
  }
  void IssuePerson(const std::string& role, const std::string& name) {
    ASSERT_THAT(Certs({"issue", "--role", role, "--name", name, "--out", Path(name)}),
                AllOf(StartsWith("0 "), HasSubstr("export NETSENTINEL_CA='")));
  }
  // A command of somebody's against the two programs.
  std::string As(const std::string& folder, const std::string& name,
                 std::vector<std::string> arguments) const {
    arguments.insert(
        arguments.end(),
        {"--ca", absl::StrCat(folder, "/ca.crt"), "--cert", absl::StrCat(folder, "/", name, ".crt"),
         "--key", absl::StrCat(folder, "/", name, ".key"), "--aggregator",
         absl::StrCat("127.0.0.1:", aggregator_ports_.at("grpc")), "--timeout", "5"});
    if (notifier_ports_.contains("grpc")) {
      arguments.insert(arguments.end(),
                       {"--notifier", absl::StrCat("127.0.0.1:", notifier_ports_.at("grpc"))});
    }
    return Run(std::move(arguments));
  }
  std::string As(const std::string& name, std::vector<std::string> arguments) const {
    return As(Path(name), name, std::move(arguments));
  }

  std::string Tls(const std::string& role) const {
    return absl::StrCat("{ca: ", role, "/ca.crt, cert: ", role, "/", role, ".crt, key: ", role, "/",
                        role, ".key, crl: ", role, "/ca.crl}");
  }
  std::unique_ptr<test::ChildProcess> StartProgram(const char* program, const std::string& name,
                                                   std::map<std::string, std::uint16_t>& ports) {
    std::filesystem::remove(Path(name + ".ports"));
    auto process = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{program, "--config", Path(name + ".yaml"), "--ports-file",
                                 Path(name + ".ports")},
        Path(name + ".log"));
    ports = test::WaitForPorts(Path(name + ".ports"));
    EXPECT_TRUE(ports.contains("grpc")) << test::ReadWhole(Path(name + ".log"));
    return process;
  }
  void StartAggregator() {
    std::ofstream(Path("aggregator.yaml"))
        << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", max_connection_age: 1s}\n"
        << "tls: " << Tls("aggregator") << "\nstore: {url: \"sqlite://" << Path("store.db")
        << "\"}\nsites: [{id: lab, time_zone: UTC}]\n"
        << "routers: [{id: r1, site: lab, collectors: [c1]}]\n";
    aggregator_ = StartProgram(NS_AGGREGATOR, "aggregator", aggregator_ports_);
    EXPECT_TRUE(test::WaitUntil([this] {
      return test::ReadWhole(Path("aggregator.log")).find("ingest.recovered") != std::string::npos;
    })) << test::ReadWhole(Path("aggregator.log"));
  }
  void StartNotifier() {
    gate_ = std::make_unique<test::TcpGate>(aggregator_ports_.at("grpc"));
    std::ofstream(Path("notifier.yaml"))
        << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", max_connection_age: 1s}\n"
        << "tls: " << Tls("notifier") << "\nstate_dir: notifier-state\n"
        << "aggregator: {target: \"127.0.0.1:" << gate_->port() << "\"}\n"
        << "smtp: {server: \"127.0.0.1:1\", starttls: none, insecure: true, "
           "from: \"NetSentinel <alerts@example.net>\"}\n"
        << "alerts: {to: [noc@example]}\n"
        << "reports: [{name: daily, at: \"18:15\", sites: all, to: [boss@example]}]\n";
    notifier_ = StartProgram(NS_NOTIFIER, "notifier", notifier_ports_);
  }
  // What the notifier's /readyz says.
  std::string Readiness() const {
    const auto response =
        http::Fetch({.host = "127.0.0.1", .port = notifier_ports_.at("http")}, "/readyz");
    return response.ok() ? response->body : std::string(response.status().message());
  }
  bool Eventually(const std::function<bool()>& condition) const {
    return test::WaitUntil(condition, std::chrono::seconds(40));
  }
  // Certificates are read anew every 10 s: repeats the command until it ends with `code`.
  std::string Until(const std::string& code, const std::function<std::string()>& command) const {
    std::string output;
    Eventually([&] { return absl::StartsWith(output = command(), absl::StrCat(code, " ")); });
    return output;
  }

  test::TempFolder folder_;
  std::map<std::string, std::uint16_t> aggregator_ports_, notifier_ports_;
  std::unique_ptr<test::TcpGate> gate_;
  std::unique_ptr<test::ChildProcess> aggregator_, notifier_;
};

const std::vector<std::string> kQuotas = {"quota", "list"};
// Two hops: to the notifier, and from there to the aggregator.
const std::vector<std::string> kRender = {"report", "now", "--render"};

TEST_F(TrustTest, AnAuthorityIsReplacedWhileEverythingGoesOn) {
  StartAggregator();
  StartNotifier();
  EXPECT_THAT(As("anna", kQuotas), StartsWith("0 "));
  EXPECT_THAT(Until("0", [&] { return As("anna", kRender); }), StartsWith("0 "));

  // Both authorities are trusted: old and new certificates work on either side of each hop.
  ASSERT_THAT(Certs({"rotate-ca", "--begin"}),
              AllOf(StartsWith("0 "), HasSubstr(Path("notifier"))));
  // An old certificate beside the trust in both.
  std::filesystem::copy(Path("anna"), Path("anna-before"));
  IssuePerson("operator", "nadia");
  EXPECT_THAT(Until("0", [&] { return As("nadia", kQuotas); }), StartsWith("0 "));
  EXPECT_THAT(Until("0", [&] { return As("nadia", kRender); }), StartsWith("0 "));
  EXPECT_THAT(As("anna", kQuotas), StartsWith("0 "));
  EXPECT_THAT(Certs({"rotate-ca", "--finish"}),
              AllOf(StartsWith("1 "), HasSubstr("operator anna"), HasSubstr("notifier notifier")));
  EXPECT_THAT(Certs({"renew", "notifier"}), StartsWith("0 "));
  EXPECT_THAT(As("anna", kRender), StartsWith("0 "));
  EXPECT_THAT(Certs({"renew", "--all"}), StartsWith("0 "));
  EXPECT_THAT(As("anna", kQuotas), StartsWith("0 "));
  EXPECT_THAT(As(Path("anna-before"), "anna", kQuotas), StartsWith("0 "));

  // Only the new one is: programs have come over without a restart, old certificates are refused.
  ASSERT_THAT(Certs({"rotate-ca", "--finish"}), StartsWith("0 "));
  const auto old_anna = [&] { return As(Path("anna-before"), "anna", kQuotas); };
  EXPECT_THAT(Until("1", old_anna), StartsWith("1 "));
  EXPECT_THAT(Until("0", [&] { return As("anna", kQuotas); }), StartsWith("0 "));
  EXPECT_THAT(Until("0", [&] { return As("anna", kRender); }), StartsWith("0 "));
  EXPECT_THAT(old_anna(), StartsWith("1 "));
  EXPECT_THAT(Certs({"list"}), AllOf(HasSubstr("anna"), Not(HasSubstr("old authority"))));
}

TEST_F(TrustTest, ACallerRefusesAServerWhoseCertificateIsRevokedAndTakesTheOneThatFollows) {
  StartAggregator();
  EXPECT_THAT(As("anna", kQuotas), StartsWith("0 "));
  ASSERT_THAT(Certs({"revoke", "aggregator", "--reason", "keyCompromise"}),
              AllOf(StartsWith("0 "), HasSubstr(Path("anna"))));
  EXPECT_THAT(As("anna", kQuotas),
              AllOf(StartsWith("1 "), HasSubstr("aggregator aggregator"), HasSubstr("is revoked")));
  ASSERT_THAT(Certs({"issue", "--overwrite", "--role", "aggregator", "--name", "aggregator", "--ip",
                     "127.0.0.1", "--out", Path("aggregator")}),
              StartsWith("0 "));
  EXPECT_THAT(Until("0", [&] { return As("anna", kQuotas); }), StartsWith("0 "));
  EXPECT_THAT(Certs({"list", "--all"}), HasSubstr("(keyCompromise)"));
}

TEST_F(TrustTest, ALostLaptopIsRefusedByEveryProgramWithoutARestartAndNobodyElseIs) {
  IssuePerson("operator", "bob");
  StartAggregator();
  StartNotifier();
  // As it was taken: it knows of no later list.
  std::filesystem::copy(Path("anna"), Path("laptop"));
  const auto quotas = [&] { return As(Path("laptop"), "anna", kQuotas); };
  const auto render = [&] { return As(Path("laptop"), "anna", kRender); };
  EXPECT_THAT(quotas(), StartsWith("0 "));
  EXPECT_THAT(Until("0", render), StartsWith("0 "));
  ASSERT_THAT(Certs({"revoke", "anna", "--reason", "keyCompromise"}), StartsWith("0 "));
  EXPECT_THAT(Until("1", quotas), StartsWith("1 "));
  EXPECT_THAT(Until("1", render), StartsWith("1 "));
  for (const char* program : {"aggregator", "notifier"}) {
    EXPECT_THAT(test::ReadWhole(Path(absl::StrCat(program, ".log"))), HasSubstr("revoked"));
  }
  EXPECT_THAT(As("bob", kQuotas), StartsWith("0 "));
  EXPECT_THAT(As("bob", kRender), StartsWith("0 "));
  // The owner is told by the own command, before any server is asked.
  EXPECT_THAT(As("anna", kQuotas),
              AllOf(StartsWith("1 "), HasSubstr("anna.crt"), HasSubstr("certs issue --overwrite")));
  ASSERT_THAT(Certs({"issue", "--overwrite", "--role", "operator", "--name", "anna", "--out",
                     Path("anna")}),
              StartsWith("0 "));
  EXPECT_THAT(As("anna", kQuotas), StartsWith("0 "));
  EXPECT_THAT(quotas(), StartsWith("1 "));
}

TEST_F(TrustTest, AReloadIsInTheAuditLogAndSoIsOneThatWasRefused) {
  StartAggregator();
  StartNotifier();
  ::kill(aggregator_->pid(), SIGHUP);
  ::kill(notifier_->pid(), SIGHUP);
  std::string log;
  EXPECT_TRUE(Eventually([&] {
    log = As("anna", {"audit-log", "--what", "config", "--json"});
    return log.find("\"program\": \"aggregator\"") != std::string::npos &&
           log.find("\"program\": \"notifier notifier\"") != std::string::npos;
  })) << log;
  EXPECT_THAT(
      log, AllOf(HasSubstr("\"action\": \"config.reload\""), HasSubstr("\"address\": \"SIGHUP\""),
                 HasSubstr("\"after\": \"taken over\"")));
  // Retention changes only with a restart.
  std::ofstream(Path("aggregator.yaml"), std::ios::app) << "retention: {daily: 30d}\n";
  ::kill(aggregator_->pid(), SIGHUP);
  EXPECT_TRUE(Eventually([&] {
    log = As("anna", {"audit-log", "--what", "config.reload", "--json"});
    return log.find("refused: retention.daily") != std::string::npos;
  })) << log;
}

TEST_F(TrustTest, EveryChangeIsInTheAuditLogAlsoOneMadeWhileTheAggregatorWasAway) {
  IssuePerson("viewer", "vera");
  StartAggregator();
  StartNotifier();
  ASSERT_THAT(As("anna", {"quota", "set", "ali", "--site", "lab", "--unseen", "--limit", "50GB",
                          "--reason", "paid for more", "--on-behalf-of", "front desk"}),
              StartsWith("0 "));
  const std::string serials = Certs({"list", "anna"});
  const std::string log = As("anna", {"audit-log"});
  EXPECT_THAT(log, AllOf(StartsWith("0 "), HasSubstr("operator anna for front desk"),
                         HasSubstr("127.0.0.1:"), HasSubstr("quota.set"),
                         HasSubstr("quota default of ali at site lab"), HasSubstr("as configured"),
                         HasSubstr("(50000000000 bytes)"), HasSubstr("paid for more")));
  EXPECT_THAT(log, HasSubstr("policy.import"));
  EXPECT_THAT(As("vera", {"audit-log"}),
              AllOf(StartsWith("1 "), HasSubstr("viewer vera may not do this")));

  // The report cannot be made, and the wish for it is told all the same.
  gate_->Close();
  EXPECT_THAT(As("anna", {"report", "now", "--site", "lab", "--reason", "for the board"}),
              StartsWith("1 "));
  EXPECT_TRUE(Eventually([&] {
    return Readiness().find("audit: waiting: 1 entries wait") != std::string::npos;
  })) << Readiness();
  EXPECT_THAT(As("anna", {"audit-log", "--what", "report"}), Not(HasSubstr("report.send")));
  // It survives the notifier.
  notifier_->Stop(SIGKILL);
  gate_->Open();
  notifier_ = StartProgram(NS_NOTIFIER, "notifier", notifier_ports_);
  std::string told;
  EXPECT_TRUE(Eventually([&] {
    told = As("anna", {"audit-log", "--what", "report.send", "--json"});
    return told.find("for the board") != std::string::npos;
  })) << told
      << Readiness();
  EXPECT_THAT(
      told, AllOf(HasSubstr("\"program\": \"notifier notifier\""), HasSubstr("\"name\": \"anna\""),
                  HasSubstr("site lab"), HasSubstr("\"after\": \"failed: ")));
  const std::size_t at = told.find("\"certificate_serial\": \"");
  ASSERT_NE(at, std::string::npos) << told;
  const std::string serial = told.substr(at + 23, told.find('"', at + 23) - at - 23);
  EXPECT_THAT(serials, HasSubstr(serial));
  EXPECT_THAT(As("anna", {"audit-log", "--who", "nobody"}), Not(HasSubstr("anna")));
  EXPECT_THAT(As("anna", {"audit-log", "--from", "2020-01-01", "--to", "2020-01-02"}),
              Not(HasSubstr("anna")));
}

}  // namespace
}  // namespace netsentinel
