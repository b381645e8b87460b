#include "common/rpc/tls_credentials.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include "common/io/system_clock.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/kept_pair.h"
#include "common/rpc/revocation.h"

namespace netsentinel::rpc {
namespace {

namespace tls = grpc::experimental;

std::shared_ptr<tls::CertificateProviderInterface> Watch(const config::TlsFiles& files,
                                                         const KeptPair& pair,
                                                         absl::Duration refresh) {
  const auto seconds =
      static_cast<unsigned>(std::max<std::int64_t>(1, absl::ToInt64Seconds(refresh)));
  const bool kept = !pair.path().empty();
  return std::make_shared<tls::FileWatcherCertificateProvider>(
      kept ? pair.path() : files.key, kept ? pair.path() : files.cert, files.ca, seconds);
}

// Refuses a server under another name, and one whose certificate has been revoked. The chain itself
// has been verified when this is asked. Lives as long as the credentials, and what it holds too.
class NameAndRevocation final : public tls::ExternalCertificateVerifier {
 public:
  NameAndRevocation(const config::TlsFiles& files, absl::Duration refresh,
                    std::shared_ptr<const KeptPair> pair)
      : pair_(std::move(pair)) {
    if (!files.crl.empty()) revoked_.emplace(files.crl, files.ca, refresh, clock_);
  }

  bool Verify(tls::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* sync_status) override {
    // Answers at once, never later.
    names_.Verify(
        request, [](const grpc::Status&) {}, sync_status);
    if (!sync_status->ok() || !revoked_.has_value()) return true;
    absl::Status status = revoked_->Check(Text(request->peer_cert()));
    const absl::string_view chain = Text(request->peer_cert_full_chain());
    if (status.ok() && !chain.empty()) status = revoked_->Check(chain);
    *sync_status = ToGrpc(status);
    return true;
  }
  void Cancel(tls::TlsCustomVerificationCheckRequest*) override {}

 private:
  static absl::string_view Text(const grpc::string_ref& text) { return {text.data(), text.size()}; }

  const io::SystemClock clock_;
  tls::HostNameCertificateVerifier names_;
  const std::shared_ptr<const KeptPair> pair_;
  std::optional<RevocationFile> revoked_;
};

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> TlsClient(const config::TlsFiles& files,
                                                    absl::Duration refresh) {
  const auto pair = std::make_shared<const KeptPair>(files.cert, files.key, refresh);
  tls::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files, *pair, refresh));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      tls::ExternalCertificateVerifier::Create<NameAndRevocation>(files, refresh, pair));
  return tls::TlsCredentials(options);
}

}  // namespace netsentinel::rpc
