#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "aggregator/store/store.h"

namespace netsentinel::store {

// Parses `store.url`:
//   sqlite:///absolute/path
//   mysql://user@host[:port][,host[:port]…]/database[?socket=/absolute/path]
// An IPv6 address stands in brackets; %HH escapes a byte in user, database and paths.
// kInvalidArgument names the part that is wrong and the expected form. A password in the address is
// refused: it belongs into `store.password_file`.
absl::StatusOr<StoreLocation> ParseStoreUrl(absl::string_view url);

}  // namespace netsentinel::store
