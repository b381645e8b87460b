#include "common/io/host.h"

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/io/files.h"

namespace netsentinel::io {

absl::StatusOr<std::string> HostBootId() {
  constexpr char kPath[] = "/proc/sys/kernel/random/boot_id";
  NS_ASSIGN_OR_RETURN(const std::string text, ReadFile(kPath, 256));
  const absl::string_view id = absl::StripAsciiWhitespace(text);
  if (id.size() != 36) {
    return absl::FailedPreconditionError(
        absl::StrCat(kPath, " does not hold a boot id; mount /proc in this container"));
  }
  return std::string(id);
}

std::string HostName() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "localhost";
  return name.data();
}

}  // namespace netsentinel::io
