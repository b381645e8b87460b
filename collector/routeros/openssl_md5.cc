#include "collector/routeros/openssl_md5.h"

#include <openssl/evp.h>

namespace netsentinel::routeros {

std::array<std::uint8_t, 16> Md5WithOpenSsl(absl::string_view bytes) {
  std::array<std::uint8_t, 16> digest = {};
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr) != 1) {
    digest.fill(0);
  }
  return digest;
}

}  // namespace netsentinel::routeros
