#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::rpc {

// How many rows an answer has at most: `by_default` when 0 is asked for. kInvalidArgument for more
// than `most`.
inline absl::StatusOr<std::size_t> RowLimit(std::uint32_t asked, std::uint32_t most,
                                            std::uint32_t by_default = 100) {
  if (asked > most) {
    return absl::InvalidArgumentError(absl::StrCat("limit: ", asked, " is more than ", most));
  }
  return asked == 0 ? by_default : asked;
}

}  // namespace netsentinel::rpc
