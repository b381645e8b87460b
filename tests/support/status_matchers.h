#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace netsentinel::test {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// EXPECT_THAT(expression, IsOk());
MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// EXPECT_THAT(expression, StatusIs(absl::StatusCode::kNotFound, testing::HasSubstr("router")));
MATCHER_P2(StatusIs, code, message_matcher, "") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         testing::Matches(testing::SafeMatcherCast<std::string>(message_matcher))(
             std::string(StatusOf(arg).message()));
}

}  // namespace netsentinel::test

#define NS_TEST_CONCAT_INNER_(a, b) a##b
#define NS_TEST_CONCAT_(a, b) NS_TEST_CONCAT_INNER_(a, b)
// ASSERT_OK_AND_ASSIGN(auto value, Compute()): the value, or fails the test.
#define ASSERT_OK_AND_ASSIGN(declaration, expression) \
  ASSERT_OK_AND_ASSIGN_(NS_TEST_CONCAT_(ns_statusor_, __LINE__), declaration, expression)
#define ASSERT_OK_AND_ASSIGN_(statusor, declaration, expression) \
  auto statusor = (expression);                                  \
  ASSERT_TRUE(statusor.ok()) << statusor.status().ToString();    \
  declaration = *std::move(statusor)
