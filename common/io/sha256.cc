#include "common/io/sha256.h"

#include "absl/strings/escaping.h"
#include <openssl/evp.h>

#include "common/base/check.h"

namespace netsentinel::io {

std::string Sha256(absl::string_view bytes) {
  std::string digest(32, '\0');
  unsigned int size = 0;
  const int ok =
      EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                 EVP_sha256(), nullptr);
  NS_CHECK(ok == 1 && size == digest.size(), "EVP_Digest");
  return digest;
}

std::string Sha256Hex(absl::string_view bytes) { return absl::BytesToHexString(Sha256(bytes)); }

}  // namespace netsentinel::io
