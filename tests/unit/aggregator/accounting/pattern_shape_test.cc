#include "aggregator/accounting/pattern_shape.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::accounting {
namespace {

using ::testing::HasSubstr;

TEST(PatternShapeTest, OneChoiceIsBacktracked) {
  for (const char* pattern :
       {"", "alice", "(.*)-down", "(.+?)-down", "user-?[0-9]", "(?:up|down)-x",
        "user-[0-9]{4}-(.*)", "(ab){9}(.*)", R"(\?\*\+\|(.*))", "[?*+|{]+", "[[:alpha:]?*]+",
        R"([\]?*]+)", "(.*)-\\1", "(?!guest)(.*)"}) {
    EXPECT_EQ(MatchingOf(pattern).value_or(Matching::kInStep), Matching::kBacktracking) << pattern;
  }
}

TEST(PatternShapeTest, MoreChoicesAreMatchedInStep) {
  for (const char* pattern : {"a?a?", "a??a??", R"(\(?\*?)", "[(]?a?", "a}?b}?", "x{1,3}?y?",
                              "a|b|c", "(?:a|a)(?:a|a)", "(a?)?", "(a*)*", "(?:a*){9}", "((a?)){9}",
                              ".*.*", "a+b?", "(?=.*a)(?=.*b)c", "[]a?a?[]", "[[.].]]a?a?"}) {
    EXPECT_EQ(MatchingOf(pattern).value_or(Matching::kBacktracking), Matching::kInStep) << pattern;
  }
}

TEST(PatternShapeTest, ALookAheadIsTriedAtOnePlaceOfTheText) {
  for (const char* pattern :
       {"(?!guest)(.*)", "user-(?!guest)(.*)", "^(?=.*-a)(?!.*-b)(.*)", "((?!a|b).)-x"}) {
    EXPECT_THAT(MatchingOf(pattern), test::IsOk()) << pattern;
  }
  for (const char* pattern :
       {".*(?=b)", "a|(?=b)", "(?=a(?=b))", "(?:(?!b)a)*", "((?:(?!b)a)){2}", "(?=b)?"}) {
    EXPECT_THAT(MatchingOf(pattern), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                                    HasSubstr("has a look-ahead behind a *")))
        << pattern;
  }
}

TEST(PatternShapeTest, CountsMakeAPatternOnlySoLong) {
  for (const char* pattern : {"a{512}", "((a{1,7}){1,7}){1,7}", "a{}", "a{,}", "a{0}", "a{"}) {
    EXPECT_THAT(MatchingOf(pattern), test::IsOk()) << pattern;
  }
  for (const char* pattern : {"a{513}", "(a{0,100}){0,100}", "a{256}b{257}",
                              "a{99999999999999999999999}", "(((a{9}){9}){9}){9}"}) {
    EXPECT_THAT(MatchingOf(pattern), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                                    HasSubstr("more than 512 characters")))
        << pattern;
  }
}

TEST(PatternShapeTest, WhatIsCutOffIsNotReadPast) {
  const std::string pattern = R"(a\(?=[[.].]\]{1,2}?)x*|(?:b)[[)";
  for (std::size_t size = 0; size <= pattern.size(); ++size) {
    const std::string part = pattern.substr(0, size);
    (void)MatchingOf(part);
    for (const char* end : {"\\", "[", "[[", "[[.", "[\\", "{", "(?", "(?="}) {
      (void)MatchingOf(absl::StrCat(part, end));
    }
  }
}

}  // namespace
}  // namespace netsentinel::accounting
