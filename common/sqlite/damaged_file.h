#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace netsentinel::sqlite {

// A database file that was moved aside since it was damaged.
struct DamagedFile {
  std::string path;
  absl::Time at;
};

// Moves `path`, which must be closed, and its log to path.damaged-SECONDS and returns that name;
// the three newest such files are kept. kUnavailable when it cannot be moved.
absl::StatusOr<std::string> MoveAside(const std::string& path, absl::Time now);

// The newest file that MoveAside left of `path`.
std::optional<DamagedFile> NewestAside(const std::string& path);

}  // namespace netsentinel::sqlite
