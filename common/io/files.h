#pragma once

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include <sys/types.h>

#include "common/base/secret.h"

namespace netsentinel::io {

inline constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxSecretBytes = 64 * 1024;

// The whole file. kNotFound, kPermissionDenied, kResourceExhausted (more than `max_bytes`),
// kFailedPrecondition (no regular file: a directory, pipe or device is never read) or
// kUnavailable; each names the path.
absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     std::size_t max_bytes = kMaxFileBytes);

// A password or key from a file that only its owner may read, less one newline at its end.
// kFailedPrecondition when group or others have any access (the words name the chmod), when the
// file is empty; else as ReadFile.
absl::StatusOr<base::Secret> ReadSecretFile(const std::string& path);

// Fails with kFailedPrecondition, naming the chmod, when group or others can read or write `path`.
absl::Status CheckPrivate(const std::string& path);

// Replaces `path` by `bytes` so that after a crash it holds either the old or the new content:
// temporary file in the same folder, fsync, rename, fsync of the folder. An error leaves the old
// file: kResourceExhausted (disk or quota full), kPermissionDenied, kNotFound, kUnavailable.
absl::Status WriteFileDurably(const std::string& path, absl::string_view bytes, mode_t mode = 0644);

// Makes a folder and its parents; an existing folder is fine. Only the last part gets `mode`.
absl::Status MakeFolder(const std::string& path, mode_t mode = 0750);

// True when something exists at `path` that this process may stat.
bool Exists(const std::string& path);

// The folder part of a path: "a/b.yaml" → "a", "b.yaml" → ".".
std::string FolderOf(absl::string_view path);

// `path` itself when absolute, else seen from `folder`.
std::string ResolvePath(absl::string_view folder, absl::string_view path);

}  // namespace netsentinel::io
