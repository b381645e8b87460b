#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/collector/routeros/asio_client_fixture.h"

namespace netsentinel::routeros {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A router whose next prints hold so many queues, and which counts `count` of them; the prints and
// counts that were asked for.
struct CountingRouter {
  std::vector<int> prints;
  std::vector<SentenceWords> count = {{"!done", "=ret=5"}};
  std::vector<std::string> asked = {};

  void operator()(RouterConnection& connection) {
    connection.AcceptLogin();
    std::size_t next = 0;
    while (const std::optional<SentenceWords> command = connection.Read()) {
      const std::string tag = TagOf(*command);
      std::vector<SentenceWords> reply = kResource;
      if ((*command)[1] == "=count-only=") {
        asked.emplace_back("count");
        reply = count;
      } else if (command->front() == "/queue/simple/print") {
        asked.emplace_back("print");
        reply.clear();
        for (int row = 1; row <= prints.at(next); ++row) {
          reply.push_back({"!re", absl::StrCat("=.id=*", row), absl::StrCat("=name=q", row),
                           "=bytes=1/2", "=packets=1/1"});
        }
        reply.push_back({"!done"});
        ++next;
      }
      for (SentenceWords& words : reply) words.push_back(tag);
      connection.Send(reply);
    }
  }
};

struct ShortReply {
  const char* name;
  CountingRouter script;
  // Rows of the second reading, or nothing for a refused one.
  std::optional<std::size_t> rows;
  std::vector<std::string> asked;
};
class ShortReplyTest : public AsioClientTest, public testing::WithParamInterface<ShortReply> {};

TEST_P(ShortReplyTest, IsCountedAndReadOnceMore) {
  CountingRouter script = GetParam().script;
  {
    ScriptedRouter router([&script](RouterConnection& connection) { script(connection); });
    ASSERT_THAT(Connect(PlainTo(router)), test::IsOk());
    ASSERT_THAT(Await(client_->ReadQueues(simple_)), test::IsOk());
    const absl::StatusOr<QueueReply> second = Await(client_->ReadQueues(simple_));
    EXPECT_TRUE(client_->connected());
    if (GetParam().rows.has_value()) {
      ASSERT_THAT(second, test::IsOk());
      EXPECT_THAT(second->readings, SizeIs(*GetParam().rows));
    } else {
      EXPECT_EQ(RouterErrorOf(second.status()), RouterError::kIncompleteReply);
      EXPECT_THAT(Text(second.status()), HasSubstr("has 5 rows, of which the router sent"));
      EXPECT_EQ(table_.live(), 5U);
    }
  }
  EXPECT_EQ(script.asked, GetParam().asked);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ShortReplyTest,
    testing::Values(
        ShortReply{"AsManyAsBefore", {{5, 5}}, 5, {"print", "print"}},
        ShortReply{"RemovedQueues", {{6, 5}}, 5, {"print", "print", "count"}},
        ShortReply{"FellShortOnce", {{5, 3, 5}}, 5, {"print", "print", "count", "print"}},
        ShortReply{"FellShortTwice", {{5, 3, 4}}, {}, {"print", "print", "count", "print"}},
        ShortReply{"TheSameTwice", {{5, 3, 3}}, 3, {"print", "print", "count", "print"}},
        ShortReply{"AddedMeanwhile", {{9, 4, 7}}, 7, {"print", "print", "count", "print"}},
        ShortReply{"CountRefused", {{5, 3}, kNoMenu}, 3, {"print", "print", "count"}},
        ShortReply{
            "CountThatIsNone", {{5, 3}, {{"!done", "=ret=a"}}}, 3, {"print", "print", "count"}}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace netsentinel::routeros
