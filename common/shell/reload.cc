#include "common/shell/reload.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace netsentinel::shell {

absl::Status OnlyWithRestart(std::initializer_list<std::pair<absl::string_view, bool>> changed) {
  std::vector<absl::string_view> keys;
  for (const auto& [key, differs] : changed) {
    if (differs) keys.push_back(key);
  }
  if (keys.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(absl::StrJoin(keys, ", "), keys.size() == 1 ? " changes" : " change",
                   " only with a restart; nothing of the file was taken over"));
}

}  // namespace netsentinel::shell
