#include "common/rpc/tls_credentials.h"

#include <algorithm>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

namespace netsentinel::rpc {
namespace {

namespace tls = grpc::experimental;

std::shared_ptr<tls::CertificateProviderInterface> Watch(const config::TlsFiles& files,
                                                         absl::Duration refresh) {
  const auto seconds =
      static_cast<unsigned>(std::max<std::int64_t>(1, absl::ToInt64Seconds(refresh)));
  return std::make_shared<tls::FileWatcherCertificateProvider>(files.key, files.cert, files.ca,
                                                               seconds);
}

}  // namespace

std::shared_ptr<grpc::ServerCredentials> TlsServer(const config::TlsFiles& files,
                                                   absl::Duration refresh) {
  tls::TlsServerCredentialsOptions options(Watch(files, refresh));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return tls::TlsServerCredentials(options);
}

std::shared_ptr<grpc::ChannelCredentials> TlsClient(const config::TlsFiles& files,
                                                    absl::Duration refresh) {
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files, refresh));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(std::make_shared<tls::HostNameCertificateVerifier>());
  return tls::TlsCredentials(options);
}

}  // namespace netsentinel::rpc
