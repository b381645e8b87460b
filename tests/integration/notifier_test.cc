#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/grpcpp.h>
#include <sys/stat.h>

#include "common/http/client.h"
#include "netsentinel/v1/alerts.grpc.pb.h"
#include "netsentinel/v1/notifier.grpc.pb.h"
#include "netsentinel/v1/usage.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/grpc_health.h"
#include "tests/support/scripted_smtp.h"
#include "tests/support/smtp_catcher.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"

namespace netsentinel {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// An aggregator that knows one site and answers every ranking with two subscribers.
class FakeUsage final : public v1::UsageService::Service {
 public:
  grpc::Status ListSites(grpc::ServerContext*, const v1::ListSitesRequest*,
                         v1::ListSitesResponse* response) override {
    v1::SiteInfo* site = response->add_sites();
    site->set_site_id("lahore");
    site->set_time_zone("Asia/Karachi");
    site->set_day_start("00:00");
    site->set_current_day("2026-03-26");
    return grpc::Status::OK;
  }
  grpc::Status GetRanking(grpc::ServerContext*, const v1::GetRankingRequest* request,
                          v1::GetRankingResponse* response) override {
    response->set_first_day(request->first_day());
    response->set_open(request->first_day() == "2026-03-26");
    response->set_as_of_us(1774534495000000);
    response->set_subscriber_count(2);
    for (std::uint32_t rank = 1; rank <= 2; ++rank) {
      v1::RankingRow* row = response->add_rows();
      row->set_rank(rank);
      row->mutable_subscriber()->set_site_id("lahore");
      row->mutable_subscriber()->mutable_name()->set_name(rank == 1 ? "al\xFFi" : "=sara");
      row->mutable_usage()->mutable_counted()->set_download_bytes(3'000'000'000 / rank);
      row->mutable_usage()->set_grade(v1::GRADE_COMPLETE);
      row->set_share_permille(rank == 1 ? 667 : 333);
    }
    response->mutable_total()->set_download_bytes(4'500'000'000);
    return grpc::Status::OK;
  }
};

// The real program on loopback without TLS, a catcher and a fake aggregator beside it.
class NotifierTest : public ::testing::Test {
 protected:
  NotifierTest() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &usage_port_);
    builder.RegisterService(&usage_);
    usage_server_ = builder.BuildAndStart();
    std::filesystem::create_directories(folder_.path() + "/smtp");
    catcher_ = std::make_unique<test::SmtpCatcher>(folder_.path() + "/smtp");
    WriteConfig("");
  }
  ~NotifierTest() override { usage_server_->Shutdown(); }

  std::string Config() const { return folder_.path() + "/notifier.yaml"; }
  void WriteConfig(const std::string& more) {
    std::ofstream(Config()) << "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\", web: "
                               "\"127.0.0.1:0\"}\ninsecure: true\nstate_dir: state\n"
                            << "aggregator: {target: \"127.0.0.1:" << usage_port_ << "\"}\n"
                            << "smtp: {server: \"127.0.0.1:" << catcher_->port()
                            << "\", starttls: none, insecure: true, reply_timeout: 5s, "
                               "from: \"NetSentinel <alerts@example.net>\"}\n"
                            << "alerts: {to: [noc@example]}\n"
                            << "reports: [{name: daily, at: \"18:15\", sites: all, to: "
                               "[boss@example]}]\n"
                            << more;
  }
  void StartNotifier() {
    const std::string ports = folder_.path() + "/ports";
    std::filesystem::remove(ports);
    notifier_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_NOTIFIER, "--config", Config(), "--ports-file", ports}, Log());
    ASSERT_TRUE(test::WaitUntil([&] { return std::filesystem::exists(ports); }))
        << test::ReadWhole(Log());
    const std::string text = test::ReadWhole(ports);
    std::smatch match;
    ASSERT_TRUE(std::regex_search(text, match, std::regex("http\\W+([0-9]+)"))) << text;
    http_port_ = static_cast<std::uint16_t>(std::stoi(match[1].str()));
    ASSERT_TRUE(std::regex_search(text, match, std::regex("grpc\\W+([0-9]+)"))) << text;
    channel_ =
        grpc::CreateChannel("127.0.0.1:" + match[1].str(), grpc::InsecureChannelCredentials());
  }
  std::string Log() const { return folder_.path() + "/notifier.log"; }
  std::string Readiness() const {
    const auto answer = http::Fetch({.host = "127.0.0.1", .port = http_port_}, "/readyz");
    return answer.ok() ? answer->body : std::string(answer.status().message());
  }

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context.set_wait_for_ready(true);
  }
  static v1::DeliverBreachesRequest Breaches(const std::vector<int>& numbers) {
    v1::DeliverBreachesRequest request;
    for (const int number : numbers) {
      v1::Breach* breach = request.add_breaches();
      breach->set_breach_id(number < 0 ? "bad" : absl::StrFormat("%064x", number));
      breach->mutable_subscriber()->set_site_id("lahore");
      breach->mutable_subscriber()->mutable_name()->set_name(absl::StrCat("user-", number));
      breach->set_quota_id("default");
      breach->set_period(v1::QUOTA_PERIOD_DAY);
      breach->set_period_start("2026-03-26");
      breach->set_time_zone("Asia/Karachi");
      breach->set_basis(v1::QUOTA_BASIS_DOWNLOAD);
      breach->set_limit_bytes(10ULL << 30);
      breach->set_threshold_percent(100);
      breach->mutable_used()->set_download_bytes(11ULL << 30);
      breach->set_crossed_at_us(1774534495000000);
      breach->set_crossed_at_local("2026-03-26 19:14:55 +05:00");
    }
    return request;
  }
  v1::DeliverBreachesResponse Deliver(const std::vector<int>& numbers) {
    return Deliver(Breaches(numbers));
  }
  v1::DeliverBreachesResponse Deliver(const v1::DeliverBreachesRequest& request) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::DeliverBreachesResponse response;
    const grpc::Status status =
        v1::AlertService::NewStub(channel_)->DeliverBreaches(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message() << "\n" << test::ReadWhole(Log());
    return response;
  }
  // Kills the program where the catcher hangs, starts it again, and gives all mails that came.
  std::vector<std::string> MailsAroundAKillAt(const std::string& where, std::size_t expected) {
    catcher_->Script(absl::StrCat("{\"hang\": \"", where, "\"}"));
    EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
    EXPECT_TRUE(catcher_->WaitForLog("\"event\": \"hang\""));
    notifier_->Stop(SIGKILL);
    catcher_->Script("");
    StartNotifier();
    EXPECT_TRUE(catcher_->WaitForMails(expected)) << test::ReadWhole(Log());
    return catcher_->Mails();
  }

  test::TempFolder folder_;
  FakeUsage usage_;
  int usage_port_ = 0;
  std::unique_ptr<grpc::Server> usage_server_;
  std::unique_ptr<test::SmtpCatcher> catcher_;
  std::unique_ptr<test::ChildProcess> notifier_;
  std::shared_ptr<grpc::Channel> channel_;
  std::uint16_t http_port_ = 0;
};

TEST_F(NotifierTest, MailsABreachOnceHoweverOftenItIsHandedOver) {
  StartNotifier();
  const auto sent = std::chrono::steady_clock::now();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  ASSERT_TRUE(catcher_->WaitForMails(1)) << test::ReadWhole(Log());
  EXPECT_LT(std::chrono::steady_clock::now() - sent, std::chrono::seconds(5));
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  EXPECT_THAT(catcher_->Mails()[0], HasSubstr("user-1 passed 100 % of 10.00 GiB download"));
  EXPECT_THAT(catcher_->Mails()[0], HasSubstr("Date: Thu, 26 Mar 2026 14:14:55 +0000"));
  const v1::DeliverBreachesResponse mixed = Deliver({-1});
  EXPECT_EQ(mixed.accepted_ids_size(), 0);
  ASSERT_EQ(mixed.rejected_size(), 1);
  EXPECT_THAT(mixed.rejected(0).reason(), HasSubstr("64 hexadecimal digits"));
  EXPECT_EQ(notifier_->Stop(SIGTERM), 0) << test::ReadWhole(Log());
  EXPECT_THAT(catcher_->Mails(), SizeIs(1));
}

TEST_F(NotifierTest, ResendsTheSameMailWhenKilledBeforeTheMailWasTaken) {
  StartNotifier();
  EXPECT_THAT(MailsAroundAKillAt("rcpt", 1), SizeIs(1));
}

TEST_F(NotifierTest, ResendsTheSameMailWhenKilledAfterTheMailWasTaken) {
  StartNotifier();
  const std::vector<std::string> mails = MailsAroundAKillAt("keep", 2);
  ASSERT_THAT(mails, SizeIs(2));
  EXPECT_EQ(mails[0], mails[1]);
}

TEST_F(NotifierTest, KeepsAcceptedBreachesWhileTheServerIsAway) {
  catcher_.reset();
  StartNotifier();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  ASSERT_TRUE(test::WaitUntil(
      [&] { return test::ReadWhole(Log()).find("delivery.channel_down") != std::string::npos; }));
  EXPECT_EQ(notifier_->Stop(SIGTERM), 0);
  catcher_ = std::make_unique<test::SmtpCatcher>(folder_.path() + "/smtp");
  WriteConfig("");
  StartNotifier();
  EXPECT_TRUE(catcher_->WaitForMails(1)) << test::ReadWhole(Log());
}

TEST_F(NotifierTest, SaysBeforeAnyMailThatTheServerIsAway) {
  const std::uint16_t port = catcher_->port();
  catcher_.reset();
  StartNotifier();
  EXPECT_TRUE(test::WaitUntil([&] {
    const std::string text = Readiness();
    return text.find("smtp: ") != std::string::npos &&
           text.find("connection failed at connecting") != std::string::npos;
  })) << Readiness();
  catcher_ = std::make_unique<test::SmtpCatcher>(folder_.path() + "/smtp",
                                                 test::CatcherOptions{.port = port});
  EXPECT_TRUE(test::WaitUntil([&] { return Readiness() == "ready\n"; })) << Readiness();
  EXPECT_THAT(catcher_->Mails(), SizeIs(0));
}

TEST_F(NotifierTest, TakesAFullCallOfBreachesWithLongNames) {
  StartNotifier();
  v1::DeliverBreachesRequest request = Breaches({});
  for (int number = 1; number <= 500; ++number) {
    v1::Breach breach = Breaches({number}).breaches(0);
    breach.mutable_subscriber()->mutable_name()->set_name(std::string(2048, '\xFF'));
    std::string display;
    for (int i = 0; i < 2048; ++i) display += "\\xFF";
    breach.mutable_subscriber()->mutable_name()->set_display_name(display);
    *request.add_breaches() = breach;
  }
  EXPECT_EQ(Deliver(request).accepted_ids_size(), 500);
}

TEST_F(NotifierTest, ALoginThatIsRefusedIsShownWithoutTheSecretAndStopsNoBreach) {
  constexpr char kSecret[] = "correct-horse-battery-staple";
  catcher_.reset();
  catcher_ = std::make_unique<test::SmtpCatcher>(
      folder_.path() + "/smtp", test::CatcherOptions{.user = "alerts", .password = "another"});
  WriteConfig("");
  std::string text = test::ReadWhole(Config());
  text.replace(text.find("starttls: none"), 0, "username: alerts, password_file: password, ");
  std::ofstream(Config()) << text;
  std::ofstream(folder_.path() + "/password") << kSecret << "\n";
  std::filesystem::permissions(folder_.path() + "/password", std::filesystem::perms(0600));
  StartNotifier();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  ASSERT_TRUE(test::WaitUntil([&] {
    return test::ReadWhole(Log()).find("delivery.channel_") != std::string::npos;
  })) << test::ReadWhole(Log());
  const std::string log = test::ReadWhole(Log());
  EXPECT_THAT(log, Not(HasSubstr(kSecret)));
  std::string encoded;
  absl::Base64Escape(absl::StrCat(std::string(1, '\0'), "alerts", std::string(1, '\0'), kSecret),
                     &encoded);
  EXPECT_THAT(log, Not(HasSubstr(encoded)));

  // It takes further breaches, and says both on /readyz and to gRPC's health service.
  EXPECT_EQ(Deliver({2}).accepted_ids_size(), 1);
  const auto ready = http::Fetch(
      {"127.0.0.1", test::WaitForPorts(folder_.path() + "/ports").at("http")}, "/readyz");
  ASSERT_TRUE(ready.ok()) << ready.status();
  EXPECT_EQ(ready->status, 200);
  EXPECT_THAT(ready->body, HasSubstr("smtp: waiting: "));
  EXPECT_EQ(test::GrpcHealth(channel_), "SERVING");
  EXPECT_EQ(notifier_->Stop(SIGTERM), 0) << test::ReadWhole(Log());
}

TEST_F(NotifierTest, NothingThatAServerEchoesOfTheLoginIsShownAnywhere) {
  const std::string secret = "correct-horse-battery-staple";
  const std::string encoded = absl::Base64Escape(
      absl::StrCat(std::string(1, '\0'), "alerts", std::string(1, '\0'), secret));
  std::atomic<bool> login_works = false;
  test::ScriptedSmtp server(
      {.offers = "PLAIN LOGIN",
       .accepts = [&](const test::SmtpSession&) { return login_works.load(); },
       .refusal = absl::StrCat("535 5.7.8 bad ", encoded),
       .script = [&](test::SmtpSession&,
                     const std::string& line) -> std::optional<test::SmtpAnswer> {
         if (line.rfind("RCPT", 0) != 0) return std::nullopt;
         return test::SmtpAnswer{absl::StrCat("550 5.7.1 not for ", encoded, " nor ", secret)};
       }});
  std::string text = test::ReadWhole(Config());
  const std::string port = absl::StrCat(catcher_->port());
  text.replace(text.find(port), port.size(), absl::StrCat(server.port()));
  text.replace(text.find("starttls: none"), 0, "username: alerts, password_file: password, ");
  std::ofstream(Config()) << text;
  std::ofstream(folder_.path() + "/password") << secret << "\n";
  std::filesystem::permissions(folder_.path() + "/password", std::filesystem::perms(0600));
  StartNotifier();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  const auto shows = [&](const std::string& words) {
    return test::WaitUntil([&] { return Readiness().find(words) != std::string::npos; });
  };
  EXPECT_TRUE(shows("535 5.7.8 bad [...]")) << Readiness();
  std::string seen = Readiness();
  login_works = true;
  ::kill(notifier_->pid(), SIGHUP);
  EXPECT_TRUE(shows("550 5.7.1 not for [password] nor [password]")) << Readiness();
  absl::StrAppend(&seen, Readiness(), test::ReadWhole(Log()));
  grpc::ClientContext list;
  SetDeadline(list);
  v1::ListDeliveriesResponse deliveries;
  ASSERT_TRUE(v1::NotifierService::NewStub(channel_)
                  ->ListDeliveries(&list, v1::ListDeliveriesRequest(), &deliveries)
                  .ok());
  absl::StrAppend(&seen, deliveries.DebugString());
  EXPECT_THAT(seen, HasSubstr("[password]"));
  EXPECT_THAT(seen, Not(HasSubstr(encoded)));
  EXPECT_THAT(seen, Not(HasSubstr(secret)));
}

TEST_F(NotifierTest, SaysWhatLetsNoMailPassAndDeliversOnceItIsMended) {
  catcher_->Script(R"({"rcpt": {"noc@example": "550 5.1.8 Sender address rejected"}})");
  StartNotifier();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  EXPECT_TRUE(test::WaitUntil([&] {
    return Readiness().find(
               "smtp: waiting: the server lets no mail pass: concerns our sender, "
               "account or a limit, refused at RCPT TO: 550 5.1.8") != std::string::npos;
  })) << Readiness();
  EXPECT_THAT(test::ReadWhole(Log()), Not(HasSubstr("delivery.parked")));
  // Known again after a restart, before anything is tried.
  EXPECT_EQ(notifier_->Stop(SIGTERM), 0);
  StartNotifier();
  EXPECT_TRUE(test::WaitUntil([&] {
    return Readiness().find("the server lets no mail pass") != std::string::npos;
  })) << Readiness();
  // A reload tries again at once.
  catcher_->Script("");
  ::kill(notifier_->pid(), SIGHUP);
  EXPECT_TRUE(catcher_->WaitForMails(1)) << test::ReadWhole(Log());
  EXPECT_TRUE(test::WaitUntil([&] {
    const std::string said = Readiness();
    return said.rfind("ready\n", 0) == 0 && said.find("smtp:") == std::string::npos;
  })) << Readiness();
}

TEST_F(NotifierTest, AServerThatTakesOneMailAConnectionGetsThemAllAtOnce) {
  test::ScriptedSmtp server(
      {.script = [](test::SmtpSession& session,
                    const std::string& line) -> std::optional<test::SmtpAnswer> {
        if (session.mails == 0 || line.rfind("MAIL", 0) != 0) return std::nullopt;
        return test::SmtpAnswer{"421 4.7.0 one mail a connection", true};
      }});
  std::string text = test::ReadWhole(Config());
  const std::string port = absl::StrCat(catcher_->port());
  text.replace(text.find(port), port.size(), absl::StrCat(server.port()));
  text.replace(text.find("noc@example"), 11, "a@example, b@example, c@example, d@example");
  std::ofstream(Config()) << text;
  StartNotifier();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  EXPECT_TRUE(test::WaitUntil([&] { return server.Mails().size() == 4; }))
      << test::ReadWhole(Log());
  EXPECT_THAT(test::ReadWhole(Log()), Not(HasSubstr("delivery.retry")));
}

TEST_F(NotifierTest, ASecondOneOnTheSameStateEndsAtOnceAndSaysWhy) {
  StartNotifier();
  const std::string log = folder_.path() + "/second.log";
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_EQ(test::RunProgram({NS_NOTIFIER, "--config", Config()}, log), 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(4));
  EXPECT_THAT(test::ReadWhole(log), HasSubstr("another notifier has this state_dir open"));
  // The first goes on.
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  EXPECT_TRUE(catcher_->WaitForMails(1)) << test::ReadWhole(Log());
}

TEST_F(NotifierTest, ABurstOfTwentyThousandLeavesWithinAWindowAndHoldsUpNothingNew) {
  std::string text = test::ReadWhole(Config());
  text.replace(text.find("[noc@example]"), 13, "[noc@example], group_window: 2s");
  std::ofstream(Config()) << text;
  StartNotifier();
  for (int from = 1; from <= 20'000; from += 500) {
    std::vector<int> numbers(500);
    std::iota(numbers.begin(), numbers.end(), from);
    ASSERT_EQ(Deliver(numbers).accepted_ids_size(), 500);
  }
  v1::DeliverBreachesRequest real = Breaches({50'000});
  real.mutable_breaches(0)->mutable_subscriber()->set_site_id("karachi");
  EXPECT_EQ(Deliver(real).accepted_ids_size(), 1);
  const auto told = [&](const std::string& user) {
    for (const std::string& mail : catcher_->Mails()) {
      if (mail.find(user) != std::string::npos) return true;
    }
    return false;
  };
  EXPECT_TRUE(test::WaitUntil([&] { return told("user-50000 passed"); })) << test::ReadWhole(Log());
  // All of them, in a few mails.
  const auto pending = [&] {
    const auto metrics = http::Fetch({.host = "127.0.0.1", .port = http_port_}, "/metrics");
    return metrics.ok() &&
           metrics->body.find("netsentinel_notifier_pending_alerts 0") != std::string::npos &&
           metrics->body.find("netsentinel_notifier_waiting_deliveries 0") != std::string::npos;
  };
  EXPECT_TRUE(test::WaitUntil(pending)) << test::ReadWhole(Log());
  EXPECT_LT(catcher_->Mails().size(), 50U);
}

TEST_F(NotifierTest, AConnectionIsAsOldAsTheFileAllows) {
  std::string text = test::ReadWhole(Config());
  text.replace(text.find("grpc: "), 0, "max_connection_age: 1s, ");
  std::ofstream(Config()) << text;
  StartNotifier();
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
  EXPECT_TRUE(channel_->WaitForStateChange(
      GRPC_CHANNEL_READY, std::chrono::system_clock::now() + std::chrono::seconds(60)));
  EXPECT_EQ(Deliver({1}).accepted_ids_size(), 1);
}

TEST_F(NotifierTest, RendersAndSendsTheReportOnDemand) {
  StartNotifier();
  const auto stub = v1::NotifierService::NewStub(channel_);
  grpc::ClientContext render;
  SetDeadline(render);
  v1::RenderReportRequest what;
  what.set_site_id("lahore");
  v1::RenderReportResponse rendered;
  grpc::Status status = stub->RenderReport(&render, what, &rendered);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(rendered.html(), HasSubstr("<bdi>al\\xFFi</bdi>"));
  EXPECT_THAT(rendered.html(), HasSubstr("Thursday 26 March 2026, so far"));
  EXPECT_THAT(rendered.csv(), HasSubstr("lahore,2026-03-26,so far,2,'=sara,,1500000000,0,"));
  EXPECT_THAT(rendered.csv(), HasSubstr("lahore,2026-03-25,complete,1,"));
  grpc::ClientContext send;
  SetDeadline(send);
  v1::SendReportResponse sent;
  status = stub->SendReport(&send, v1::SendReportRequest(), &sent);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(sent.delivery_ids_size(), 1);
  ASSERT_TRUE(test::WaitUntil([&] {
    for (const std::string& mail : catcher_->Mails()) {
      if (mail.find("Subject: NetSentinel lahore 2026-03-26 so far") != std::string::npos &&
          mail.find("filename=netsentinel-lahore-2026-03-26.csv") != std::string::npos) {
        return true;
      }
    }
    return false;
  })) << test::ReadWhole(Log());
  grpc::ClientContext list;
  SetDeadline(list);
  v1::ListDeliveriesResponse deliveries;
  status = stub->ListDeliveries(&list, v1::ListDeliveriesRequest(), &deliveries);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GE(deliveries.deliveries_size(), 1);
}

TEST_F(NotifierTest, ChecksItsConfigurationAndNamesMistakes) {
  const std::string log = folder_.path() + "/check.log";
  EXPECT_EQ(test::RunProgram({NS_NOTIFIER, "--config", Config(), "--check-config"}, log), 0)
      << test::ReadWhole(log);
  WriteConfig("alert: {to: [noc@example]}\n");
  EXPECT_EQ(test::RunProgram({NS_NOTIFIER, "--config", Config(), "--check-config"}, log), 2);
  EXPECT_THAT(test::ReadWhole(log), HasSubstr("notifier.yaml:8:1: alert"));
  WriteConfig("");
  std::string text = test::ReadWhole(Config());
  text.replace(text.find("starttls: none"), 0, "ca: none.crt, ");
  std::ofstream(Config()) << text;
  EXPECT_EQ(test::RunProgram({NS_NOTIFIER, "--config", Config(), "--check-config"}, log), 2);
  EXPECT_THAT(test::ReadWhole(log), HasSubstr("/none.crt"));
  WriteConfig("");
  text = test::ReadWhole(Config());
  text.replace(text.find("state_dir: state"), 16, "state_dir: notifier.yaml/state");
  std::ofstream(Config()) << text;
  EXPECT_EQ(test::RunProgram({NS_NOTIFIER, "--config", Config(), "--check-config"}, log), 2);
  EXPECT_THAT(test::ReadWhole(log), HasSubstr("state_dir: " + Config() + "/state cannot be made: " +
                                              Config() + " is not a folder"));
}

TEST_F(NotifierTest, TakesOverNewRecipientsOnReload) {
  StartNotifier();
  std::string text = test::ReadWhole(Config());
  text.replace(text.find("noc@example"), 11, "duty@example");
  std::ofstream(Config()) << text;
  ::kill(notifier_->pid(), SIGHUP);
  ASSERT_TRUE(test::WaitUntil([&] {
    return test::ReadWhole(Log()).find("notifier.reloaded") != std::string::npos;
  })) << test::ReadWhole(Log());
  Deliver({1});
  ASSERT_TRUE(catcher_->WaitForMails(1)) << test::ReadWhole(Log());
  EXPECT_THAT(catcher_->Envelopes()[0], HasSubstr("duty@example"));

  // What it cannot take over is refused by its name.
  text.replace(text.find("state_dir: state"), 16, "state_dir: other");
  std::ofstream(Config()) << text;
  ::kill(notifier_->pid(), SIGHUP);
  EXPECT_TRUE(test::WaitUntil([&] {
    return test::ReadWhole(Log()).find("state_dir changes only with a restart") !=
           std::string::npos;
  })) << test::ReadWhole(Log());
}

TEST_F(NotifierTest, TheQueueIsItsOwnersAloneWhateverTheUmask) {
  const mode_t mask = ::umask(022);
  const std::string state = folder_.path() + "/state";
  std::filesystem::create_directory(state);
  std::filesystem::permissions(state, std::filesystem::perms(0755));
  StartNotifier();
  ::umask(mask);
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(state).permissions(), perms(0700));
  EXPECT_EQ(std::filesystem::status(state + "/delivery.db").permissions(), perms(0600));
  EXPECT_EQ(std::filesystem::status(state + "/delivery.db-wal").permissions(), perms(0600));
  EXPECT_NE(test::ReadWhole(Log()).find("event=state.closed"), std::string::npos);
}

TEST_F(NotifierTest, ThePageIsShownToNobodyWhoAsksForAnotherHost) {
  StartNotifier();
  const std::string text = test::ReadWhole(folder_.path() + "/ports");
  std::smatch match;
  ASSERT_TRUE(std::regex_search(text, match, std::regex("web\\W+([0-9]+)"))) << text;
  const auto ask = [&](const std::string& port, const std::string& path, const std::string& host) {
    test::Subprocess curl("curl", {"-s", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                                   "Host: " + host, "http://127.0.0.1:" + port + path});
    curl.Wait();
    return curl.Stdout();
  };
  EXPECT_EQ(ask(match[1].str(), "/", "evil.example"), "421");
  EXPECT_EQ(ask(match[1].str(), "/", "localhost"), "200");
  EXPECT_EQ(ask(std::to_string(http_port_), "/healthz", "evil.example"), "200");
}

}  // namespace
}  // namespace netsentinel
