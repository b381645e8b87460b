#include "common/config/secret_source.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/io/environment.h"
#include "common/io/files.h"

namespace netsentinel::config {

absl::StatusOr<base::Secret> ReadSecret(const SecretSource& source) {
  if (!source.file.empty()) return io::ReadSecretFile(source.file);
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
  return base::Secret(*std::move(value));
}

}  // namespace netsentinel::config
