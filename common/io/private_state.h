#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include <sys/types.h>

// Files that hold names, figures and mails are their owner's alone, whatever the umask says.
namespace netsentinel::io {

// An empty file of mode 0600 where there is none at `path`. One that is there stays as it is and is
// not opened: closing it again would end the locks that SQLite holds on it in this process.
absl::Status MakePrivateFile(const std::string& path);

// A path that group or others had access to.
struct Exposed {
  std::string path;
  mode_t mode = 0;      // as it was
  bool closed = false;  // that access was taken away; false: the path belongs to another user
};

// Takes all access of group and others from a regular file or folder. Nothing when there was none
// to take, or there is nothing at `path`. Follows no symbolic link at the end of the path.
std::optional<Exposed> CloseToOthers(const std::string& path);

struct PrivateFolder {
  std::vector<Exposed> exposed;  // what had been open
  bool whole = true;  // every entry was looked at; false: there are more, or it cannot be listed
};
inline constexpr std::size_t kMostPrivateFiles = 10'000;

// Makes the folder with mode 0700 where there is none. An existing one is closed to others, and so
// are the regular files directly in it, of its first `most_files` entries.
absl::StatusOr<PrivateFolder> MakePrivateFolder(const std::string& path,
                                                std::size_t most_files = kMostPrivateFiles);

}  // namespace netsentinel::io
