#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/http/client.h"
#include "common/io/files.h"
#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "netsentinel/v1/collector.grpc.pb.h"
#include "tests/support/child_process.h"
#include "tests/support/grpc_health.h"
#include "tests/support/scripted_router.h"
#include "tests/support/status_matchers.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"

namespace netsentinel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kSecret[] = "correct-horse-battery-staple";

// Refuses every login, as RouterOS does.
void RefuseLogins(test::RouterConnection& connection) {
  while (const auto command = connection.Read()) {
    const std::string tag = test::TagOf(*command);
    connection.Send({{"!trap", "=message=invalid user name or password (6)", tag}, {"!done", tag}});
  }
}

// The real netsentinel-collector without an aggregator.
class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest() {
    EXPECT_THAT(io::WriteFileDurably(Path("password"), absl::StrCat(kSecret, "\n"), 0600),
                test::IsOk());
    AddRouter("r1");
  }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void AddRouter(const std::string& id) {
    absl::StrAppend(&routers_, "  - {id: ", id, ", address: \"127.0.0.1:", router_.port(),
                    "\", transport: api, username: netsentinel, password_file: password, ",
                    "poll_interval: 1s}\n");
  }
  void WriteConfig(const std::string& state_dir = "state") {
    // Port 1 of the own host: nobody listens there.
    ASSERT_THAT(
        io::WriteFileDurably(
            Path("collector.yaml"),
            absl::StrCat("collector: {id: c1, state_dir: ", state_dir, "}\n",
                         "aggregator: {target: \"127.0.0.1:1\", insecure: true}\n",
                         "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\nrouters:\n",
                         routers_)),
        test::IsOk());
  }
  void Start() {
    WriteConfig();
    process_ = std::make_unique<test::Subprocess>(
        NS_COLLECTOR, std::vector<std::string>{"--config", Path("collector.yaml"), "--ports-file",
                                               Path("ports")});
    ports_ = test::WaitForPorts(Path("ports"));
    ASSERT_TRUE(ports_.contains("grpc")) << process_->Stderr();
  }
  std::string Get(const std::string& path) {
    const auto answer = http::Fetch({.host = "127.0.0.1", .port = ports_.at("http")}, path);
    return answer.ok() ? absl::StrCat(answer->status, " ", answer->body)
                       : answer.status().ToString();
  }

  test::TempFolder folder_;
  test::ScriptedRouter router_{RefuseLogins};
  std::string routers_;
  std::unique_ptr<test::Subprocess> process_;
  std::map<std::string, std::uint16_t> ports_;
};

TEST_F(CollectorTest, StartsAloneTakesOverARouterAndStops) {
  Start();
  EXPECT_EQ(Get("/healthz"), "200 alive\n");
  // Without an aggregator it polls into its spool, which is what it is for.
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("200 ready\n"), HasSubstr("aggregator: waiting: ")));
  ASSERT_OK_AND_ASSIGN(
      const auto channel,
      rpc::MakeChannel({.peer = {absl::StrCat("127.0.0.1:", ports_.at("grpc")), {true, {}}}},
                       io::SystemClock()));
  EXPECT_EQ(test::GrpcHealth(channel), "SERVING");

  AddRouter("r2");
  WriteConfig();
  process_->Signal(SIGHUP);
  EXPECT_TRUE(process_->WaitForStderr("event=collector.reloaded")) << process_->Stderr();
  EXPECT_TRUE(process_->WaitForStderr("router=r2")) << process_->Stderr();

  WriteConfig("elsewhere");
  process_->Signal(SIGHUP);
  EXPECT_TRUE(process_->WaitForStderr("collector.state_dir changes only with a restart"))
      << process_->Stderr();

  // Beyond the shell's limit the exit code would be another.
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 0) << process_->Stderr();
  EXPECT_THAT(process_->Stderr(), HasSubstr("event=shell.stopped"));
}

TEST_F(CollectorTest, ALogOfRefusedLoginsHoldsNoSecret) {
  Start();
  ASSERT_TRUE(process_->WaitForStderr("router.trouble")) << process_->Stderr();
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 0);
  EXPECT_THAT(process_->Stderr(), AllOf(HasSubstr("router=r1"), Not(HasSubstr(kSecret))));
}

// Lets everybody in, and says their password in every answer.
void EchoPassword(test::RouterConnection& connection) {
  connection.AcceptLogin();
  while (const auto command = connection.Read()) {
    const std::string tag = test::TagOf(*command);
    if (command->front() == "/queue/simple/print") {
      connection.Send({{"!trap", absl::StrCat("=message=denied, password was ", kSecret), tag},
                       {"!done", tag}});
    } else {
      connection.Send({{"!re", "=uptime=5s", absl::StrCat("=version=7 ", kSecret),
                        absl::StrCat("=name=", absl::Base64Escape(kSecret)),
                        absl::StrCat("=serial-number=", kSecret), tag},
                       {"!done", tag}});
    }
  }
}

TEST_F(CollectorTest, ARouterThatSaysThePasswordAgainGetsItNowhere) {
  const test::ScriptedRouter echo(EchoPassword);
  routers_ = absl::StrCat("  - {id: echo, address: \"127.0.0.1:", echo.port(),
                          "\", transport: api, username: netsentinel, password_file: password, ",
                          "poll_interval: 1s}\n");
  Start();
  ASSERT_TRUE(process_->WaitForStderr("denied, password was [password]")) << process_->Stderr();
  ASSERT_OK_AND_ASSIGN(
      const auto channel,
      rpc::MakeChannel({.peer = {absl::StrCat("127.0.0.1:", ports_.at("grpc")), {true, {}}}},
                       io::SystemClock()));
  std::string answer;
  EXPECT_TRUE(test::WaitUntil([&] {
    grpc::ClientContext context;
    v1::ListRouterStatesResponse response;
    const grpc::Status status = v1::CollectorService::NewStub(channel)->ListRouterStates(
        &context, v1::ListRouterStatesRequest(), &response);
    answer = response.ShortDebugString();
    return status.ok() && absl::StrContains(answer, "password was [password]");
  })) << answer;
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 0);
  std::string spool;
  for (const char* file : {"spool.db", "spool.db-wal"}) {
    spool += test::ReadWhole(Path(absl::StrCat("state/", file)));
  }
  for (const std::string& secret : {std::string(kSecret), absl::Base64Escape(kSecret)}) {
    EXPECT_THAT(answer, Not(HasSubstr(secret)));
    EXPECT_THAT(process_->Stderr(), Not(HasSubstr(secret)));
    EXPECT_FALSE(absl::StrContains(spool, secret));
  }
}

TEST_F(CollectorTest, TheCheckFindsAPasswordThatIsNotThere) {
  WriteConfig();
  const auto check = [this] {
    test::Subprocess process(NS_COLLECTOR, {"--config", Path("collector.yaml"), "--check-config"});
    const int code = process.Wait();
    return absl::StrCat(code, " ", process.Stdout(), process.Stderr());
  };
  EXPECT_THAT(check(), StartsWith("0 "));
  ASSERT_THAT(io::WriteFileDurably(Path("password"), "", 0600), test::IsOk());
  EXPECT_THAT(check(), AllOf(StartsWith("2 "), HasSubstr("router r1: "), HasSubstr("password")));
}

}  // namespace
}  // namespace netsentinel
