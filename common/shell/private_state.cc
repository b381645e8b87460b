#include "common/shell/private_state.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/status_macros.h"
#include "common/io/private_state.h"

namespace netsentinel::shell {
namespace {

// A line each is enough for every file that a program has; a folder full of others' is one matter.
constexpr std::size_t kMostTold = 20;

void Tell(const std::vector<io::Exposed>& exposed, log::Logger& logger) {
  std::size_t told = 0;
  for (const io::Exposed& one : exposed) {
    if (++told > kMostTold) break;
    const std::string mode = absl::StrFormat("%04o", static_cast<unsigned>(one.mode));
    if (one.closed) {
      logger.Warn("state.closed", "other users had access to it; it was taken away",
                  {{"path", one.path}, {"mode_before", mode}});
    } else {
      logger.Warn("state.open",
                  "other users have access to it, and it is not this user's to change: give it to "
                  "the user of this program, with mode 0700 for a folder and 0600 for a file",
                  {{"path", one.path}, {"mode", mode}});
    }
  }
  if (exposed.size() > kMostTold) {
    logger.Warn("state.closed", "further files were open to other users, too",
                {{"files", exposed.size() - kMostTold}});
  }
}

}  // namespace

absl::Status MakeStateFolder(const std::string& folder, log::Logger& logger) {
  NS_ASSIGN_OR_RETURN(const io::PrivateFolder looked_at, io::MakePrivateFolder(folder));
  Tell(looked_at.exposed, logger);
  if (!looked_at.whole) {
    logger.Warn("state.unlooked",
                "not every file of the folder was looked at: it holds too many, or cannot be "
                "listed; some may be open to other users; move away what does not belong there",
                {{"path", folder}, {"files_at_most", io::kMostPrivateFiles}});
  }
  return absl::OkStatus();
}

void CloseDatabaseToOthers(const std::string& path, log::Logger& logger) {
  std::vector<io::Exposed> exposed;
  for (const char* part : {"", "-wal", "-shm", "-journal", ".lock"}) {
    if (auto found = io::CloseToOthers(absl::StrCat(path, part)); found.has_value()) {
      exposed.push_back(*std::move(found));
    }
  }
  Tell(exposed, logger);
}

}  // namespace netsentinel::shell
