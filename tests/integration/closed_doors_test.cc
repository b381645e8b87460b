// What real programs keep to themselves: their files, their health from strangers, their secrets.
#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <sys/stat.h>

#include "common/base/mutex.h"
#include "common/http/client.h"
#include "tests/integration/collector_fixture.h"
#include "tests/support/mariadb_server.h"

namespace netsentinel {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ClosedDoorsTest : public CollectorFixture {
 protected:
  ClosedDoorsTest() : umask_(::umask(022)) {}
  ~ClosedDoorsTest() override { ::umask(umask_); }

  std::string Get(const std::string& path) {
    const auto answer = http::Fetch({.host = "127.0.0.1", .port = ports_.at("http")}, path);
    return answer.ok() ? absl::StrCat(answer->status, " ", answer->body)
                       : answer.status().ToString();
  }
  mode_t ModeOf(const std::string& name) const {
    struct stat info {};
    EXPECT_EQ(::stat(Path(name).c_str(), &info), 0) << name;
    return info.st_mode & 07777;
  }
  // Starts it without waiting for a store that never comes.
  void Launch() {
    aggregator_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{NS_AGGREGATOR, "--config", Path("aggregator.yaml"), "--ports-file",
                                 Path("ports")},
        Path("log"));
    ports_ = test::WaitForPorts(Path("ports"));
    ASSERT_TRUE(ports_.contains("http")) << Log();
  }

  const mode_t umask_;
};

TEST_F(ClosedDoorsTest, TheStoreIsItsOwnersAloneAndAnOpenOneIsClosedAtTheStart) {
  Start();
  const std::vector<std::string> files = {"store.db", "store.db-wal", "store.db-shm",
                                          "store.db.lock"};
  for (const std::string& file : files) EXPECT_EQ(ModeOf(file), 0600U) << file;
  EXPECT_THAT(Log(), Not(HasSubstr("state.closed")));
  Kill();
  for (const std::string& file : files) ::chmod(Path(file).c_str(), 0644);
  Start();
  for (const std::string& file : files) EXPECT_EQ(ModeOf(file), 0600U) << file;
  EXPECT_EQ(LogCount("event=state.closed"), 4) << Log();
}

TEST_F(ClosedDoorsTest, TheSpoolIsItsOwnersAloneAndAnOpenFolderIsClosedAtTheStart) {
  Start();
  StartSimulator({{"r2", "queues: [{name: bob, down_rate: 100000}]"}});
  std::filesystem::create_directory(Path("state"));
  ::chmod(Path("state").c_str(), 0755);
  StartCollector();
  ASSERT_TRUE(test::WaitUntil([this] { return Ranking()["r2/bob"] > 0; }, std::chrono::seconds(60)))
      << CollectorLog();
  EXPECT_EQ(ModeOf("state"), 0700U);
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(Path("state"))) {
    EXPECT_EQ(ModeOf("state/" + entry.path().filename().string()), 0600U) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 2) << "spool.db and spool.mark at least";
  EXPECT_THAT(CollectorLog(), HasSubstr("event=state.closed"));
}

TEST_F(ClosedDoorsTest, ProbesAreAnsweredWhileStrangersRefillHalfRequests) {
  Start();
  asio::io_context context;
  std::vector<tcp::socket> half;
  for (int round = 0; round < 6; ++round) {
    half.clear();
    for (int i = 0; i < 300; ++i) {
      half.emplace_back(context);
      half.back().connect({asio::ip::make_address("127.0.0.1"), ports_.at("http")});
      boost::system::error_code error;
      asio::write(half.back(), asio::buffer("GET /readyz HTTP/1.1\r\nX: ", 25), error);
    }
    EXPECT_EQ(Get("/healthz"), "200 alive\n") << round;
    EXPECT_THAT(Get("/readyz"), testing::StartsWith("200 ready\n")) << round;
  }
}

TEST_F(ClosedDoorsTest, ALeaseWhoseRowIsLockedIsNotReadyUntilItIsFree) {
  auto database = test::MariaDbServer::Start();
  ASSERT_TRUE(database.ok()) << database.status();
  ASSERT_TRUE((*database)->Run("CREATE DATABASE netsentinel CHARACTER SET utf8mb4").ok());
  store_url_ = absl::StrCat("mysql://root@127.0.0.1:", (*database)->port(), "/netsentinel");
  WriteConfig();
  Start();
  ASSERT_TRUE(test::WaitUntil([&] { return Get("/readyz").starts_with("200 "); })) << Log();
  std::thread lock([&] {
    EXPECT_TRUE(
        (*database)
            ->Run("USE netsentinel; BEGIN; SELECT * FROM lease FOR UPDATE; SELECT SLEEP(12)")
            .ok());
  });
  EXPECT_TRUE(
      test::WaitUntil([&] { return Get("/readyz").starts_with("503 "); }, std::chrono::seconds(8)))
      << Get("/readyz");
  EXPECT_THAT(Get("/readyz"), AnyOf(HasSubstr("lease: not ready"), HasSubstr("Lock wait")));
  lock.join();
  EXPECT_TRUE(
      test::WaitUntil([&] { return Get("/readyz").starts_with("200 "); }, std::chrono::seconds(30)))
      << Get("/readyz");
}

TEST_F(ClosedDoorsTest, OfManyStreamsWithoutAHelloSixteenAreOpenedAndEndedAndAnotherNameIsServed) {
  Start();
  const auto channel = Channel(rpc::Role::kCollector, "c1");
  std::vector<std::unique_ptr<test::IngestClient>> open;
  for (int i = 0; i < 40; ++i) open.push_back(std::make_unique<test::IngestClient>(channel));
  const auto other = Hello("c2", {"other"}, std::string(16, 'o'));
  EXPECT_EQ(welcome_.routers_size(), 1);
  std::map<grpc::StatusCode, int> ends;
  std::string refused;
  for (const auto& client : open) {
    const grpc::Status status = client->Finish();
    ++ends[status.error_code()];
    if (status.error_code() == grpc::RESOURCE_EXHAUSTED) refused = status.error_message();
  }
  EXPECT_EQ(ends[grpc::DEADLINE_EXCEEDED], 16);
  EXPECT_EQ(ends[grpc::RESOURCE_EXHAUSTED], 24);
  EXPECT_THAT(refused, HasSubstr("collector \"c1\" has 16 streams open"));
  EXPECT_THAT(Log(), HasSubstr("no hello came within 15s"));
}

TEST_F(ClosedDoorsTest, AStreamThatDoesNotKeepToItsCreditIsEnded) {
  Start();
  const auto client = Hello("c1", {"r1", "r2"});
  // Snapshots that never end: nothing of them can be dealt with.
  const auto part = [&](const std::string& router, std::uint32_t number) {
    v1::SnapshotFrame frame = Snapshot(router, 1, 1'000);
    frame.set_last_part(false);
    frame.set_part(number);
    if (number > 0) frame.clear_header();
    for (int i = 0; i < 900; ++i) frame.add_added()->set_comment(std::string(4'000, 'c'));
    return frame;
  };
  for (std::uint32_t i = 0; i < 3; ++i) client->Send(part("r1", i));
  client->Send(part("r2", 0));
  const grpc::Status status = client->Finish();
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_THAT(status.error_message(), HasSubstr("the credit of the welcome is 8388608"));
  const auto again = Hello("c1", {"r1"});
  again->Send(Snapshot("r1", 1, 1'000));
  EXPECT_TRUE(again->ReadAck().has_value()) << Log();
}

// How a database asks for the password.
enum class Login { kClear, kNative, kCachingSha2, kCachingSha2ThenNative };

// A database server that repeats whatever it was told or knows.
class EchoingDatabase {
 public:
  EchoingDatabase(std::string secret, Login login)
      : secret_(std::move(secret)),
        login_(login),
        acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}),
        thread_([this] { Serve(); }) {}
  ~EchoingDatabase() {
    boost::system::error_code ignored;
    stopping_ = true;
    // Wakes the accept.
    tcp::socket last(context_);
    last.connect({asio::ip::make_address("127.0.0.1"), port()}, ignored);
    thread_.join();
  }
  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  // Everything that clients have said.
  std::string Heard() {
    base::MutexLock lock(mutex_);
    return heard_;
  }
  // Whether somebody would encrypt the password with whatever key this server gives.
  bool AskedForKey() {
    base::MutexLock lock(mutex_);
    return asked_for_key_;
  }
  int Clients() {
    base::MutexLock lock(mutex_);
    return clients_;
  }

 private:
  static void Send(tcp::socket& socket, int number, const std::string& body) {
    std::string packet;
    packet.push_back(static_cast<char>(body.size() & 0xFF));
    packet.push_back(static_cast<char>(body.size() >> 8 & 0xFF));
    packet.push_back(static_cast<char>(body.size() >> 16 & 0xFF));
    packet.push_back(static_cast<char>(number));
    boost::system::error_code error;
    asio::write(socket, asio::buffer(packet + body), error);
  }
  std::string Receive(tcp::socket& socket) {
    std::array<unsigned char, 4> head{};
    boost::system::error_code error;
    asio::read(socket, asio::buffer(head), error);
    if (error) return "";
    std::string body(head[0] | head[1] << 8 | head[2] << 16, '\0');
    asio::read(socket, asio::buffer(body), error);
    base::MutexLock lock(mutex_);
    heard_ += body;
    if (body == "\x02") asked_for_key_ = true;
    return body;
  }
  void Greet(tcp::socket& socket) {
    const std::string scramble = kScramble;
    std::string hello =
        "\x0a"
        "10.11.6-MariaDB";
    hello.push_back('\0');
    hello += std::string("\x01\0\0\0", 4) + scramble.substr(0, 8) + std::string(1, '\0');
    hello += std::string("\x09\x82\x21\x02\0\x08\0\x15", 8) + std::string(10, '\0');
    hello += scramble.substr(8) + std::string(1, '\0');
    const bool sha2 = login_ == Login::kCachingSha2 || login_ == Login::kCachingSha2ThenNative;
    hello += sha2 ? "caching_sha2_password" : "mysql_native_password";
    hello.push_back('\0');
    Send(socket, 0, hello);
  }
  void Serve() {
    while (!stopping_) {
      tcp::socket socket(context_);
      boost::system::error_code error;
      acceptor_.accept(socket, error);
      if (error || stopping_) return;
      Greet(socket);
      std::string told = Receive(socket);
      int next = 2;
      const auto change_to = [&](const char* way) {
        Send(socket, next,
             absl::StrCat("\xFE", way, std::string(1, '\0'), kScramble, std::string(1, '\0')));
        told += Receive(socket);
        next += 2;
      };
      if (login_ == Login::kClear) change_to("mysql_clear_password");
      if (login_ == Login::kCachingSha2ThenNative) change_to("mysql_native_password");
      if (login_ == Login::kCachingSha2) {
        change_to("caching_sha2_password");
        Send(socket, next, "\x01\x04");  // "I do not know you yet: tell me all"
        told += Receive(socket);
        next += 2;
      }
      Send(socket, next,
           absl::StrCat(std::string("\xFF\x15\x04#28000", 9), "Access denied: you said ", secret_,
                        " or ", absl::Base64Escape(secret_), " or ",
                        absl::BytesToHexString(secret_), " after ", told));
      base::MutexLock lock(mutex_);
      ++clients_;
    }
  }

  static constexpr char kScramble[] = "abcdefghijklmnopqrst";
  const std::string secret_;
  const Login login_;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stopping_{false};
  base::Mutex mutex_;
  std::string heard_ ABSL_GUARDED_BY(mutex_);
  bool asked_for_key_ ABSL_GUARDED_BY(mutex_) = false;
  int clients_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

class DatabaseDoorTest : public ClosedDoorsTest {
 protected:
  // Starts the aggregator against the server and gives all that it says of its failure.
  std::string WhatIsSaidOf(EchoingDatabase& database) {
    EXPECT_THAT(io::WriteFileDurably(Path("db-password"), kDatabaseSecret, 0600), test::IsOk());
    store_url_ = absl::StrCat("mysql://ns@127.0.0.1:", database.port(),
                              "/netsentinel\", password_file: \"", Path("db-password"));
    WriteConfig();
    Launch();
    EXPECT_TRUE(test::WaitUntil([&] { return database.Clients() >= 1; }, std::chrono::seconds(30)));
    test::WaitUntil([&] { return !aggregator_->Running() || LogCount("connect to") > 0; });
    std::string said = absl::StrCat(Log(), Get("/readyz"), Get("/metrics"));
    for (const std::string& form :
         {std::string(kDatabaseSecret), absl::Base64Escape(kDatabaseSecret),
          absl::BytesToHexString(kDatabaseSecret)}) {
      EXPECT_THAT(said, Not(HasSubstr(form)));
    }
    EXPECT_THAT(database.Heard(), Not(HasSubstr(kDatabaseSecret))) << "it is not sent in clear";
    return said;
  }
  static constexpr char kDatabaseSecret[] = "Corr3ct-Horse-Battery";
};

TEST_F(DatabaseDoorTest, AServerThatAsksForThePasswordInClearIsNotTold) {
  EchoingDatabase database(kDatabaseSecret, Login::kClear);
  EXPECT_THAT(WhatIsSaidOf(database),
              HasSubstr("the password was not sent: give store.ca the file of the server's "
                        "authority, or use its socket, or a user of mysql_native_password"));
}

TEST_F(DatabaseDoorTest, WhatAServerEchoesOfThePasswordIsShownNowhere) {
  EchoingDatabase database(kDatabaseSecret, Login::kNative);
  EXPECT_THAT(WhatIsSaidOf(database),
              HasSubstr("Access denied: you said [password] or [password] or [password] after"));
}

TEST_F(DatabaseDoorTest, WithoutTlsAServerIsNotToldWhatItCanMakeThePasswordOf) {
  EchoingDatabase database(kDatabaseSecret, Login::kCachingSha2);
  EXPECT_THAT(WhatIsSaidOf(database),
              HasSubstr("the password was not sent: give store.ca the file of the server's "
                        "authority, or use its socket, or a user of mysql_native_password"));
  EXPECT_FALSE(database.AskedForKey());
}

TEST_F(DatabaseDoorTest, AUserOfAnotherLoginThanTheServersOwnCanLogInWithoutTls) {
  EchoingDatabase database(kDatabaseSecret, Login::kCachingSha2ThenNative);
  EXPECT_THAT(WhatIsSaidOf(database), HasSubstr("Access denied: you said [password]"));
}

}  // namespace
}  // namespace netsentinel
