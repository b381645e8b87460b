#pragma once

#include <cstdint>
#include <string>

#include "common/config/shared_sections.h"

namespace netsentinel::rpc {

// One TLS handshake with a local port by OpenSSL alone, and one byte of the answer, with a client
// certificate when `files` has one. Returns the negotiated version ("TLSv1.3"), or why there is
// none, beginning with "failed".
std::string Handshake(std::uint16_t port, const config::TlsFiles& files, int max_version);

// Replaces the certificate and key of `files` by an RSA pair with the same names, signed by the
// authority in `folder`.
void MakeRsa(const std::string& folder, const config::TlsFiles& files);

}  // namespace netsentinel::rpc
