#include "common/config/secret_source.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"
#include "common/io/environment.h"
#include "common/io/files.h"

namespace netsentinel::config {
namespace {

constexpr absl::string_view kUtf8Mark = "\xEF\xBB\xBF";

// Editors put marks and line ends around a secret that nobody typed.
absl::StatusOr<base::Secret> Cleaned(const base::Secret& read, absl::string_view place) {
  absl::string_view text = read.reveal();
  if (absl::StartsWith(text, "\xFF\xFE") || absl::StartsWith(text, "\xFE\xFF") ||
      absl::StrContains(text, '\0')) {
    return absl::FailedPreconditionError(absl::StrCat(
        place,
        " is not plain text (UTF-16 or binary): save it as UTF-8 without a byte order mark"));
  }
  absl::ConsumePrefix(&text, kUtf8Mark);
  while (absl::ConsumeSuffix(&text, "\n") || absl::ConsumeSuffix(&text, "\r")) {
  }
  if (text.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(place, " is empty: write the secret into it"));
  }
  if (text.find_first_of("\r\n") != absl::string_view::npos) {
    return absl::FailedPreconditionError(absl::StrCat(
        place, " holds more than one line: the secret must stand there alone, on one line"));
  }
  return base::Secret(std::string(text));
}

}  // namespace

absl::StatusOr<base::Secret> ReadSecret(const SecretSource& source) {
  if (!source.file.empty()) {
    NS_ASSIGN_OR_RETURN(const base::Secret read, io::ReadSecretFile(source.file));
    return Cleaned(read, source.file);
  }
  if (source.environment.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        source.key, " is not configured; put it in a file and name that as ", source.key, "_file"));
  }
  std::optional<std::string> value = io::GetEnvironment(source.environment);
  if (!value.has_value() || value->empty()) {
    return absl::FailedPreconditionError(absl::StrCat("the environment variable ",
                                                      source.environment, ", which holds ",
                                                      source.key, ", is not set"));
  }
  return Cleaned(base::Secret(*std::move(value)),
                 absl::StrCat("the environment variable ", source.environment));
}

}  // namespace netsentinel::config
