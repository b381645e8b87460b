#include "common/io/files.h"

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/io/file_descriptor.h"

namespace netsentinel::io {
namespace {

absl::Status FileError(absl::string_view what, absl::string_view path, int error) {
  const std::string text =
      absl::StrCat(what, " ", path, ": ", std::generic_category().message(error));
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(absl::StrCat(text, "; check the path"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          absl::StrCat(text, "; give the user of this program access to it"));
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(
          absl::StrCat(text, "; free space there or raise the quota"));
    default:
      return absl::UnavailableError(text);
  }
}

absl::StatusOr<FileDescriptor> OpenRegular(const std::string& path, struct stat& info) {
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return FileError("cannot open", path, errno);
  if (::fstat(file.get(), &info) != 0) return FileError("cannot stat", path, errno);
  if (!S_ISREG(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a regular file"));
  }
  return file;
}

absl::StatusOr<std::string> ReadAll(const FileDescriptor& file, const std::string& path,
                                    std::size_t max_bytes) {
  std::string bytes;
  std::string block(std::min<std::size_t>(max_bytes + 1, std::size_t{64} << 10), '\0');
  while (true) {
    const ssize_t got = ::read(file.get(), block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("cannot read", path, errno);
    if (got == 0) return bytes;
    bytes.append(block.data(), static_cast<std::size_t>(got));
    if (bytes.size() > max_bytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path, " is larger than the ", max_bytes, " bytes that are read of it"));
    }
  }
}

absl::Status CheckMode(const std::string& path, mode_t mode) {
  if ((mode & (S_IRWXG | S_IRWXO)) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrFormat("%s is open to other users (mode %04o): run chmod 0600 %s", path,
                      static_cast<unsigned>(mode & 07777U), path));
}

absl::Status WriteAll(const FileDescriptor& file, const std::string& path,
                      absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file.get(), bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return FileError("cannot write", path, errno);
    bytes.remove_prefix(static_cast<std::size_t>(put));
  }
  return absl::OkStatus();
}

absl::Status SyncFolder(const std::string& path) {
  const FileDescriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.valid()) return FileError("cannot open the folder", path, errno);
  if (::fsync(folder.get()) != 0) return FileError("cannot sync the folder", path, errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  struct stat info {};
  NS_ASSIGN_OR_RETURN(const FileDescriptor file, OpenRegular(path, info));
  return ReadAll(file, path, max_bytes);
}

absl::StatusOr<base::Secret> ReadSecretFile(const std::string& path) {
  struct stat info {};
  NS_ASSIGN_OR_RETURN(const FileDescriptor file, OpenRegular(path, info));
  NS_RETURN_IF_ERROR(CheckMode(path, info.st_mode));
  NS_ASSIGN_OR_RETURN(std::string text, ReadAll(file, path, kMaxSecretBytes));
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (text.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is empty: write the secret into it"));
  }
  return base::Secret(std::move(text));
}

absl::Status CheckPrivate(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return FileError("cannot stat", path, errno);
  return CheckMode(path, info.st_mode);
}

absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes, mode_t mode) {
  std::string temporary = absl::StrCat(path, ".XXXXXX");
  FileDescriptor file(::mkostemp(temporary.data(), O_CLOEXEC));
  if (!file.valid()) return FileError("cannot create a file beside", path, errno);
  const auto write = [&]() -> absl::Status {
    NS_RETURN_IF_ERROR(WriteAll(file, temporary, bytes));
    if (::fchmod(file.get(), mode) != 0) return FileError("cannot chmod", temporary, errno);
    if (::fsync(file.get()) != 0) return FileError("cannot sync", temporary, errno);
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      return FileError("cannot replace", path, errno);
    }
    return absl::OkStatus();
  };
  if (const absl::Status status = write(); !status.ok()) {
    ::unlink(temporary.c_str());
    return status;
  }
  return SyncFolder(FolderOf(path));
}

absl::Status MakeFolder(const std::string& path, mode_t mode) {
  std::error_code error;
  const std::filesystem::path folder(path);
  if (std::filesystem::is_directory(folder, error)) return absl::OkStatus();
  if (folder.has_parent_path()) {
    std::filesystem::create_directories(folder.parent_path(), error);
    if (error) return FileError("cannot make the folder", path, error.value());
  }
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) {
    return FileError("cannot make the folder", path, errno);
  }
  return absl::OkStatus();
}

bool Exists(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0;
}

std::string FolderOf(absl::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

std::string ResolvePath(absl::string_view folder, absl::string_view path) {
  if (!path.empty() && path.front() == '/') return std::string(path);
  return absl::StrCat(folder, "/", path);
}

}  // namespace netsentinel::io
