#include "collector/routeros/session.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

// Not MD5: shows what would have been digested.
std::array<std::uint8_t, 16> FakeMd5(absl::string_view bytes) {
  std::array<std::uint8_t, 16> digest = {};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    digest[i % 16] = static_cast<std::uint8_t>(digest[i % 16] + bytes[i]);
  }
  return digest;
}

std::string Sentences(const std::vector<Words>& sentences) {
  std::string out;
  for (const Words& words : sentences) {
    SentenceBuilder builder(out);
    for (const std::string& word : words) builder.Word(word);
    builder.End();
  }
  return out;
}

// One side's turn: what the session must have put out since the last turn, and the answer to it.
struct Turn {
  std::vector<Words> sent;
  std::vector<Words> answer;
};

struct Dialogue {
  const char* name;
  LoginMethod method = LoginMethod::kAuto;
  std::vector<Turn> turns;
  // What is sent once logged in, in order, all at once.
  std::vector<Words> commands;
  // One line an event: "logged in", "row TAG words…", "done TAG" and how, "closed" and why.
  std::vector<std::string> events;
};

std::string Describe(const SessionEvent& event, const Session& session) {
  switch (event.kind) {
    case SessionEvent::Kind::kLoggedIn:
      return "logged in";
    case SessionEvent::Kind::kRow:
      return absl::StrCat("row ", event.tag, " ", absl::StrJoin(event.row, " "));
    case SessionEvent::Kind::kDone:
      return absl::StrCat(
          "done ", event.tag, " rows=", event.result->rows,
          event.result->ret.has_value() ? " ret=" : "", event.result->ret.value_or(""),
          event.result->status.ok()
              ? ""
              : absl::StrCat(" ", RouterErrorName(*RouterErrorOf(event.result->status))));
    case SessionEvent::Kind::kClosed:
      return absl::StrCat("closed ", RouterErrorName(*RouterErrorOf(session.failure())));
    case SessionEvent::Kind::kNeedInput:
      break;
  }
  return "need input";
}

class DialogueRun {
 public:
  explicit DialogueRun(const Dialogue& dialogue) : dialogue_(dialogue), session_({}, FakeMd5) {
    session_.Login({.username = "netsentinel", .password = base::Secret("s3cret")},
                   dialogue.method);
  }

  // Plays the dialogue with the router's bytes cut after each of `cuts` (positions in the whole),
  // and ended at `end_at`.
  std::vector<std::string> Play(const std::vector<std::size_t>& cuts,
                                std::size_t end_at = std::string::npos) {
    for (const Turn& turn : dialogue_.turns) {
      Pump();
      if (session_.closed()) return events_;
      EXPECT_EQ(TakeOutput(), Sentences(turn.sent)) << dialogue_.name;
      for (const char byte : Sentences(turn.answer)) {
        if (position_ == end_at) return Disconnect();
        pending_.push_back(byte);
        ++position_;
        if (std::find(cuts.begin(), cuts.end(), position_) != cuts.end()) Deliver();
      }
      Deliver();
    }
    Pump();
    return events_;
  }

  const Session& session() const { return session_; }

  std::vector<std::string> Disconnect() {
    Deliver();
    session_.OnDisconnect(absl::OkStatus());
    Pump();
    return events_;
  }

 private:
  std::string TakeOutput() {
    std::string output(session_.output());
    session_.OnWritten(output.size());
    return output;
  }

  void Deliver() {
    Pump();
    if (pending_.empty() || session_.closed()) return;
    const absl::Span<char> space = session_.ReadSpace(pending_.size());
    std::copy(pending_.begin(), pending_.end(), space.begin());
    session_.OnRead(pending_.size());
    pending_.clear();
    Pump();
  }

  void Pump() {
    while (true) {
      const SessionEvent event = session_.Next();
      if (event.kind == SessionEvent::Kind::kNeedInput) return;
      if (event.kind == SessionEvent::Kind::kClosed && closed_) return;
      events_.push_back(Describe(event, session_));
      closed_ = event.kind == SessionEvent::Kind::kClosed;
      if (event.kind != SessionEvent::Kind::kLoggedIn) continue;
      for (const Words& words : dialogue_.commands) {
        const std::vector<absl::string_view> views(words.begin(), words.end());
        EXPECT_THAT(session_.Send(views), test::IsOk());
      }
    }
  }

  const Dialogue& dialogue_;
  Session session_;
  std::string pending_;
  std::size_t position_ = 0;
  std::vector<std::string> events_;
  bool closed_ = false;
};

std::size_t RouterBytes(const Dialogue& dialogue) {
  std::size_t bytes = 0;
  for (const Turn& turn : dialogue.turns) bytes += Sentences(turn.answer).size();
  return bytes;
}

const Words kLogin = {"/login", "=name=netsentinel", "=password=s3cret", ".tag=1"};
const Words kLoggedIn = {"!done", ".tag=1"};

std::vector<Dialogue> Dialogues() {
  return {
      {.name = "PlainLogin",
       .turns = {{{kLogin}, {kLoggedIn}}},
       .commands = {},
       .events = {"logged in"}},
      {.name = "LoginWithoutEchoOfTheTag",
       .turns = {{{kLogin}, {{"!done"}}}},
       .commands = {},
       .events = {"logged in"}},
      {.name = "WrongPassword",
       .turns = {{{kLogin},
                  {{"!trap", "=message=invalid user name or password (6)", ".tag=1"},
                   {"!done", ".tag=1"}}}},
       .commands = {},
       .events = {"closed login refused"}},
      {.name = "AutoAnswersAChallenge",
       .turns = {{{kLogin}, {{"!done", "=ret=00ff", ".tag=1"}}},
                 {{{"/login", "=name=netsentinel", "=response=000073336372657400ff00000000000000",
                    ".tag=2"}},
                  {{"!done", ".tag=2"}}}},
       .commands = {},
       .events = {"logged in"}},
      {.name = "PlainRefusesAChallenge",
       .method = LoginMethod::kPlain,
       .turns = {{{kLogin}, {{"!done", "=ret=00ff", ".tag=1"}}}},
       .commands = {},
       .events = {"closed login refused"}},
      {.name = "LegacyNeverSendsThePassword",
       .method = LoginMethod::kLegacy,
       .turns = {{{{"/login", ".tag=1"}}, {{"!done", ".tag=1", "=ret=00ff"}}},
                 {{{"/login", "=name=netsentinel", "=response=000073336372657400ff00000000000000",
                    ".tag=2"}},
                  {{"!trap", "=message=cannot log in", ".tag=2"}, {"!done", ".tag=2"}}}},
       .commands = {},
       .events = {"closed login refused"}},
      {.name = "LegacyWithoutAChallenge",
       .method = LoginMethod::kLegacy,
       .turns = {{{{"/login", ".tag=1"}}, {{"!done", ".tag=1"}}}},
       .commands = {},
       .events = {"closed login refused"}},
      {.name = "ChallengeThatIsNotHex",
       .turns = {{{kLogin}, {{"!done", "=ret=zz", ".tag=1"}}}},
       .commands = {},
       .events = {"closed protocol error"}},
      {.name = "ChallengeAfterTheResponse",
       .turns = {{{kLogin}, {{"!done", "=ret=00ff", ".tag=1"}}},
                 {{{"/login", "=name=netsentinel", "=response=000073336372657400ff00000000000000",
                    ".tag=2"}},
                  {{"!done", ".tag=2", "=ret=00ff"}}}},
       .commands = {},
       .events = {"closed login refused"}},
      {.name = "RowsOfTwoCommandsMixed",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/a/print", ".tag=2"}, {"/b/print", "=count-only=", ".tag=3"}},
                  {{"!re", ".tag=3", "=x=1"},
                   {"!re", "=y=a=b", ".tag=2"},
                   {"!re", ".tag=3"},
                   {"!done", ".tag=3", "=ret=2"},
                   {"!re", ".tag=2", "=y="},
                   {"!done", ".tag=2"}}}},
       .commands = {{"/a/print"}, {"/b/print", "=count-only="}},
       .events = {"logged in", "row 3 .tag=3 =x=1", "row 2 =y=a=b .tag=2", "row 3 .tag=3",
                  "done 3 rows=2 ret=2", "row 2 .tag=2 =y=", "done 2 rows=2"}},
      {.name = "EmptyAndUnknownReplyWords",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/a/print", ".tag=2"}},
                  {{"!empty", ".tag=2"}, {"!new", "=x=1"}, {"!", ".tag=9"}, {"!done", ".tag=2"}}}},
       .commands = {{"/a/print"}},
       .events = {"logged in", "done 2 rows=0"}},
      {.name = "SeveralTrapsThenDone",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/a/print", ".tag=2"}},
                  {{"!trap", "=category=0", "=message=no such command or directory (a)", ".tag=2"},
                   {"!trap", "=message=no such command prefix", ".tag=2"},
                   {"!done", ".tag=2"}}}},
       .commands = {{"/a/print"}},
       .events = {"logged in", "done 2 rows=0 menu absent"}},
      {.name = "TrapInTheMiddleOfRows",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/a/print", ".tag=2"}},
                  {{"!re", ".tag=2", "=x=1"},
                   {"!trap", ".tag=2", "=message=interrupted", "=category=2"},
                   {"!done", ".tag=2"}}}},
       .commands = {{"/a/print"}},
       .events = {"logged in", "row 2 .tag=2 =x=1", "done 2 rows=1 refused"}},
      {.name = "TrapWithoutAMessage",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/a/print", ".tag=2"}}, {{"!trap", ".tag=2"}, {"!done", ".tag=2"}}}},
       .commands = {{"/a/print"}},
       .events = {"logged in", "done 2 rows=0 refused"}},
      {.name = "PolicyMissing",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/a/print", ".tag=2"}},
                  {{"!trap", "=message=not enough permissions (9)", ".tag=2"},
                   {"!done", ".tag=2"}}}},
       .commands = {{"/a/print"}},
       .events = {"logged in", "done 2 rows=0 policy missing"}},
      {.name = "FatalWithABareWord",
       .turns = {{{kLogin}, {kLoggedIn}},
                 {{{"/quit", ".tag=2"}}, {{"!fatal", "session terminated on request"}}}},
       .commands = {{"/quit"}},
       .events = {"logged in", "closed closed by router"}},
      {.name = "FatalWithNothing",
       .turns = {{{kLogin}, {{"!fatal"}}}},
       .commands = {},
       .events = {"closed closed by router"}},
      {.name = "ReplyToNothing",
       .turns = {{{kLogin}, {kLoggedIn, {"!re", ".tag=7", "=x=1"}}}},
       .commands = {},
       .events = {"logged in", "closed protocol error"}},
      {.name = "ReplyWithoutATagAfterLogin",
       .turns = {{{kLogin}, {kLoggedIn}}, {{{"/a/print", ".tag=2"}}, {{"!done"}}}},
       .commands = {{"/a/print"}},
       .events = {"logged in", "closed protocol error"}},
      {.name = "NotTheApi",
       .turns = {{{kLogin}, {{"SSH-2.0-ROSSSH"}}}},
       .commands = {},
       .events = {"closed protocol error"}},
  };
}

class SessionDialogueTest : public testing::TestWithParam<Dialogue> {};

TEST_P(SessionDialogueTest, GivesTheExpectedEvents) {
  const Dialogue& dialogue = GetParam();
  EXPECT_EQ(DialogueRun(dialogue).Play({}), dialogue.events);
}

TEST_P(SessionDialogueTest, GivesTheSameEventsCutAtEveryByte) {
  const Dialogue& dialogue = GetParam();
  std::vector<std::size_t> all;
  for (std::size_t cut = 1; cut < RouterBytes(dialogue); ++cut) {
    EXPECT_EQ(DialogueRun(dialogue).Play({cut}), dialogue.events) << "cut at " << cut;
    all.push_back(cut);
  }
  EXPECT_EQ(DialogueRun(dialogue).Play(all), dialogue.events) << "byte by byte";
}

// Events of a dialogue that ends early are a beginning of the whole ones, then a failure that says
// what was missing.
TEST_P(SessionDialogueTest, FailsCleanlyWhenTheRouterGoesAtAnyByte) {
  const Dialogue& dialogue = GetParam();
  for (std::size_t end = 0; end < RouterBytes(dialogue); ++end) {
    DialogueRun run(dialogue);
    std::vector<std::string> events = run.Play({}, end);
    ASSERT_FALSE(events.empty());
    const std::string last = events.back();
    events.pop_back();
    EXPECT_THAT(last, StartsWith("closed ")) << "end at " << end;
    ASSERT_LE(events.size(), dialogue.events.size());
    EXPECT_TRUE(std::equal(events.begin(), events.end(), dialogue.events.begin()))
        << "end at " << end;
    EXPECT_THAT(run.session().failure().message(), Not(HasSubstr("s3cret")));
    EXPECT_EQ(run.session().in_flight(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Scripted, SessionDialogueTest, testing::ValuesIn(Dialogues()),
                         [](const auto& test) { return std::string(test.param.name); });

// A session that has logged in, with what the router sends given as sentences.
class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(SessionLimits limits = {}) : session_(limits, FakeMd5) {
    session_.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
    Written();
    Receive({{"!done", ".tag=1"}});
    EXPECT_EQ(session_.Next().kind, SessionEvent::Kind::kLoggedIn);
  }
  void Written() { session_.OnWritten(session_.output().size()); }
  void Receive(const std::vector<Words>& sentences) {
    const std::string bytes = Sentences(sentences);
    session_.Next();
    const absl::Span<char> space = session_.ReadSpace(bytes.size());
    std::copy(bytes.begin(), bytes.end(), space.begin());
    session_.OnRead(bytes.size());
  }
  RequestTag Send(absl::string_view path) {
    const absl::StatusOr<RequestTag> tag = session_.Send({path});
    EXPECT_THAT(tag, test::IsOk());
    Written();
    return tag.value_or(0);
  }
  std::string NextLine() {
    const SessionEvent event = session_.Next();
    return Describe(event, session_);
  }
  Session session_;
};

TEST_F(SessionTest, SwallowsLateRepliesToAnAbandonedCommand) {
  const RequestTag first = Send("/slow/print");
  Receive({{"!re", absl::StrCat(".tag=", first), "=x=1"}});
  session_.Abandon(first);
  EXPECT_EQ(NextLine(), "need input");
  const RequestTag second = Send("/a/print");
  Receive({{"!re", absl::StrCat(".tag=", first), "=x=2"},
           {"!trap", absl::StrCat(".tag=", first), "=message=interrupted"},
           {"!re", absl::StrCat(".tag=", second), "=y=1"},
           {"!done", absl::StrCat(".tag=", first)},
           {"!done", absl::StrCat(".tag=", second)}});
  EXPECT_EQ(NextLine(), "row 3 .tag=3 =y=1");
  EXPECT_EQ(NextLine(), "done 3 rows=1");
  EXPECT_EQ(session_.in_flight(), 0u);
}

TEST_F(SessionTest, StaysUsableAfterATrap) {
  const RequestTag refused = Send("/user/print");
  Receive({{"!trap", absl::StrCat(".tag=", refused), "=message=not enough permissions (9)"},
           {"!done", absl::StrCat(".tag=", refused)}});
  const SessionEvent event = session_.Next();
  ASSERT_EQ(event.kind, SessionEvent::Kind::kDone);
  EXPECT_THAT(event.result->status,
              test::StatusIs(absl::StatusCode::kPermissionDenied,
                             AllOf(HasSubstr("/user/print"), HasSubstr("read and api"))));
  Send("/a/print");
  EXPECT_FALSE(session_.closed());
}

TEST_F(SessionTest, KeepsTheCategoryOfATrap) {
  Send("/a/print");
  Receive({{"!trap", ".tag=2", "=category=4", "=message=x"}, {"!done", ".tag=2"}});
  const SessionEvent event = session_.Next();
  ASSERT_EQ(event.kind, SessionEvent::Kind::kDone);
  ASSERT_EQ(event.result->traps.size(), 1u);
  EXPECT_EQ(event.result->traps[0].category, 4u);
}

TEST_F(SessionTest, ShowsWhatARouterSaysWithoutControlBytesAndCut) {
  Send("/a/print");
  Receive({{"!trap", ".tag=2", "=message=\x1b[2J" + std::string(5000, 'x')}, {"!done", ".tag=2"}});
  const SessionEvent event = session_.Next();
  ASSERT_EQ(event.kind, SessionEvent::Kind::kDone);
  EXPECT_THAT(std::string(event.result->status.message()), HasSubstr("\\x1B[2J"));
  EXPECT_LT(event.result->status.message().size(), 600u);
}

TEST_F(SessionTest, RefusesMoreCommandsThanItsLimit) {
  for (int i = 0; i < 16; ++i) Send("/a/print");
  EXPECT_THAT(session_.Send({"/a/print"}),
              test::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("16")));
}

TEST_F(SessionTest, RefusesCommandsAfterItsEnd) {
  session_.OnDisconnect(absl::UnavailableError("reset"));
  EXPECT_EQ(NextLine(), "closed unreachable");
  EXPECT_THAT(session_.Send({"/a/print"}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not logged in")));
}

TEST_F(SessionTest, SaysHowFarAReplyCameBeforeTheConnectionEnded) {
  Send("/queue/simple/print");
  Receive({{"!re", ".tag=2", "=x=1"}, {"!re", ".tag=2", "=x=2"}});
  session_.Next();
  session_.Next();
  session_.OnDisconnect(absl::DeadlineExceededError("no end within 30s"));
  EXPECT_EQ(NextLine(), "closed incomplete reply");
  EXPECT_THAT(std::string(session_.failure().message()),
              AllOf(HasSubstr("no end within 30s"), HasSubstr("/queue/simple/print"),
                    HasSubstr("after 2 rows")));
}

TEST_F(SessionTest, KeepsNoMoreTrapsThanItsLimit) {
  Send("/a/print");
  std::vector<Words> sentences(100, Words{"!trap", ".tag=2", "=message=no"});
  sentences.push_back({"!done", ".tag=2"});
  Receive(sentences);
  const SessionEvent event = session_.Next();
  ASSERT_EQ(event.kind, SessionEvent::Kind::kDone);
  EXPECT_EQ(event.result->traps.size(), 8u);
}

class SmallSessionTest : public SessionTest {
 protected:
  SmallSessionTest() : SessionTest({.max_rows_per_reply = 2, .max_bytes_per_reply = 1000}) {}
};

TEST_F(SmallSessionTest, EndsAReplyOfTooManyRows) {
  Send("/a/print");
  Receive({{"!re", ".tag=2"}, {"!re", ".tag=2"}, {"!re", ".tag=2"}});
  EXPECT_EQ(NextLine(), "row 2 .tag=2");
  EXPECT_EQ(NextLine(), "row 2 .tag=2");
  EXPECT_EQ(NextLine(), "closed incomplete reply");
  EXPECT_THAT(std::string(session_.failure().message()), HasSubstr("limit of 2"));
}

TEST_F(SmallSessionTest, EndsAReplyOfTooManyBytesWhateverItConsistsOf) {
  Send("/a/print");
  Receive(std::vector<Words>(100, Words{"!empty", ".tag=2"}));
  EXPECT_EQ(NextLine(), "closed incomplete reply");
  EXPECT_THAT(std::string(session_.failure().message()), HasSubstr("1000 bytes"));
}

TEST_F(SessionTest, EndsAReplyWhoseWordsAreTooLongAsIncomplete) {
  Send("/a/print");
  Receive({{"!re", ".tag=2", std::string(64 * 1024 + 1, 'x')}});
  EXPECT_EQ(NextLine(), "closed incomplete reply");
  EXPECT_THAT(std::string(session_.failure().message()),
              AllOf(HasSubstr("a word of 65537 bytes; at most 65536"),
                    HasSubstr("in the reply to /a/print")));
}

TEST_F(SessionTest, TakesAWordAtTheLimit) {
  Send("/a/print");
  Receive({{"!re", ".tag=2", std::string(64 * 1024, 'x')}});
  EXPECT_EQ(session_.Next().kind, SessionEvent::Kind::kRow);
}

TEST_F(SessionTest, EndsASentenceThatIsTooLongAsIncomplete) {
  Send("/a/print");
  const std::string half(64 * 1024, 'x');
  Receive({{"!re", half, half, ".tag=2"}});
  EXPECT_EQ(NextLine(), "closed incomplete reply");
  EXPECT_THAT(std::string(session_.failure().message()),
              HasSubstr("a sentence of more than 131072 bytes"));
}

TEST_F(SessionTest, EndsTheSessionAtBytesThatAreNoProtocol) {
  Send("/a/print");
  session_.Next();
  session_.ReadSpace(1)[0] = '\xF8';
  session_.OnRead(1);
  EXPECT_EQ(NextLine(), "closed protocol error");
}

// What a router says before the login has ended may be what we just told it.
TEST(SessionLoginTest, NeverShowsThePasswordThatARouterSaysAgain) {
  const std::string before(250, 'x');
  for (const std::vector<Words>& echo : std::vector<std::vector<Words>>{
           {{"!trap", ".tag=1", "=message=bad login u/s3cret, s3cret"}, {"!done", ".tag=1"}},
           {{"!trap", ".tag=1", "=message=" + before + "s3cret"}, {"!done", ".tag=1"}},
           {{"!fatal", "s3cret"}},
           {{"!fatal", "=message=no s3cret"}},
           {{"=password=s3cret"}}}) {
    Session session({}, FakeMd5);
    session.Login({.username = "u", .password = base::Secret("s3cret")}, LoginMethod::kPlain);
    session.OnWritten(session.output().size());
    const std::string bytes = Sentences(echo);
    const absl::Span<char> space = session.ReadSpace(bytes.size());
    std::copy(bytes.begin(), bytes.end(), space.begin());
    session.OnRead(bytes.size());
    EXPECT_EQ(session.Next().kind, SessionEvent::Kind::kClosed);
    const std::string shown(session.failure().message());
    EXPECT_THAT(shown, Not(HasSubstr("s3cret")));
    EXPECT_THAT(shown, Not(HasSubstr("xs3")));
  }
}

TEST(SessionLoginTest, PutsNothingOutAfterARefusal) {
  Session session({}, FakeMd5);
  session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
  session.OnDisconnect(absl::OkStatus());
  EXPECT_EQ(session.Next().kind, SessionEvent::Kind::kClosed);
  EXPECT_EQ(session.output(), "");
  EXPECT_THAT(session.failure(),
              test::StatusIs(absl::StatusCode::kUnavailable, HasSubstr("max-sessions")));
}

}  // namespace
}  // namespace netsentinel::routeros
