#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "collector/routeros/openssl_md5.h"
#include "tests/support/queue_reply.h"
#include "tests/unit/collector/routeros/asio_client_fixture.h"

namespace netsentinel::routeros {
namespace {

using counters::QueueReading;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using Transport = ScriptedRouterOptions::Transport;

const std::vector<SentenceWords> kTwoQueues = {
    {"!re", "=.id=*1", "=name=alice", "=bytes=1/2", "=packets=1/1"},
    {"!re", "=.id=*2", "=name=bob", "=bytes=3/4", "=packets=1/1"},
    {"!done"}};
const std::vector<SentenceWords> kLicense = {{"!re", "=system-id=/+abc"}, {"!done"}};
const std::vector<SentenceWords> kNotPermitted = {{"!trap", "=message=not enough permissions (9)"},
                                                  {"!done"}};

TEST_F(AsioClientTest, LogsInAndReadsQueuesWithTheUptime) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", kResource}, {"/queue/simple/print", kTwoQueues}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  EXPECT_TRUE(client_->connected());
  ASSERT_OK_AND_ASSIGN(const QueueReply reply, Await(client_->ReadQueues(simple_)));
  EXPECT_THAT(reply.readings, ElementsAre(QueueReading{0, 1, 2, 2}, QueueReading{1, 3, 4, 2}));
  EXPECT_EQ(reply.uptime_s, 93600u);
  ASSERT_OK_AND_ASSIGN(const std::uint64_t uptime, Await(client_->ReadUptime()));
  EXPECT_EQ(uptime, 93600u);
}

TEST_F(AsioClientTest, ReadsTenThousandQueuesOverTls) {
  const test::TestCertificate certificate = test::MakeTestCertificate("IP:127.0.0.1");
  ScriptedRouter router(
      {.transport = Transport::kTls, .certificate = certificate}, [](RouterConnection& connection) {
        connection.AcceptLogin();
        while (const std::optional<SentenceWords> command = connection.Read()) {
          const std::string tag = TagOf(*command).substr(5);
          if (command->front() == "/queue/simple/print") {
            connection.SendBytes(test::MakeQueueReply({.rows = 10'000, .tag = tag}));
          } else {
            connection.Send({{"!re", "=uptime=5s", TagOf(*command)}, {"!done", TagOf(*command)}});
          }
        }
      });
  ASSERT_THAT(Connect(TlsTo(router, {.pin_sha256 = certificate.sha256_hex})), test::IsOk());
  for (int poll = 0; poll < 3; ++poll) {
    ASSERT_OK_AND_ASSIGN(const QueueReply reply, Await(client_->ReadQueues(simple_)));
    EXPECT_THAT(reply.readings, SizeIs(10'000));
  }
  EXPECT_EQ(table_.live(), 10'000u);
}

// The thread that would make the long reply into readings is held up all the while.
TEST_F(AsioClientTest, ALongReplyDelaysNoOtherRouter) {
  std::atomic<bool> all_sent{false};
  ScriptedRouter big([&all_sent](RouterConnection& connection) {
    connection.AcceptLogin();
    const std::string uptime_tag = TagOf(*connection.Read());
    const std::string tag = TagOf(*connection.Read()).substr(5);
    connection.Send({{"!re", uptime_tag, "=uptime=5s"}, {"!done", uptime_tag}});
    connection.SendBytes(test::MakeQueueReply({.rows = 20'000, .tag = tag}));
    all_sent = true;
    connection.AwaitClose();
  });
  ScriptedRouter small(
      Answering({{"/system/resource/print", kResource}, {"/queue/simple/print", kTwoQueues}}));
  asio::thread_pool workers(1);
  std::promise<void> go_on;
  asio::post(workers, [released = go_on.get_future().share()] { released.wait(); });
  counters::DescriptorTable big_table;
  QueueMenuReader big_reader(Menu::kSimple, big_table);
  AsioClient big_client(io_.get_executor(), PlainTo(big), {}, workers.get_executor());
  std::optional<absl::StatusOr<QueueReply>> big_reply;
  const auto read_big = [&]() -> asio::awaitable<void> {
    const absl::Status connected = co_await big_client.Connect();
    EXPECT_THAT(connected, test::IsOk());
    big_reply = co_await big_client.ReadQueues(big_reader);
  };
  asio::co_spawn(io_, read_big, asio::detached);
  bool small_done = false;
  const auto read_small = [&]() -> asio::awaitable<void> {
    const absl::Status connected = co_await Client(PlainTo(small)).Connect();
    EXPECT_THAT(connected, test::IsOk());
    for (int after = 0; connected.ok() && after < 20; after += all_sent ? 1 : 0) {
      const absl::StatusOr<QueueReply> reply = co_await client_->ReadQueues(simple_);
      EXPECT_THAT(reply, test::IsOk());
    }
    small_done = true;
  };
  asio::co_spawn(io_, read_small, asio::detached);
  while (!small_done && io_.run_one_for(std::chrono::seconds(20)) > 0) {
  }
  EXPECT_TRUE(small_done);
  EXPECT_FALSE(big_reply.has_value()) << "made on the thread that polls";
  go_on.set_value();
  workers.join();
  io_.restart();
  io_.run_for(std::chrono::seconds(20));
  ASSERT_TRUE(big_reply.has_value());
  ASSERT_THAT(*big_reply, test::IsOk());
  EXPECT_THAT((*big_reply)->readings, SizeIs(20'000));
}

TEST_F(AsioClientTest, ReadsAReplyThatComesByteByByte) {
  ScriptedRouter router([](RouterConnection& connection) {
    connection.AcceptLogin();
    const std::string uptime_tag = TagOf(*connection.Read());
    const std::string queue_tag = TagOf(*connection.Read()).substr(5);
    connection.Send({{"!re", uptime_tag, "=uptime=5s"}, {"!done", uptime_tag}});
    connection.SendSlowly(test::MakeQueueReply({.rows = 3, .tag = queue_tag}));
    connection.AwaitClose();
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const QueueReply reply, Await(client_->ReadQueues(simple_)));
  EXPECT_THAT(reply.readings, SizeIs(3));
}

TEST_F(AsioClientTest, KnowsARouterboardByItsSerialNumber) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", kResource},
                 {"/system/identity/print", {{"!re", "=name=core\xE9"}, {"!done"}}},
                 {"/system/routerboard/print",
                  {{"!re", "=routerboard=true", "=serial-number=HB10"}, {"!done"}}},
                 {"/system/license/print", {{"!re", "=software-id=AB12-CD34"}, {"!done"}}}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const DeviceReport report, Await(client_->ReadDevice()));
  EXPECT_EQ(report.device.Key(), "serial:HB10");
  EXPECT_EQ(report.device.identity, "core\xE9");
  EXPECT_EQ(report.device.version, "7.18.2 (stable)");
  EXPECT_EQ(report.device.board_name, "CHR");
  EXPECT_EQ(report.uptime_s, 93600u);
}

TEST_F(AsioClientTest, KnowsARouterWithoutRouterboardByItsLicense) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", kResource},
                 {"/system/identity/print", {{"!re", "=name=chr"}, {"!done"}}},
                 {"/system/license/print", {{"!re", "=system-id=/+abc"}, {"!done"}}}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const DeviceReport report, Await(client_->ReadDevice()));
  EXPECT_EQ(report.device.Key(), "system:/+abc");
}

TEST_F(AsioClientTest, TakesNoOtherIdentityBecauseAMenuIsForbidden) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", kResource},
                 {"/system/identity/print", {{"!re", "=name=x"}, {"!done"}}},
                 {"/system/routerboard/print", kNotPermitted},
                 {"/system/license/print", {{"!re", "=system-id=/+abc"}, {"!done"}}}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  const absl::Status status = Await(client_->ReadDevice()).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kPolicyMissing);
  EXPECT_TRUE(client_->connected());
}

TEST_F(AsioClientTest, StaysConnectedWhenOneMenuFails) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", kResource}, {"/queue/simple/print", kTwoQueues}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  counters::DescriptorTable tree_table;
  QueueMenuReader tree(Menu::kTree, tree_table);
  const absl::Status status = Await(client_->ReadQueues(tree)).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kMenuAbsent);
  EXPECT_THAT(Text(status), AllOf(HasSubstr(client_->address()), HasSubstr("/queue/tree/print")));
  EXPECT_THAT(Await(client_->ReadQueues(simple_)), test::IsOk());
}

TEST_F(AsioClientTest, TakesNoOtherIdentityBecauseAReplyFellShort) {
  const std::vector<SentenceWords> empty = {{"!done"}};
  const std::vector<SentenceWords> nameless = {{"!re", "=routerboard=true"}, {"!done"}};
  for (const auto& [board, license, why] :
       {std::tuple(empty, kLicense, "/system/routerboard has no row"),
        std::tuple(nameless, empty, "/system/license has no row"),
        std::tuple(nameless, kNoMenu, "no serial-number"),
        std::tuple(kNoMenu, empty, "/system/license has no row")}) {
    ScriptedRouter router(Answering({{"/system/resource/print", kResource},
                                     {"/system/identity/print", {{"!re", "=name=x"}, {"!done"}}},
                                     {"/system/routerboard/print", board},
                                     {"/system/license/print", license}}));
    ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
    const absl::Status status = Await(client_->ReadDevice()).status();
    EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply) << status;
    EXPECT_THAT(Text(status), HasSubstr(why));
    EXPECT_TRUE(client_->connected());
    client_.reset();
  }
}

TEST_F(AsioClientTest, WhatIdentifiesADeviceIsEnough) {
  const std::vector<SentenceWords> board = {{"!re", "=routerboard=true", "=serial-number=HB10"},
                                            {"!done"}};
  const std::vector<SentenceWords> nameless = {{"!re", "=routerboard=true"}, {"!done"}};
  const std::vector<SentenceWords> identity = {{"!re", "=name=x"}, {"!done"}};
  struct Case {
    std::vector<SentenceWords> identity, board, license;
    const char* key;
    const char* remark;
  };
  for (const Case& one :
       {Case{identity, board, kNotPermitted, "serial:HB10", "the license was not"},
        Case{identity, board, {{"!done"}}, "serial:HB10", "the license was not"},
        Case{identity, nameless, kLicense, "system:/+abc", "no serial number"},
        Case{kNotPermitted, board, kLicense, "serial:HB10", "name was not told"},
        Case{identity, board, kLicense, "serial:HB10", ""}}) {
    ScriptedRouter router(Answering({{"/system/resource/print", kResource},
                                     {"/system/identity/print", one.identity},
                                     {"/system/routerboard/print", one.board},
                                     {"/system/license/print", one.license}}));
    ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
    ASSERT_OK_AND_ASSIGN(const DeviceReport report, Await(client_->ReadDevice()));
    EXPECT_EQ(report.device.Key(), one.key);
    EXPECT_THAT(report.remark, HasSubstr(one.remark));
    EXPECT_EQ(report.remark.empty(), *one.remark == '\0') << report.remark;
    client_.reset();
  }
}

TEST_F(AsioClientTest, ASerialNumberThatWasMissingOnceIsTakenAllTheSame) {
  int asked = 0;
  ScriptedRouter router([&asked](RouterConnection& connection) {
    connection.AcceptLogin();
    while (const std::optional<SentenceWords> command = connection.Read()) {
      const std::string tag = TagOf(*command);
      if (command->front() == "/system/resource/print") {
        connection.Send({{"!re", "=uptime=5s", "=board-name=RB", tag}, {"!done", tag}});
      } else if (command->front() == "/system/routerboard/print") {
        const char* serial = ++asked == 1 ? "=serial-number=" : "=serial-number=HB10";
        connection.Send({{"!re", "=routerboard=true", serial, tag}, {"!done", tag}});
      } else {
        connection.Send({{"!re", "=name=x", "=software-id=AB12", tag}, {"!done", tag}});
      }
    }
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const DeviceReport report, Await(client_->ReadDevice()));
  EXPECT_EQ(report.device.Key(), "serial:HB10");
  EXPECT_EQ(report.remark, "");
}

// 300 rows that come one by one, each well within the silence, all of them well beyond it.
TEST_F(AsioClientTest, AReplyThatTricklesIsReadHoweverLongItTakes) {
  ScriptedRouter router([](RouterConnection& connection) {
    connection.AcceptLogin();
    const std::string uptime_tag = TagOf(*connection.Read());
    const std::string tag = TagOf(*connection.Read());
    connection.Send({{"!re", uptime_tag, "=uptime=5s"}, {"!done", uptime_tag}});
    for (int row = 1; row <= 300; ++row) {
      // The trickle itself, not a wait for something.
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      connection.Send(
          {{"!re", tag, absl::StrCat("=.id=*", row), absl::StrCat("=name=q", row), "=bytes=1/1"}});
    }
    connection.Send({{"!done", tag}});
    connection.AwaitClose();
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const QueueReply reply,
                       Await(client_->ReadQueues(simple_, {.silence = absl::Seconds(2)})));
  EXPECT_THAT(reply.readings, SizeIs(300));
}

TEST_F(AsioClientTest, AReplyThatNeverEndsIsGivenUpAtTheTotal) {
  ScriptedRouter router([](RouterConnection& connection) {
    connection.AcceptLogin();
    connection.Read();
    const std::string tag = TagOf(*connection.Read());
    std::string bytes;
    SentenceBuilder(bytes).Word("!empty").Word(tag).End();
    // Until the client has gone: what cannot be written any more is dropped.
    for (int i = 0; i < 200; ++i) {
      connection.SendBytes(bytes);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  const absl::Status status =
      Await(client_->ReadQueues(simple_, {.silence = absl::Seconds(5), .total = kShort})).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply);
  EXPECT_THAT(Text(status), HasSubstr("no end within 300ms"));
}

TEST_F(AsioClientTest, NothingOfARouterHoldsThePassword) {
  const std::string secret = "n3tS3nt1nel-!";
  const auto said = [&secret](const char* key) { return absl::StrCat("=", key, "=my ", secret); };
  ScriptedRouter router(
      Answering({{"/system/resource/print",
                  {{"!re", "=uptime=5s", said("version"), said("board-name")}, {"!done"}}},
                 {"/system/identity/print", {{"!re", said("name")}, {"!done"}}},
                 {"/system/routerboard/print", {{"!re", said("serial-number")}, {"!done"}}},
                 {"/system/license/print", kNotPermitted},
                 {"/queue/simple/print",
                  {{"!re", "=.id=*1", said("name"), said("comment"), "=bytes=1/2"},
                   {"!re", "=.id=*2", "=name=bob", "=comment=bjN0UzNudDFuZWwtIQ==", "=max-limit=x",
                    "=bytes=3/4"},
                   {"!done"}}},
                 {"/queue/tree/print", {{"!re", "=.id=*1", said("name"), "=bytes=one"}, {"!done"}}},
                 {"/ip/service/print", {{"!re", said("name")}, {"!done"}}}}));
  RouterEndpoint endpoint = PlainTo(router);
  endpoint.credentials.password = base::Secret(secret);
  ASSERT_THAT(Connect(std::move(endpoint)), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const DeviceReport report, Await(client_->ReadDevice()));
  EXPECT_EQ(report.device.serial_number, "my [password]");
  EXPECT_EQ(report.device.identity, "my [password]");
  EXPECT_EQ(report.device.version, "my [password]");
  EXPECT_EQ(report.device.board_name, "my [password]");
  for (int poll = 0; poll < 2; ++poll) {
    ASSERT_OK_AND_ASSIGN(const QueueReply reply, Await(client_->ReadQueues(simple_)));
    ASSERT_THAT(reply.readings, SizeIs(2));
    EXPECT_EQ(table_.Find(reply.readings[0].descriptor)->name, "my [password]");
    EXPECT_EQ(table_.Find(reply.readings[0].descriptor)->comment, "my [password]");
    EXPECT_EQ(table_.Find(reply.readings[1].descriptor)->comment, "[password]") << "in Base64";
  }
  counters::DescriptorTable tree_table;
  QueueMenuReader tree(Menu::kTree, tree_table);
  EXPECT_THAT(Text(Await(client_->ReadQueues(tree)).status()),
              AllOf(HasSubstr("my [password]"), Not(HasSubstr("S3nt"))));
  const std::vector<absl::string_view> words = {"/ip/service/print"};
  std::string name;
  const auto on_row = [&name](Sentence row) { name = std::string(row[0]); };
  ASSERT_THAT(Await(client_->Run(words, on_row)), test::IsOk());
  EXPECT_EQ(name, "=name=my [password]");
}

TEST_F(AsioClientTest, SaysThatALinkLocalAddressHasNoSuchInterface) {
  RouterEndpoint endpoint;
  endpoint.host = "fe80::1%no-such-iface";
  const absl::Status status = Connect(std::move(endpoint));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("[fe80::1%no-such-iface]:8729"),
                                  HasSubstr("no interface 'no-such-iface'")));
}

TEST_F(AsioClientTest, RefusesAReplyWithoutStatistics) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", kResource},
                 {"/queue/simple/print", {{"!re", "=.id=*1", "=name=a"}, {"!done"}}}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  const absl::Status status = Await(client_->ReadQueues(simple_)).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply);
  EXPECT_TRUE(client_->connected());
}

TEST_F(AsioClientTest, RefusesQueuesWithoutAnUptime) {
  ScriptedRouter router(
      Answering({{"/system/resource/print", {{"!done"}}}, {"/queue/simple/print", kTwoQueues}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  EXPECT_EQ(RouterErrorOf(Await(client_->ReadQueues(simple_)).status()),
            RouterError::kIncompleteReply);
  EXPECT_EQ(table_.live(), 0u);
}

TEST_F(AsioClientTest, ShowsTheRowsOfAnyCommand) {
  ScriptedRouter router(
      Answering({{"/ip/service/print", {{"!re", "=name=api"}, {"!re", "=name=ssh"}, {"!done"}}}}));
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  std::vector<std::string> names;
  const std::vector<absl::string_view> words = {"/ip/service/print"};
  const auto on_row = [&names](Sentence row) { names.emplace_back(row[0]); };
  ASSERT_OK_AND_ASSIGN(const CommandResult result, Await(client_->Run(words, on_row)));
  EXPECT_EQ(result.rows, 2u);
  EXPECT_THAT(names, ElementsAre("=name=api", "=name=ssh"));
}

TEST_F(AsioClientTest, SaysThatALoginWasRefusedAndNotThePassword) {
  ScriptedRouter router([](RouterConnection& connection) {
    const std::string tag = TagOf(*connection.Read());
    connection.Send({{"!trap", "=message=invalid user name or password (6)", tag}, {"!done", tag}});
    connection.AwaitClose();
  });
  const absl::Status status = Connect(PlainTo(router));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kLoginRefused);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("'netsentinel'"), HasSubstr("invalid user name"),
                                  HasSubstr(client_->address()), Not(HasSubstr("s3cret"))));
  EXPECT_FALSE(client_->connected());
}

TEST_F(AsioClientTest, AnswersAChallengeWithMd5) {
  std::string answered;
  ScriptedRouter router([&answered](RouterConnection& connection) {
    const SentenceWords asked = *connection.Read();
    connection.Send({{"!done", "=ret=00112233445566778899aabbccddeeff", TagOf(asked)}});
    const SentenceWords response = *connection.Read();
    answered = asked[1] + " " + response[2];
    connection.Send({{"!done", TagOf(response)}});
    connection.AwaitClose();
  });
  RouterEndpoint endpoint = PlainTo(router);
  endpoint.login = LoginMethod::kLegacy;
  endpoint.credentials.password = base::Secret("n3tS3nt1nel");
  ASSERT_THAT(Connect(std::move(endpoint)), test::IsOk());
  EXPECT_EQ(answered, ".tag=1 =response=00a370c4b9908943ba5f2aba4950179b8c");
}

TEST_F(AsioClientTest, SaysThatNothingListens) {
  std::uint16_t port = 0;
  RouterEndpoint endpoint;
  {
    ScriptedRouter router([](RouterConnection&) {});
    endpoint = TlsTo(router, {.anonymous = true});
    port = router.port();
  }
  const absl::Status status = Connect(std::move(endpoint));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_THAT(Text(status), AllOf(HasSubstr(absl::StrCat("127.0.0.1:", port)),
                                  HasSubstr("Connection refused"), HasSubstr("api-ssl")));
}

TEST_F(AsioClientTest, SaysThatANameHasNoAddress) {
  ScriptedRouter router([](RouterConnection&) {});
  RouterEndpoint endpoint = PlainTo(router);
  endpoint.host = std::string(300, 'a');
  const absl::Status status = Connect(std::move(endpoint));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_THAT(Text(status), HasSubstr("DNS"));
}

TEST_F(AsioClientTest, TriesEveryAddressOfAName) {
  ScriptedRouter router(Answering({}));
  RouterEndpoint endpoint = PlainTo(router);
  endpoint.host = "localhost";
  EXPECT_THAT(Connect(std::move(endpoint)), test::IsOk());
}

TEST_F(AsioClientTest, SaysThatTheServiceDeniesThisAddress) {
  ScriptedRouter router([](RouterConnection& connection) { connection.Read(); });
  const absl::Status status = Connect(PlainTo(router));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_THAT(Text(status), HasSubstr("/ip/service allows this address"));
}

TEST_F(AsioClientTest, GivesUpALoginThatIsNotAnswered) {
  ScriptedRouter router([](RouterConnection& connection) { connection.AwaitClose(); });
  const absl::Status status = Connect(PlainTo(router), kShort);
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("no end within 300ms"), HasSubstr("/ip/service")));
}

TEST_F(AsioClientTest, GivesUpATlsHandshakeThatIsNotAnswered) {
  ScriptedRouter router([](RouterConnection& connection) { connection.AwaitClose(); });
  const absl::Status status = Connect(TlsTo(router, {.anonymous = true}), kShort);
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_THAT(Text(status), HasSubstr("no end of the TLS handshake within 300ms"));
}

TEST_F(AsioClientTest, ClosesAndConnectsAnewAfterAReplyThatStopsHalfway) {
  int connections = 0;
  ScriptedRouter router([&connections](RouterConnection& connection) {
    if (++connections > 1) {
      Answering({{"/system/resource/print", kResource}, {"/queue/simple/print", kTwoQueues}})(
          connection);
      return;
    }
    connection.AcceptLogin();
    connection.Read();
    const std::string tag = TagOf(*connection.Read());
    connection.Send({{"!re", tag, "=.id=*1", "=name=a", "=bytes=1/1"}});
    connection.AwaitClose();
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  const absl::Status status = Await(client_->ReadQueues(simple_, {.silence = kShort})).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply);
  EXPECT_THAT(Text(status), AllOf(HasSubstr("nothing came for 300ms"), HasSubstr("after 1 rows")));
  EXPECT_FALSE(client_->connected());
  EXPECT_EQ(RouterErrorOf(Await(client_->ReadUptime()).status()), RouterError::kUnreachable);
  ASSERT_THAT(Await(client_->Connect()), test::IsOk());
  EXPECT_THAT(Await(client_->ReadQueues(simple_)), test::IsOk());
}

TEST_F(AsioClientTest, NoticesThatTheRouterWentBetweenTwoPolls) {
  ScriptedRouter router([](RouterConnection& connection) { connection.AcceptLogin(); });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  EXPECT_EQ(RouterErrorOf(Await(client_->ReadUptime()).status()), RouterError::kUnreachable);
  EXPECT_FALSE(client_->connected());
}

TEST_F(AsioClientTest, SaysWhyTheRouterEndedTheSession) {
  ScriptedRouter router([](RouterConnection& connection) {
    connection.AcceptLogin();
    connection.Read();
    connection.Send({{"!fatal", "too many commands"}});
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  const absl::Status status = Await(client_->ReadUptime()).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kClosedByRouter);
  EXPECT_THAT(Text(status), HasSubstr("too many commands"));
}

TEST_F(AsioClientTest, SaysThatTheServiceIsNotTheApi) {
  ScriptedRouter router([](RouterConnection& connection) {
    connection.SendBytes("HTTP/1.0 400 Bad Request\r\nContent-Type: text/html\r\n\r\n");
    connection.SendBytes(std::string(200, '\xFF'));
    connection.AwaitClose();
  });
  const absl::Status status = Connect(PlainTo(router));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kProtocolError);
  EXPECT_THAT(Text(status), HasSubstr("port"));
}

TEST_F(AsioClientTest, EndsAnOperationWhenItIsClosed) {
  ScriptedRouter router([](RouterConnection& connection) {
    connection.AcceptLogin();
    connection.AwaitClose();
  });
  ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
  asio::steady_timer soon(io_, std::chrono::milliseconds(50));
  soon.async_wait([this](const boost::system::error_code&) { client_->Close(); });
  const absl::Status status = Await(client_->ReadUptime()).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
  EXPECT_FALSE(client_->connected());
}

struct Md5Case {
  const char* challenge;
  const char* password;
  const char* response;
};
class ChallengeResponseTest : public testing::TestWithParam<Md5Case> {};
TEST_P(ChallengeResponseTest, EqualsWhatRoutersAccepted) {
  ASSERT_OK_AND_ASSIGN(
      const std::string response,
      ChallengeResponse(GetParam().challenge, GetParam().password, Md5WithOpenSsl));
  EXPECT_EQ(response, GetParam().response);
}
INSTANTIATE_TEST_SUITE_P(
    Known, ChallengeResponseTest,
    testing::Values(
        Md5Case{"856780b7411eefd3abadee2058c149a3", "", "005062f7a5ef124d34675bf3e81f56c556"},
        Md5Case{"93b438ec9b80057c06dd9fe67d56aa9a", "", "00e134102a9d330dd7b1849fedfea3cb57"},
        Md5Case{"abc123", "passTest", "0021277bff9ac7caf06aa608e46616d47f"},
        Md5Case{"259e0bc05acd6f46926dc2f809ed1bba", "test", "00c7fd865183a43a772dde231f6d0bff13"},
        Md5Case{"00112233445566778899aabbccddeeff", "n3tS3nt1nel",
                "00a370c4b9908943ba5f2aba4950179b8c"}));

TEST(ChallengeResponseFormTest, RefusesWhatIsNoHex) {
  for (const char* challenge : {"", "abc", "zz"}) {
    EXPECT_THAT(ChallengeResponse(challenge, "p", Md5WithOpenSsl),
                test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("hex")));
  }
}

}  // namespace
}  // namespace netsentinel::routeros
