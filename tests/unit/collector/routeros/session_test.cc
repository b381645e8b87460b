#include "collector/routeros/session.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/collector/routeros/session_fixture.h"

namespace netsentinel::routeros {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// One side's turn: what the session must have put out since the last turn, and the answer to it.
struct Turn {
  std::vector<Words> sent;
  std::vector<Words> answer;
};

struct Dialogue {
  const char* name;
  LoginMethod method = LoginMethod::kPlain;
  std::vector<Turn> turns;
  // What is sent once logged in, in order, all at once.
  std::vector<Words> commands;
  // One line an event: "logged in", "row TAG words…", "done TAG" and how, "closed" and why.
  std::vector<std::string> events;
};

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
      {.name = "PlainAnswersNoChallenge",
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
       .method = LoginMethod::kLegacy,
       .turns = {{{{"/login", ".tag=1"}}, {{"!done", "=ret=zz", ".tag=1"}}}},
       .commands = {},
       .events = {"closed protocol error"}},
      {.name = "LegacyLogsIn",
       .method = LoginMethod::kLegacy,
       .turns = {{{{"/login", ".tag=1"}}, {{"!done", ".tag=1", "=ret=00ff"}}},
                 {{{"/login", "=name=netsentinel", "=response=000073336372657400ff00000000000000",
                    ".tag=2"}},
                  {{"!done", ".tag=2"}}}},
       .commands = {},
       .events = {"logged in"}},
      {.name = "ChallengeAfterTheResponse",
       .method = LoginMethod::kLegacy,
       .turns = {{{{"/login", ".tag=1"}}, {{"!done", "=ret=00ff", ".tag=1"}}},
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

}  // namespace
}  // namespace netsentinel::routeros
