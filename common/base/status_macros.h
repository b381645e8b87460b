#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expression` from the enclosing function unless it is OK.
#define NS_RETURN_IF_ERROR(expression)                                \
  do {                                                                \
    if (::absl::Status ns_status_ = (expression); !ns_status_.ok()) { \
      return ns_status_;                                              \
    }                                                                 \
  } while (false)

#define NS_MACRO_CONCAT_INNER_(a, b) a##b
#define NS_MACRO_CONCAT_(a, b) NS_MACRO_CONCAT_INNER_(a, b)

// NS_ASSIGN_OR_RETURN(auto value, Compute()): the value, or returns its status.
#define NS_ASSIGN_OR_RETURN(declaration, expression) \
  NS_ASSIGN_OR_RETURN_(NS_MACRO_CONCAT_(ns_statusor_, __LINE__), declaration, expression)
#define NS_ASSIGN_OR_RETURN_(statusor, declaration, expression) \
  auto statusor = (expression);                                 \
  if (!statusor.ok()) {                                         \
    return std::move(statusor).status();                        \
  }                                                             \
  declaration = *std::move(statusor)
