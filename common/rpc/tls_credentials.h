#pragma once

#include <memory>

#include "absl/time/time.h"

#include "common/config/shared_sections.h"

namespace grpc {
class ChannelCredentials;
}  // namespace grpc

namespace netsentinel::rpc {

// A client's mutual TLS from files that are read again every `refresh`: a new certificate is used
// for new connections without a restart, as soon as its key fits; the old pair goes on until then.
// The files should have passed CheckTlsFiles. With `files.crl` the client refuses a server whose
// certificate is revoked.
std::shared_ptr<grpc::ChannelCredentials> TlsClient(const config::TlsFiles& files,
                                                    absl::Duration refresh);

}  // namespace netsentinel::rpc
