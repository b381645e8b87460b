#include "tools/simulator/query.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::simulator {
namespace {

struct QueryCase {
  std::vector<std::string> words;
  bool matches;
};

class QueryTest : public testing::TestWithParam<QueryCase> {};

TEST_P(QueryTest, DecidesOverARowAsTheManualSays) {
  const std::map<std::string, std::string> row = {
      {"name", "a=b"}, {"type", "ether"}, {"mtu", "1500"}, {"comment", ""}};
  ASSERT_OK_AND_ASSIGN(const Query query, Query::Parse(GetParam().words));
  const bool matches = query.Matches([&row](absl::string_view key) -> std::optional<std::string> {
    const auto found = row.find(std::string(key));
    if (found == row.end()) return std::nullopt;
    return found->second;
  });
  EXPECT_EQ(matches, GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(
    Words, QueryTest,
    testing::Values(QueryCase{{}, true}, QueryCase{{"?name"}, true}, QueryCase{{"?nick"}, false},
                    QueryCase{{"?-nick"}, true}, QueryCase{{"?-name"}, false},
                    QueryCase{{"?name=a=b"}, true}, QueryCase{{"?=name=a=b"}, true},
                    QueryCase{{"?name=a"}, false}, QueryCase{{"?comment="}, true},
                    QueryCase{{"?nick="}, false}, QueryCase{{"?<mtu=9000"}, true},
                    QueryCase{{"?<mtu=1500"}, false}, QueryCase{{"?>mtu=200"}, true},
                    QueryCase{{"?>nick=1"}, false}, QueryCase{{"?type=ether", "?mtu=9"}, false},
                    QueryCase{{"?type=vlan", "?type=ether", "?#|"}, true},
                    QueryCase{{"?type=vlan", "?type=ether", "?#&"}, false},
                    QueryCase{{"?type=vlan", "?#!"}, true},
                    QueryCase{{"?type=vlan", "?type=ether", "?#0"}, true},
                    QueryCase{{"?type=vlan", "?type=ether", "?#1"}, false},
                    QueryCase{{"?type=ether", "?type=vlan", "?#1.|&"}, true},
                    QueryCase{{"?type=vlan", "?#.!|"}, true}));

TEST(QueryParseTest, RefusesOperationsWithoutEnoughValuesOrMeaning) {
  EXPECT_FALSE(Query::Parse({"?#!"}).ok());
  EXPECT_FALSE(Query::Parse({"?name", "?#&"}).ok());
  EXPECT_FALSE(Query::Parse({"?name", "?#x"}).ok());
  EXPECT_FALSE(Query::Parse({"?name", "?#7"}).ok());
  EXPECT_FALSE(Query::Parse({"?<name"}).ok());
}

}  // namespace
}  // namespace netsentinel::simulator
