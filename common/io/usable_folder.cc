#include "common/io/usable_folder.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include <sys/stat.h>
#include <unistd.h>

#include "common/io/files.h"

namespace netsentinel::io {
namespace {

absl::Status InTheWay(const std::string& path, const std::string& at, absl::string_view what) {
  return absl::FailedPreconditionError(
      path == at ? absl::StrCat(path, " ", what)
                 : absl::StrCat(path, " cannot be made: ", at, " ", what));
}

}  // namespace

absl::Status CheckUsableFolder(const std::string& path) {
  std::string at = path;
  for (;;) {
    struct stat info = {};
    if (::stat(at.c_str(), &info) == 0) {
      if (!S_ISDIR(info.st_mode)) return InTheWay(path, at, "is not a folder");
      if (::access(at.c_str(), W_OK | X_OK) == 0) return absl::OkStatus();
      return InTheWay(path, at,
                      absl::StrCat("is not writable by this user (", std::strerror(errno),
                                   "); chown or chmod it, or name another folder"));
    }
    if (errno != ENOENT && errno != ENOTDIR) {
      return InTheWay(path, at, absl::StrCat("cannot be looked at: ", std::strerror(errno)));
    }
    const std::string above = FolderOf(at);
    if (above == at) return InTheWay(path, at, "is not there");
    at = above;
  }
}

}  // namespace netsentinel::io
