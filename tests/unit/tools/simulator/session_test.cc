#include "tools/simulator/session.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::simulator {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

constexpr std::int64_t kServed_us = 1'000'000'000'000;

// Stands in for MD5: what matters here is which bytes go in.
std::string Echo(const std::string& bytes) { return bytes; }

QueueSpec SpecWithBytes(const std::string& name, UpDown bytes) {
  QueueSpec spec;
  spec.name = name;
  spec.target = "10.0.0.1/32";
  spec.bytes = bytes;
  return spec;
}

class SessionTest : public testing::Test {
 protected:
  void SetUp() override { Make(ApiMode::kV718); }

  void Make(ApiMode mode, std::vector<std::string> policies = {"read", "api"}) {
    RouterSpec spec;
    spec.id = "r1";
    spec.mode = mode;
    spec.users = {{.name = "ns", .password = "pw", .policies = policies}};
    spec.queues = {
        {.menu = Menu::kSimple, .spec = SpecWithBytes("alice", {.up = 10, .down = 200})},
        {.menu = Menu::kSimple, .spec = SpecWithBytes("bob", {.up = 3, .down = 4000})},
        {.menu = Menu::kTree, .row_id = 0x1000003, .spec = SpecWithBytes("down", {0, 77})}};
    spec.queues[1].spec.comment = "late = payer";
    absl::StatusOr<Router> router = Router::Create(spec, 1, kServed_us);
    ASSERT_TRUE(router.ok()) << router.status().ToString();
    router_ = std::make_unique<Router>(*std::move(router));
    session_ = std::make_unique<Session>(*router_, Session::Options{.tls = false, .md5 = &Echo});
  }

  Reply Send(const Words& words) {
    return session_->Handle(words, kServed_us, absl::FromUnixSeconds(1'700'000'000));
  }
  void LogIn() {
    EXPECT_THAT(Send({"/login", "=name=ns", "=password=pw"}).sentences,
                ElementsAre(Words{"!done"}));
  }

  std::unique_ptr<Router> router_;
  std::unique_ptr<Session> session_;
};

TEST_F(SessionTest, PrintShowsAllFieldsInTheOrderOfTheRouter) {
  LogIn();
  const Reply reply = Send({"/queue/simple/print", "?name=bob"});
  ASSERT_EQ(reply.sentences.size(), 2u);
  std::vector<std::string> keys;
  for (const std::string& word : reply.sentences[0]) {
    if (word[0] == '=') keys.push_back(word.substr(1, word.find('=', 1) - 1));
  }
  EXPECT_THAT(
      keys, ElementsAre(".id", "name", "target", "parent", "packet-marks", "priority", "queue",
                        "limit-at", "max-limit", "burst-limit", "burst-threshold", "burst-time",
                        "bucket-size", "bytes", "total-bytes", "packets", "dropped", "packet-rate",
                        "queued-packets", "queued-bytes", "rate", "total-packets", "total-dropped",
                        "total-rate", "total-packet-rate", "total-queued-packets",
                        "total-queued-bytes", "invalid", "dynamic", "disabled", "comment"));
  EXPECT_THAT(reply.sentences[0], Contains("=comment=late = payer"));
  EXPECT_THAT(reply.sentences[0], Contains("=total-bytes=0"));
  EXPECT_THAT(reply.sentences[1], ElementsAre("!done"));
}

TEST_F(SessionTest, ProplistIsExactAndRowsMayComeWithoutAnyWord) {
  LogIn();
  EXPECT_THAT(Send({"/queue/simple/print", "=.proplist=bytes,name,no-such"}).sentences,
              ElementsAre(Words{"!re", "=name=alice", "=bytes=10/200"},
                          Words{"!re", "=name=bob", "=bytes=3/4000"}, Words{"!done"}));
  EXPECT_THAT(Send({"/queue/simple/print", "=.proplist=comment"}).sentences,
              ElementsAre(Words{"!re"}, Words{"!re", "=comment=late = payer"}, Words{"!done"}));
}

TEST_F(SessionTest, TreeCountersAreSingleNumbersWithoutDynamic) {
  LogIn();
  const Reply reply = Send({"/queue/tree/print", "=stats=", "=detail="});
  EXPECT_THAT(reply.sentences[0], Contains("=bytes=77"));
  EXPECT_THAT(reply.sentences[0], Contains("=.id=*1000003"));
  EXPECT_THAT(reply.sentences[0], Not(Contains(HasSubstr("dynamic"))));
}

TEST_F(SessionTest, ServedRowsRepeatExactlyWhatTheReplyShowed) {
  LogIn();
  const Reply reply = Send({"/queue/simple/print", "=.proplist=name,bytes"});
  ASSERT_TRUE(reply.served.has_value());
  ASSERT_EQ(reply.served->rows.size(), 2u);
  EXPECT_EQ(reply.served->rows[1].name, "bob");
  EXPECT_EQ(reply.served->rows[1].bytes, (UpDown{.up = 3, .down = 4000}));
  EXPECT_FALSE(reply.served->rows[1].packets.has_value());
  EXPECT_EQ(reply.served->uptime_s, 3600u);
}

TEST_F(SessionTest, EmptyAnswersCarryEmptyOnlyFromVersion718) {
  LogIn();
  const Words none = {"/queue/simple/print", "?name=nobody"};
  EXPECT_THAT(Send(none).sentences, ElementsAre(Words{"!empty"}, Words{"!done"}));
  Make(ApiMode::kV717);
  LogIn();
  EXPECT_THAT(Send(none).sentences, ElementsAre(Words{"!done"}));
}

TEST_F(SessionTest, CountOnlyCountsTheRowsThatMatch) {
  LogIn();
  EXPECT_THAT(Send({"/queue/simple/print", "=count-only="}).sentences,
              ElementsAre(Words{"!done", "=ret=2"}));
  EXPECT_THAT(Send({"/queue/simple/print", "=count-only=", "?name=bob"}).sentences,
              ElementsAre(Words{"!done", "=ret=1"}));
}

TEST_F(SessionTest, UnknownMenusTrapOnceOrTwiceAndAreFollowedByDone) {
  LogIn();
  EXPECT_THAT(Send({"/system/health/print"}).sentences,
              ElementsAre(Words{"!trap", "=category=0", "=message=no such command prefix"},
                          Words{"!done"}));
  router_->mutable_spec().two_traps = true;
  EXPECT_THAT(
      Send({"/ip/adress/print"}).sentences,
      ElementsAre(Words{"!trap", "=category=0", "=message=no such command or directory (adress)"},
                  Words{"!trap", "=message=no such command prefix"}, Words{"!done"}));
}

TEST_F(SessionTest, ChrHasALicenseButNoRouterboard) {
  router_->mutable_spec().chr = true;
  LogIn();
  EXPECT_THAT(Send({"/system/routerboard/print"}).sentences[0],
              Contains("=message=no such command prefix"));
  EXPECT_THAT(Send({"/system/license/print"}).sentences[0], Contains(HasSubstr("=system-id=")));
}

TEST_F(SessionTest, MissingPolicyIsAnswersNine) {
  Make(ApiMode::kV718, {"api"});
  LogIn();
  EXPECT_THAT(Send({"/queue/simple/print"}).sentences,
              ElementsAre(Words{"!trap", "=message=not enough permissions (9)"}, Words{"!done"}));
  Make(ApiMode::kV718);
  LogIn();
  EXPECT_THAT(Send({"/queue/simple/reset-counters-all"}).sentences[0],
              Contains("=message=not enough permissions (9)"));
  EXPECT_THAT(Send({"/user/print"}).sentences[0], Contains("=message=not enough permissions (9)"));
}

TEST_F(SessionTest, WritersResetOneOrAllCounters) {
  Make(ApiMode::kV718, {"read", "api", "write"});
  LogIn();
  EXPECT_THAT(Send({"/queue/simple/reset-counters", "=.id=*1"}).sentences,
              ElementsAre(Words{"!done"}));
  EXPECT_TRUE(router_->engine().Find(Menu::kSimple, "alice")->bytes.zero());
  EXPECT_FALSE(router_->engine().Find(Menu::kSimple, "bob")->bytes.zero());
  EXPECT_THAT(Send({"/queue/simple/reset-counters", "=.id=*99"}).sentences[0],
              Contains("=message=no such item"));
  Send({"/queue/simple/reset-counters-all"});
  EXPECT_TRUE(router_->engine().Find(Menu::kSimple, "bob")->bytes.zero());
}

TEST_F(SessionTest, ChallengeLoginWorksBefore643OnlyAndHashesTheRightBytes) {
  Make(ApiMode::kPre643);
  const Reply challenge = Send({"/login", "=name=ns", "=password=pw"});
  ASSERT_EQ(challenge.sentences.size(), 1u);
  ASSERT_EQ(challenge.sentences[0].size(), 2u);
  const std::string hex = challenge.sentences[0][1].substr(5);
  ASSERT_EQ(hex.size(), 32u);
  // The echo in place of MD5 shows what is hashed: a zero byte, the password, the challenge.
  EXPECT_THAT(Send({"/login", "=name=ns", "=response=00007077" + hex}).sentences,
              ElementsAre(Words{"!done"}));
  Make(ApiMode::kPre643);
  Send({"/login"});
  EXPECT_THAT(Send({"/login", "=name=ns", "=response=00"}).sentences,
              ElementsAre(Words{"!trap", "=message=cannot log in"}, Words{"!done"}));
}

TEST_F(SessionTest, NewVersionsGiveAChallengeButRefuseItsAnswer) {
  const Reply challenge = Send({"/login"});
  const std::string hex = challenge.sentences[0][1].substr(5);
  EXPECT_THAT(
      Send({"/login", "=name=ns", "=response=00007077" + hex}).sentences,
      ElementsAre(Words{"!trap", "=message=invalid user name or password (6)"}, Words{"!done"}));
  EXPECT_FALSE(session_->logged_in());
}

TEST_F(SessionTest, CommandsBeforeLoginAndTooManySentencesAreFatal) {
  const Reply early = Send({"/queue/simple/print"});
  EXPECT_THAT(early.sentences, ElementsAre(Words{"!fatal", "not logged in"}));
  EXPECT_TRUE(early.close_after);
  Make(ApiMode::kV718);
  for (int i = 0; i < 8; ++i) {
    EXPECT_FALSE(Send({"/login", "=name=ns", "=password=bad"}).close_after);
  }
  EXPECT_TRUE(Send({"/login", "=name=ns", "=password=bad"}).close_after);
}

TEST_F(SessionTest, QuitSaysWhyOnPlainConnectionsAndNothingOverTls) {
  EXPECT_THAT(Send({"/quit"}).sentences,
              ElementsAre(Words{"!fatal", "session terminated on request"}));
  Session tls(*router_, {.tls = true, .md5 = &Echo});
  const Reply reply = tls.Handle({"/quit"}, kServed_us, absl::UnixEpoch());
  EXPECT_TRUE(reply.sentences.empty());
  EXPECT_TRUE(reply.close_after);
}

TEST_F(SessionTest, UnknownArgumentsAndQueriesTrap) {
  LogIn();
  EXPECT_THAT(Send({"/queue/simple/print", "=wrong=1"}).sentences[0],
              Contains("=message=unknown parameter wrong"));
  EXPECT_THAT(Send({"/queue/simple/print", "?#|"}).sentences[0], Contains(HasSubstr("query")));
}

TEST_F(SessionTest, TheZeroFaultSpoilsExactlyOneReplyAndTheRecordSaysSo) {
  LogIn();
  router_->faults().Add({.kind = FaultKind::kZeroCounters});
  const Reply zero = Send({"/queue/simple/print", "=.proplist=name,bytes"});
  EXPECT_THAT(zero.sentences[1], Contains("=bytes=0/0"));
  EXPECT_EQ(zero.served->rows[1].bytes, UpDown{});
  EXPECT_THAT(zero.served->faults, ElementsAre("zero_counters"));
  EXPECT_THAT(Send({"/queue/simple/print", "=.proplist=name,bytes"}).sentences[1],
              Contains("=bytes=3/4000"));
}

TEST_F(SessionTest, FaultsOfRowsShapeTheListAsTheySay) {
  LogIn();
  router_->faults().Add({.kind = FaultKind::kDropRows, .value = 1});
  Reply reply = Send({"/queue/simple/print"});
  EXPECT_EQ(reply.served->rows.size(), 1u);
  EXPECT_EQ(reply.sentences.size(), 2u);
  router_->faults().Add({.kind = FaultKind::kRowsWithoutBytes, .value = 2});
  reply = Send({"/queue/simple/print", "=.proplist=name,bytes"});
  EXPECT_THAT(reply.sentences[0], Contains("=bytes=10/200"));
  EXPECT_THAT(reply.sentences[1], ElementsAre("!re", "=name=bob"));
  EXPECT_FALSE(reply.served->rows[1].bytes.has_value());
  router_->faults().Add({.kind = FaultKind::kBadNumber, .text = "-1/1.5"});
  reply = Send({"/queue/simple/print", "=.proplist=name,bytes"});
  EXPECT_THAT(reply.sentences[0], ElementsAre("!re", "=name=alice", "=bytes=-1/1.5"));
  router_->faults().Add({.kind = FaultKind::kDuplicateId});
  reply = Send({"/queue/simple/print", "=.proplist=.id"});
  EXPECT_THAT(reply.sentences[1], ElementsAre("!re", "=.id=*1"));
}

TEST_F(SessionTest, TheClockBeginsIn1970AfterAPowerUpWithoutTime) {
  LogIn();
  EXPECT_THAT(Send({"/system/clock/print"}).sentences[0], Contains("=date=2023-11-14"));
  router_->SetClockLost(true);
  const Reply lost = Send({"/system/clock/print"});
  EXPECT_THAT(lost.sentences[0], Contains("=date=1970-01-02"));
  EXPECT_THAT(lost.sentences[0], Contains("=time=01:00:00"));
  Make(ApiMode::kV6);
  LogIn();
  EXPECT_THAT(Send({"/system/clock/print"}).sentences[0], Contains("=date=nov/14/2023"));
}

TEST_F(SessionTest, SomePropertiesShowOnlyWhereTheyAreSet) {
  LogIn();
  const auto keys = [this](const char* path, const char* name) {
    std::vector<std::string> found;
    const Reply reply = Send({path, absl::StrCat("?name=", name)});
    for (const std::string& word : reply.sentences[0]) {
      for (const char* key :
           {"total-bytes", "pcq-queues", "total-max-limit", "total-pcq-queues", "time"}) {
        if (absl::StartsWith(word, absl::StrCat("=", key, "="))) found.push_back(word);
      }
    }
    return found;
  };
  EXPECT_THAT(keys("/queue/simple/print", "alice"), ElementsAre("=total-bytes=0"));
  EXPECT_THAT(keys("/queue/tree/print", "down"), ElementsAre());
  QueueSpec spec = SpecWithBytes("set", {.up = 3, .down = 4});
  spec.queue_type = "pcq-upload-default";
  spec.total_max_limit = 5000;
  spec.time = "8h-18h,mon";
  ASSERT_THAT(router_->engine().Add(Menu::kSimple, spec), test::IsOk());
  ASSERT_THAT(router_->engine().Add(Menu::kTree, spec), test::IsOk());
  EXPECT_THAT(keys("/queue/simple/print", "set"),
              ElementsAre("=total-bytes=7", "=pcq-queues=0/0", "=total-pcq-queues=0",
                          "=total-max-limit=5000", "=time=8h-18h,mon"));
  EXPECT_THAT(keys("/queue/tree/print", "set"), ElementsAre("=pcq-queues=0"));
}

TEST(MenuTableTest, TotalsAreTheSumOfBothDirectionsWhereATotalLimitIsSet) {
  Queue queue;
  queue.spec = SpecWithBytes("set", {});
  queue.bytes = {.up = 3, .down = 4};
  queue.packets = {.up = 1, .down = 2};
  queue.dropped = {.up = 5, .down = 6};
  queue.rate_bps = {.up = 800, .down = 80};
  queue.packet_rate = {.up = 7, .down = 8};
  const auto totals = [&queue] {
    std::vector<std::string> found;
    for (const QueueField& field : QueueFields(Menu::kSimple)) {
      const std::optional<std::string> value = field.value(queue);
      if (value.has_value() && absl::StartsWith(field.key, "total-")) {
        found.push_back(absl::StrCat(field.key, "=", *value));
      }
    }
    return found;
  };
  EXPECT_THAT(totals(),
              ElementsAre("total-bytes=0", "total-packets=0", "total-dropped=0", "total-rate=0",
                          "total-packet-rate=0", "total-queued-packets=0", "total-queued-bytes=0"));
  queue.spec.total_max_limit = 5000;
  EXPECT_THAT(totals(),
              ElementsAre("total-bytes=7", "total-packets=3", "total-dropped=11", "total-rate=880",
                          "total-packet-rate=15", "total-queued-packets=0", "total-queued-bytes=0",
                          "total-priority=8", "total-queue=default-small", "total-limit-at=0",
                          "total-max-limit=5000", "total-burst-limit=0", "total-burst-threshold=0",
                          "total-burst-time=0s", "total-bucket-size=0.1"));
}

class SessionChangeTest : public SessionTest {
 protected:
  void SetUp() override {
    Make(ApiMode::kV718, {"read", "write", "api"});
    LogIn();
  }
  const Queue* Find(const std::string& name, Menu menu = Menu::kSimple) {
    return router_->engine().Find(menu, name);
  }
};

TEST_F(SessionChangeTest, AddAnswersTheNewId) {
  const Reply reply = Send({"/queue/simple/add", "=name=carol", "=target=10.0.0.9/32",
                            "=max-limit=1M/20M", "=comment=a=b", "=disabled=yes", ".tag=7"});
  EXPECT_THAT(reply.sentences, ElementsAre(Words{"!done", "=ret=*3"}));
  EXPECT_EQ(reply.event, "/queue/simple/add *3");
  const Queue* carol = Find("carol");
  ASSERT_NE(carol, nullptr);
  EXPECT_EQ(carol->spec.max_limit, (UpDown{.up = 1'000'000, .down = 20'000'000}));
  EXPECT_EQ(carol->spec.comment, "a=b");
  EXPECT_TRUE(carol->spec.disabled);
  EXPECT_THAT(Send({"/queue/tree/add", "=name=t", "=packet-mark=m", "=max-limit=5k"}).sentences,
              ElementsAre(Words{"!done", "=ret=*1000004"}));
  EXPECT_EQ(Find("t", Menu::kTree)->spec.max_limit.down, 5000U);
  EXPECT_THAT(Send({"/queue/simple/add"}).sentences, ElementsAre(Words{"!done", "=ret=*4"}));
  EXPECT_NE(Find("queue1"), nullptr);
}

TEST_F(SessionChangeTest, SetChangesWhatIsNamedAndKeepsTheCounters) {
  const Reply reply = Send({"/queue/simple/set", "=.id=*1", "=name=al", "=max-limit=0/7"});
  EXPECT_THAT(reply.sentences, ElementsAre(Words{"!done"}));
  EXPECT_EQ(reply.event, "/queue/simple/set *1");
  ASSERT_NE(Find("al"), nullptr);
  EXPECT_EQ(Find("al")->bytes, (UpDown{.up = 10, .down = 200}));
  EXPECT_EQ(Find("al")->spec.max_limit.down, 7U);
  EXPECT_EQ(Find("al")->spec.target, "10.0.0.1/32");
  EXPECT_EQ(Find("alice"), nullptr);
}

TEST_F(SessionChangeTest, RemoveTakesIdsAndNames) {
  EXPECT_THAT(Send({"/queue/simple/remove", "=numbers=*2,alice"}).sentences,
              ElementsAre(Words{"!done"}));
  EXPECT_THAT(Send({"/queue/simple/print"}).sentences,
              ElementsAre(Words{"!empty"}, Words{"!done"}));
}

TEST_F(SessionChangeTest, RefusesInTheWordsOfTheRouter) {
  const std::vector<std::pair<Words, Words>> table = {
      {{"/queue/simple/add", "=name=alice"},
       {"!trap", "=message=failure: already have such entry"}},
      {{"/queue/simple/set", "=.id=*1", "=name=bob"},
       {"!trap", "=message=failure: already have such entry"}},
      {{"/queue/simple/set", "=.id=*99", "=comment=x"},
       {"!trap", "=category=0", "=message=no such item"}},
      {{"/queue/simple/remove", "=.id=nobody"}, {"!trap", "=category=0", "=message=no such item"}},
      {{"/queue/simple/add", "=name=x", "=colour=red"},
       {"!trap", "=message=unknown parameter colour"}},
      {{"/queue/tree/add", "=name=x", "=target=10.0.0.1"},
       {"!trap", "=message=unknown parameter target"}},
      {{"/queue/simple/set", "=.id=*1", "=max-limit=fast"},
       {"!trap", "=category=1", "=message=invalid value for argument max-limit"}},
      {{"/queue/simple/add", "=name=x", "=parent=nobody"},
       {"!trap", "=category=1", "=message=input does not match any value of parent"}},
      {{"/queue/simple/set", "=.id=*1", "=parent=nobody"},
       {"!trap", "=category=1", "=message=input does not match any value of parent"}},
      {{"/queue/simple/remove"},
       {"!trap", "=category=0", "=message=missing value(s) of argument(s) numbers"}}};
  for (const auto& [command, trap] : table) {
    const Reply reply = Send(command);
    EXPECT_THAT(reply.sentences, ElementsAre(trap, Words{"!done"})) << command[0];
    EXPECT_EQ(reply.event, "");
  }
  EXPECT_EQ(router_->engine().queues(Menu::kSimple).size(), 2U);
}

TEST_F(SessionTest, ChangesNeedThePolicyWrite) {
  LogIn();
  for (const char* command : {"add", "set", "remove"}) {
    EXPECT_THAT(Send({std::string("/queue/simple/") + command, "=.id=*1", "=comment=x"}).sentences,
                ElementsAre(Words{"!trap", "=message=not enough permissions (9)"}, Words{"!done"}));
  }
}

TEST_F(SessionTest, ServicesShowWhomTheyServe) {
  router_->mutable_spec().api_address = {"10.10.0.0/24", "fd00::/8"};
  LogIn();
  const Reply reply = Send({"/ip/service/print", "=.proplist=name,address"});
  EXPECT_THAT(reply.sentences,
              ElementsAre(Words{"!re", "=name=api", "=address=10.10.0.0/24,fd00::/8"},
                          Words{"!re", "=name=api-ssl", "=address="}, Words{"!done"}));
}

TEST_F(SessionTest, DeniesByServiceAndAddress) {
  RouterSpec& spec = router_->mutable_spec();
  EXPECT_EQ(router_->DenialOf(false, "192.0.2.1"), Denial::kNone);
  spec.api_address = {"10.10.0.0/24", "10.20.0.7", "fd00::/8"};
  for (const char* served : {"10.10.0.255", "10.20.0.7", "::ffff:10.10.0.1", "fd12::1"}) {
    EXPECT_EQ(router_->DenialOf(false, served), Denial::kNone) << served;
  }
  for (const char* other : {"10.10.1.0", "10.20.0.8", "::ffff:10.11.0.1", "fe80::1", "nonsense"}) {
    EXPECT_EQ(router_->DenialOf(false, other), Denial::kClose) << other;
    EXPECT_EQ(router_->DenialOf(true, other), Denial::kNone) << other;
  }
  spec.denial = Denial::kHang;
  EXPECT_EQ(router_->DenialOf(false, "10.10.1.0"), Denial::kHang);
  EXPECT_EQ(router_->DenialOf(false, "10.10.0.1"), Denial::kNone);
  EXPECT_EQ(router_->DenialOf(true, "10.10.0.1"), Denial::kHang);
}

}  // namespace
}  // namespace netsentinel::simulator
