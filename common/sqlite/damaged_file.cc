#include "common/sqlite/damaged_file.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace netsentinel::sqlite {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKept = 3;

std::vector<DamagedFile> Aside(const std::string& path) {
  const std::string prefix = absl::StrCat(fs::path(path).filename().string(), ".damaged-");
  std::vector<DamagedFile> found;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(path).parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    absl::string_view rest = name;
    std::int64_t seconds = 0;
    if (!absl::ConsumePrefix(&rest, prefix) || !absl::SimpleAtoi(rest, &seconds)) continue;
    found.push_back({entry.path().string(), absl::FromUnixSeconds(seconds)});
  }
  std::sort(found.begin(), found.end(),
            [](const DamagedFile& a, const DamagedFile& b) { return a.at < b.at; });
  return found;
}

}  // namespace

absl::StatusOr<std::string> MoveAside(const std::string& path, absl::Time now) {
  const std::string aside = absl::StrCat(path, ".damaged-", absl::ToUnixSeconds(now));
  std::error_code failed;
  // The log goes first, so that a new file never meets it.
  for (const char* part : {"-wal", "-shm"}) {
    fs::rename(absl::StrCat(path, part), absl::StrCat(aside, part), failed);
  }
  fs::rename(path, aside, failed);
  if (failed) {
    return absl::UnavailableError(
        absl::StrCat(path, " is damaged and cannot be moved to ", aside, ": ", failed.message()));
  }
  const std::vector<DamagedFile> found = Aside(path);
  for (std::size_t i = 0; i + kKept < found.size(); ++i) {
    for (const char* part : {"", "-wal", "-shm"}) {
      fs::remove(absl::StrCat(found[i].path, part), failed);
    }
  }
  return aside;
}

std::optional<DamagedFile> NewestAside(const std::string& path) {
  const std::vector<DamagedFile> found = Aside(path);
  if (found.empty()) return std::nullopt;
  return found.back();
}

}  // namespace netsentinel::sqlite
