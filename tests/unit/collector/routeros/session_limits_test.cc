// What a session that is logged in does with replies, good ones and those at a limit.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"
#include "tests/unit/collector/routeros/session_fixture.h"

namespace netsentinel::routeros {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

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

// Sentences without a meaning are no reply, so no reply's limit holds for them.
class ChattySessionTest : public SessionTest {
 protected:
  ChattySessionTest() : SessionTest({.max_ignored_bytes = 1000}) {}
};

TEST_F(ChattySessionTest, EndsAtTooManySentencesThatAnswerNothing) {
  Send("/a/print");
  Receive(std::vector<Words>(30, Words{"!noise", std::string(30, 'x')}));
  EXPECT_EQ(NextLine(), "closed protocol error");
  EXPECT_THAT(std::string(session_.failure().message()),
              HasSubstr("more than 1000 bytes that answer nothing"));
}

TEST_F(ChattySessionTest, EndsAtTooManyEmptySentences) {
  Send("/a/print");
  session_.Next();
  const absl::Span<char> space = session_.ReadSpace(1001);
  std::fill_n(space.begin(), 1001, '\0');
  session_.OnRead(1001);
  EXPECT_EQ(NextLine(), "closed protocol error");
}

TEST_F(ChattySessionTest, AFewOfThemInEveryReplyAreNoFault) {
  for (int i = 0; i < 100; ++i) {
    const std::string tag = absl::StrCat(".tag=", Send("/a/print"));
    Receive({{"!noise", std::string(500, 'x')}, {"!done", tag}});
    EXPECT_EQ(session_.Next().kind, SessionEvent::Kind::kDone) << i;
  }
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

TEST(SessionLoginTest, NeverShowsThePasswordThatARouterSaysAfterTheLogin) {
  const std::string before(250, 'x');
  for (const std::vector<Words>& echo : std::vector<std::vector<Words>>{
           {{"!trap", ".tag=2", "=message=denied, password was s3cret"}, {"!done", ".tag=2"}},
           {{"!trap", ".tag=2", "=message=" + before + "s3cret"}, {"!done", ".tag=2"}},
           {{"!trap", ".tag=2", "=message=denied: czNjcmV0"}, {"!done", ".tag=2"}},
           {{"!trap", ".tag=2", "=message=733363726574"}, {"!done", ".tag=2"}},
           {{"!fatal", "you are s3cret"}},
           {{"s3cret"}}}) {
    Session session({}, FakeMd5);
    session.Login({.username = "u", .password = base::Secret("s3cret")}, LoginMethod::kPlain);
    const auto receive = [&session](const std::vector<Words>& sentences) {
      session.OnWritten(session.output().size());
      const std::string bytes = Sentences(sentences);
      const absl::Span<char> space = session.ReadSpace(bytes.size());
      std::copy(bytes.begin(), bytes.end(), space.begin());
      session.OnRead(bytes.size());
      return session.Next();
    };
    ASSERT_EQ(receive({{"!done", ".tag=1"}}).kind, SessionEvent::Kind::kLoggedIn);
    ASSERT_THAT(session.Send({"/a/print"}), test::IsOk());
    session.Next();
    const SessionEvent event = receive(echo);
    const std::string shown(event.kind == SessionEvent::Kind::kDone ? event.result->status.message()
                                                                    : session.failure().message());
    EXPECT_THAT(shown, AllOf(Not(HasSubstr("s3cret")), Not(HasSubstr("czNjcmV0")),
                             Not(HasSubstr("733363726574")), Not(HasSubstr("xs3"))));
    EXPECT_FALSE(shown.empty());
  }
}

TEST(SessionLoginTest, SaysThatThePortSpeaksTls) {
  for (const std::string& alert :
       {std::string("\x15\x03\x01\x00\x02\x02\x46", 7), std::string("\x16\x03", 2)}) {
    Session session({}, FakeMd5);
    session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
    session.OnWritten(session.output().size());
    for (const char byte : alert) {
      session.Next();
      session.ReadSpace(1)[0] = byte;
      session.OnRead(1);
    }
    session.OnDisconnect(absl::OkStatus());
    EXPECT_EQ(session.Next().kind, SessionEvent::Kind::kClosed);
    EXPECT_EQ(RouterErrorOf(session.failure()), RouterError::kTlsRefused);
    EXPECT_THAT(std::string(session.failure().message()), HasSubstr("transport: api-ssl"));
  }
}

TEST(SessionLoginTest, ALoginIsGivenUpAtTooManyBytes) {
  Session session({}, FakeMd5);
  session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
  session.OnWritten(session.output().size());
  const std::string bytes = Sentences(std::vector<Words>(8000, Words{"!re", ".tag=1"}));
  const absl::Span<char> space = session.ReadSpace(bytes.size());
  std::copy(bytes.begin(), bytes.end(), space.begin());
  session.OnRead(bytes.size());
  EXPECT_EQ(session.Next().kind, SessionEvent::Kind::kClosed);
  EXPECT_THAT(session.failure(), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                                HasSubstr("before the login had ended")));
}

TEST(SessionLoginTest, PutsNothingOutAfterARefusal) {
  Session session({}, FakeMd5);
  session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
  session.OnDisconnect(absl::OkStatus());
  EXPECT_EQ(session.Next().kind, SessionEvent::Kind::kClosed);
  EXPECT_EQ(session.output(), "");
  EXPECT_THAT(session.failure(),
              test::StatusIs(absl::StatusCode::kUnavailable,
                             AllOf(HasSubstr("max-sessions"), HasSubstr("transport: api-ssl"))));
}

}  // namespace
}  // namespace netsentinel::routeros
