#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/channel.h>

#include "common/http/client.h"
#include "common/io/descriptors.h"
#include "common/io/environment.h"
#include "common/io/files.h"
#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "tests/support/grpc_health.h"
#include "tests/support/notify_socket.h"
#include "tests/support/raw_peer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/subprocess.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace netsentinel {
namespace {

using test::IsOk;
using test::Subprocess;
using testing::HasSubstr;

constexpr char kConfig[] =
    "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\ninsecure: true\n";

class ShellIntegrationTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }
  void WriteConfig(const std::string& text) {
    ASSERT_THAT(io::WriteFileDurably(Path("c.yaml"), text), IsOk());
  }
  // Starts the program, with these limits of open files ("-n 1024") if any, and waits until it
  // listens.
  void Start(const std::string& text, const std::string& limits = "") {
    WriteConfig(text);
    const std::string command = absl::StrCat(
        limits.empty() ? "" : absl::StrCat("ulimit ", limits, " && "),
        "exec " TINY_PROGRAM " --config ", Path("c.yaml"), " --ports-file ", Path("ports.json"));
    process_ = std::make_unique<Subprocess>("bash", std::vector<std::string>{"-c", command});
    ports_ = test::WaitForPorts(Path("ports.json"));
    ASSERT_EQ(ports_.size(), 2U) << process_->Stderr();
  }
  std::string Get(const std::string& path) {
    const auto result = http::Fetch({"127.0.0.1", ports_["http"]}, path);
    return result.ok() ? absl::StrCat(result->status, " ", result->body)
                       : result.status().ToString();
  }

  test::TempFolder folder_;
  std::unique_ptr<Subprocess> process_;
  std::map<std::string, std::uint16_t> ports_;
};

TEST_F(ShellIntegrationTest, AProcessStartsReloadsAndStopsCleanly) {
  Start(std::string(kConfig) + "number: 7\n");
  EXPECT_EQ(Get("/healthz"), "200 alive\n");
  EXPECT_THAT(Get("/metrics"), HasSubstr("tiny_number 7\n"));

  WriteConfig(std::string(kConfig) + "number: 8\n");
  process_->Signal(SIGHUP);
  ASSERT_TRUE(process_->WaitForStderr("event=shell.reloaded")) << process_->Stderr();
  EXPECT_THAT(Get("/metrics"), HasSubstr("tiny_number 8\n"));

  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 0) << process_->Stderr();
  EXPECT_THAT(process_->Stderr(), HasSubstr("event=shell.stopped"));
}

TEST_F(ShellIntegrationTest, AReloadChangesWhatIsLoggedAndHow) {
  Start(std::string(kConfig) + "log: {level: warn}\n");
  WriteConfig(std::string(kConfig) + "number: 8\nlog: {level: info, format: json}\n");
  process_->Signal(SIGHUP);
  ASSERT_TRUE(process_->WaitForStderr("\"level\":\"info\",\"event\":\"shell.reloaded\""))
      << process_->Stderr();
  EXPECT_THAT(process_->Stderr(), testing::Not(HasSubstr("shell.started")));
  // A refused file changes nothing of it.
  WriteConfig(std::string(kConfig) + "mode: hang\nlog: {level: error}\n");
  process_->Signal(SIGHUP);
  ASSERT_TRUE(process_->WaitForStderr("\"event\":\"shell.reload_failed\"")) << process_->Stderr();
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 0);
  EXPECT_THAT(process_->Stderr(), HasSubstr("\"event\":\"shell.stopped\""));
}

TEST_F(ShellIntegrationTest, AWrongConfigurationDoesNotDisturbARunningProcess) {
  Start(std::string(kConfig) + "number: 7\n");
  WriteConfig(std::string(kConfig) + "number: 700\n");
  process_->Signal(SIGHUP);
  ASSERT_TRUE(process_->WaitForStderr("event=shell.reload_failed")) << process_->Stderr();
  EXPECT_THAT(process_->Stderr(), HasSubstr("c.yaml:3:9: number"));
  WriteConfig(std::string(kConfig) + "number: 9\nmode: hang\n");
  process_->Signal(SIGHUP);
  ASSERT_TRUE(process_->WaitForStderr("mode changes only with a restart")) << process_->Stderr();
  EXPECT_THAT(Get("/metrics"), HasSubstr("tiny_number 7\n"));
  process_->Signal(SIGINT);
  EXPECT_EQ(process_->Wait(), 0);
}

TEST_F(ShellIntegrationTest, AProcessThatDoesNotStopIsCutOffByASecondSignal) {
  Start(std::string(kConfig) + "mode: hang\n");
  process_->Signal(SIGTERM);
  ASSERT_TRUE(process_->WaitForStderr("event=shell.stopping"));
  EXPECT_EQ(process_->Wait(absl::Milliseconds(100)), -1);
  EXPECT_THAT(Get("/readyz"), HasSubstr("503 shell: not ready: the process is stopping"));
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 3);
}

TEST_F(ShellIntegrationTest, AProcessThatDoesNotStopIsCutOffAfterTheDrainLimit) {
  Start(std::string(kConfig) + "mode: hang\n");
  const absl::Time begin = absl::Now();
  process_->Signal(SIGTERM);
  EXPECT_EQ(process_->Wait(), 3);
  EXPECT_GE(absl::Now() - begin, absl::Seconds(10));
  EXPECT_THAT(process_->Stderr(), HasSubstr("event=shell.cut_off"));
}

TEST_F(ShellIntegrationTest, AProgramThatFailsSaysSoAndExitsWithOne) {
  WriteConfig(std::string(kConfig) + "mode: fail\n");
  Subprocess process(TINY_PROGRAM, {"--config", Path("c.yaml")});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.Stderr(), HasSubstr("UNAVAILABLE: told to fail"));
}

TEST_F(ShellIntegrationTest, AProgramThatGetsNoMemorySaysSoAndExitsWithOne) {
  WriteConfig(std::string(kConfig) + "mode: fill\n");
  Subprocess process(TINY_PROGRAM, {"--config", Path("c.yaml")});
  EXPECT_EQ(process.Wait(), 1);
  EXPECT_THAT(process.Stderr(), HasSubstr("tiny-program: out of memory: "));
}

TEST_F(ShellIntegrationTest, AWrongConfigurationStopsTheStartWithItsPlaces) {
  WriteConfig(std::string(kConfig) + "number: 700\nnumbr: 1\n");
  for (const char* flag : {"", "--check-config"}) {
    std::vector<std::string> arguments = {"--config", Path("c.yaml")};
    if (*flag != '\0') arguments.push_back(flag);
    Subprocess process(TINY_PROGRAM, arguments);
    EXPECT_EQ(process.Wait(), 2);
    EXPECT_THAT(process.Stderr(), HasSubstr("c.yaml:3:9: number: \"700\" is more than"));
    EXPECT_THAT(process.Stderr(), HasSubstr("c.yaml:4:1: numbr: is not a known key"));
  }
  Subprocess missing(TINY_PROGRAM, {"--config", Path("none.yaml")});
  EXPECT_EQ(missing.Wait(), 2);
  EXPECT_THAT(missing.Stderr(), HasSubstr("none.yaml"));
}

TEST_F(ShellIntegrationTest, AGoodConfigurationIsCheckedWithoutStarting) {
  WriteConfig(kConfig);
  Subprocess process(TINY_PROGRAM, {"--config", Path("c.yaml"), "--check-config"});
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_THAT(process.Stdout(), HasSubstr("c.yaml: OK"));
}

TEST_F(ShellIntegrationTest, TheHealthCheckAsksTheRunningProcess) {
  Start(kConfig);
  WriteConfig(absl::StrCat("listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:", ports_["http"],
                           "\"}\ninsecure: true\n"));
  Subprocess ready(TINY_PROGRAM, {"--config", Path("c.yaml"), "--healthcheck"});
  EXPECT_EQ(ready.Wait(), 0) << ready.Stderr();
  EXPECT_EQ(ready.Stdout(), "ready\n");
  Subprocess live(TINY_PROGRAM, {"--config", Path("c.yaml"), "--healthcheck", "live"});
  EXPECT_EQ(live.Wait(), 0);
  process_->Signal(SIGTERM);
  ASSERT_EQ(process_->Wait(), 0);
  Subprocess gone(TINY_PROGRAM, {"--config", Path("c.yaml"), "--healthcheck"});
  EXPECT_EQ(gone.Wait(), 1);
  EXPECT_THAT(gone.Stderr(), HasSubstr("Connection refused"));
}

TEST_F(ShellIntegrationTest, TheServiceManagerIsToldOfStartReloadStopAndThatTheLoopsTurn) {
  test::NotifySocket systemd;
  io::SetEnvironment("WATCHDOG_USEC", "200000");
  Start(kConfig);
  ::unsetenv("WATCHDOG_USEC");
  EXPECT_TRUE(systemd.WaitFor("READY=1"));
  EXPECT_TRUE(systemd.WaitFor("WATCHDOG=1"));
  EXPECT_TRUE(systemd.WaitFor("WATCHDOG=1"));
  process_->Signal(SIGHUP);
  EXPECT_TRUE(systemd.WaitFor("RELOADING=1\nMONOTONIC_USEC="));
  EXPECT_TRUE(systemd.WaitFor("READY=1"));
  process_->Signal(SIGTERM);
  EXPECT_TRUE(systemd.WaitFor("STOPPING=1"));
  EXPECT_EQ(process_->Wait(), 0);
}

TEST_F(ShellIntegrationTest, ConditionsAreMetricsToo) {
  Start(kConfig);
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (Get("/readyz") != "200 ready\n" && absl::Now() < deadline) {
  }
  EXPECT_THAT(Get("/metrics"),
              testing::AllOf(HasSubstr("netsentinel_ready 1\n"),
                             HasSubstr("netsentinel_condition_holds{condition=\"tiny\"} 1\n")));
}

TEST_F(ShellIntegrationTest, EveryMistakeInTheShellsOwnKeysIsNamedWithItsPlace) {
  const std::string listen = "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n";
  const std::string rest = "insecure: true\n";
  const std::pair<std::string, std::string> table[] = {
      {listen + rest + "log: {level: loud}\n",
       "c.yaml:3:14: log.level: \"loud\" is not known; "
       "expected one of info, warn, error"},
      {listen + rest + "log: {level: [info]}\n", "c.yaml:3:14: log.level: is a list"},
      {listen + rest + "log: {level: warm}\n", "did you mean warn?"},
      {listen + rest + "log: {format: xml}\n",
       "c.yaml:3:15: log.format: \"xml\" is not known; "
       "expected one of logfmt, json"},
      {listen + rest + "log: {format: {}}\n", "c.yaml:3:15: log.format"},
      {listen + rest + "log: {colour: true}\n", "c.yaml:3:7: log.colour: is not a known key"},
      {listen + rest + "log: {level: info, level: warn}\n", "c.yaml:3:20: log.level"},
      {listen + rest + "log: info\n", "c.yaml:3:6: log"},
      {"listen: {grpc: \"127.0.0.1:0\"}\n" + rest, "c.yaml:1:9: listen.http: is missing"},
      {"listen: {grpc: \"127.0.0.1:0\", http: 9101}\n" + rest, "c.yaml:1:37: listen.http"},
      {rest, "listen: is missing"},
  };
  for (const auto& [text, words] : table) {
    SCOPED_TRACE(text);
    WriteConfig(text);
    Subprocess process(TINY_PROGRAM, {"--config", Path("c.yaml"), "--check-config"});
    EXPECT_EQ(process.Wait(), 2);
    EXPECT_THAT(process.Stderr(), HasSubstr(words));
  }
}

TEST_F(ShellIntegrationTest, MemoryIsHiddenFromOtherProcessesOfTheUser) {
#if defined(__SANITIZE_ADDRESS__)
  constexpr char kDumpable[] = "tiny_dumpable 1\n";
#else
  constexpr char kDumpable[] = "tiny_dumpable 0\n";
#endif
  Start(kConfig);
  EXPECT_THAT(Get("/metrics"), HasSubstr(kDumpable));
}

TEST_F(ShellIntegrationTest, TheSoftLimitOfOpenFilesIsRaisedToTheHardOne) {
  Start(kConfig, "-Sn 200 && ulimit -Hn 700");
  EXPECT_THAT(Get("/metrics"), HasSubstr("process_max_fds 700\n"));
}

TEST_F(ShellIntegrationTest, MoreStrangersThanDescriptorsEndNothing) {
  ASSERT_THAT(io::RaiseDescriptorLimit(), IsOk());
  for (const char* limits : {"-Sn 1024", "-n 1024"}) {
    process_.reset();
    std::filesystem::remove(Path("ports.json"));
    Start(kConfig, limits);
    std::vector<std::unique_ptr<test::RawPeer>> strangers;
    for (int i = 0; i < 1100; ++i) {
      strangers.push_back(std::make_unique<test::RawPeer>(ports_["grpc"]));
    }
    const auto served = [&] {
      const auto channel = rpc::MakeChannel(
          {.peer = {absl::StrCat("127.0.0.1:", ports_["grpc"]), {true, {}}}}, io::SystemClock());
      return channel.ok() ? test::GrpcHealth(*channel) : channel.status().ToString();
    };
    EXPECT_EQ(served(), "SERVING") << limits;
    EXPECT_TRUE(strangers.front()->ClosedWithin(absl::Seconds(20)));
    strangers.clear();
    EXPECT_EQ(served(), "SERVING") << limits;
    EXPECT_EQ(Get("/healthz"), "200 alive\n");
  }
}

TEST_F(ShellIntegrationTest, CertificatesFromTheCommandLineServeAProcess) {
  const std::string authority = Path("ca");
  const auto run = [](const std::string& program, std::vector<std::string> arguments) {
    Subprocess process(program, std::move(arguments));
    const int code = process.Wait();
    return absl::StrCat(code, " ", process.Stdout(), process.Stderr());
  };
  const auto issue = [&](const std::string& role, const std::string& name) {
    return run(NETSENTINELCTL,
               {"certs", "issue", "--dir", authority, "--role", role, "--name", name, "--ip",
                "127.0.0.1", "--dns", "localhost", "--out", Path(name)});
  };
  EXPECT_THAT(run(NETSENTINELCTL, {"certs", "init", "--dir", authority}),
              testing::StartsWith("0 made the authority"));
  EXPECT_THAT(run(NETSENTINELCTL, {"certs", "init", "--dir", authority}),
              testing::StartsWith("1 netsentinelctl: "));
  EXPECT_THAT(issue("aggregator", "main"),
              HasSubstr("issued spiffe://netsentinel/aggregator/main"));
  EXPECT_THAT(issue("collector", "lahore-hq"), testing::StartsWith("0 "));
  EXPECT_THAT(issue("king", "x"), HasSubstr("\"king\" is not a role"));
  for (const char* purpose : {"sslclient", "sslserver"}) {
    EXPECT_THAT(run("openssl", {"verify", "-x509_strict", "-purpose", purpose, "-CAfile",
                                authority + "/ca.crt", Path("lahore-hq/lahore-hq.crt")}),
                testing::EndsWith("lahore-hq.crt: OK\n"));
  }

  Start(
      "listen: {grpc: \"127.0.0.1:0\", http: \"127.0.0.1:0\"}\n"
      "tls: {ca: main/ca.crt, cert: main/main.crt, key: main/main.key}\n");
  const auto channel =
      rpc::MakeChannel({.peer = {absl::StrCat("127.0.0.1:", ports_["grpc"]),
                                 {false,
                                  {Path("lahore-hq/ca.crt"), Path("lahore-hq/lahore-hq.crt"),
                                   Path("lahore-hq/lahore-hq.key")}}}},
                       io::SystemClock());
  ASSERT_THAT(channel, IsOk());
  EXPECT_TRUE((*channel)->WaitForConnected(
      gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_seconds(20, GPR_TIMESPAN))));

  // Wrong ones are refused, and the process's log says why.
  const test::TestCertificates others;
  config::TlsFiles stranger = others.Issue(rpc::Role::kCollector, "stranger");
  Subprocess client("openssl", {"s_client", "-connect", absl::StrCat("127.0.0.1:", ports_["grpc"]),
                                "-alpn", "h2", "-cert", stranger.cert, "-key", stranger.key});
  EXPECT_NE(client.Wait(), -1);
  EXPECT_TRUE(process_->WaitForStderr("certificate verify failed")) << process_->Stderr();
  const auto version = [&](const std::string& flag) {
    return run("openssl", {"s_client", flag, "-connect", absl::StrCat("127.0.0.1:", ports_["grpc"]),
                           "-alpn", "h2", "-cert", Path("lahore-hq/lahore-hq.crt"), "-key",
                           Path("lahore-hq/lahore-hq.key")});
  };
  EXPECT_THAT(version("-tls1_3"), HasSubstr("New, TLSv1.3, Cipher is TLS_"));
  EXPECT_THAT(version("-tls1_2"), HasSubstr("New, (NONE), Cipher is (NONE)"));
}

}  // namespace
}  // namespace netsentinel
