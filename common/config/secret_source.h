#pragma once

#include <string>

#include "absl/status/statusor.h"

#include "common/base/secret.h"
#include "common/config/diagnostics.h"

namespace netsentinel::config {

// Where a password or key comes from; the configuration never holds it. Exactly one is set, or
// neither when the secret is optional and was not given.
struct SecretSource {
  std::string key;  // for messages, such as smtp.password
  Position position;
  std::string file;         // absolute or seen from this process
  std::string environment;  // the name of a variable

  bool given() const { return !file.empty() || !environment.empty(); }
  // The same secret; where the file names it does not matter.
  bool operator==(const SecretSource& other) const {
    return file == other.file && environment == other.environment;
  }
};

// Reads it now, less a UTF-8 byte order mark before it and all line ends (LF, CR) behind it. Fails
// in words as io::ReadSecretFile does; kFailedPrecondition when the variable is not set, when
// nothing is left, when the text has more than one line or is no plain text (UTF-16, a NUL), and
// when the source is not given. Spaces are part of the secret.
absl::StatusOr<base::Secret> ReadSecret(const SecretSource& source);

}  // namespace netsentinel::config
