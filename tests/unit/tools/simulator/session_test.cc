#include "tools/simulator/session.h"

#include <string>
#include <vector>

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

constexpr std::int64_t kNow_us = 1'000'000'000'000;

// Stands in for MD5: what matters here is which bytes go in.
std::string Echo(const std::string& bytes) { return bytes; }

QueueSpec Spec(const std::string& name, UpDown bytes) {
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
    spec.queues = {{.menu = Menu::kSimple, .spec = Spec("alice", {.up = 10, .down = 200})},
                   {.menu = Menu::kSimple, .spec = Spec("bob", {.up = 3, .down = 4000})},
                   {.menu = Menu::kTree, .row_id = 0x1000003, .spec = Spec("down", {0, 77})}};
    spec.queues[1].spec.comment = "late = payer";
    absl::StatusOr<Router> router = Router::Create(spec, 1, kNow_us);
    ASSERT_TRUE(router.ok()) << router.status().ToString();
    router_ = std::make_unique<Router>(*std::move(router));
    session_ = std::make_unique<Session>(*router_, Session::Options{.tls = false, .md5 = &Echo});
  }

  Reply Send(const Words& words) {
    return session_->Handle(words, kNow_us, absl::FromUnixSeconds(1'700'000'000));
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
  const Reply reply = tls.Handle({"/quit"}, kNow_us, absl::UnixEpoch());
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

}  // namespace
}  // namespace netsentinel::simulator
