#include "common/io/private_state.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/io/file_descriptor.h"
#include "common/io/files.h"

namespace netsentinel::io {
namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

}  // namespace

absl::Status MakePrivateFile(const std::string& path) {
  const FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  // Whatever else hinders is told by whoever opens the file next, in words of its own.
  if (!file.valid()) return absl::OkStatus();
  // A umask may have taken the owner's access as well.
  if (::fchmod(file.get(), 0600) != 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot chmod ", path, ": ", std::generic_category().message(errno)));
  }
  return absl::OkStatus();
}

std::optional<Exposed> CloseToOthers(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return std::nullopt;
  if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) return std::nullopt;
  if ((info.st_mode & kOthers) == 0) return std::nullopt;
  Exposed exposed{.path = path, .mode = info.st_mode & 07777};
  exposed.closed = ::chmod(path.c_str(), exposed.mode & ~kOthers) == 0;
  return exposed;
}

absl::StatusOr<PrivateFolder> MakePrivateFolder(const std::string& path, std::size_t most_files) {
  NS_RETURN_IF_ERROR(MakeFolder(path, 0700));
  PrivateFolder looked_at;
  std::vector<Exposed>& found = looked_at.exposed;
  if (const auto folder = CloseToOthers(path); folder.has_value()) found.push_back(*folder);
  std::error_code error;
  std::size_t seen = 0;
  for (std::filesystem::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error)) {
    if (++seen > most_files) {
      looked_at.whole = false;
      break;
    }
    struct stat info {};
    if (::lstat(entry->path().c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (auto file = CloseToOthers(entry->path().string()); file.has_value()) {
      found.push_back(*std::move(file));
    }
  }
  // A folder that cannot be listed has not been looked at.
  if (error) looked_at.whole = false;
  return looked_at;
}

}  // namespace netsentinel::io
