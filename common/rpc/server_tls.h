#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include <openssl/ssl.h>

#include "common/base/clock.h"
#include "common/config/shared_sections.h"
#include "common/rpc/revocation.h"

namespace netsentinel::rpc {

// The server's side of TLS 1.3 with client certificates, from files that may be replaced at any
// time. What serves is always one whole set that fits together. Not thread-safe.
class ServerTls {
 public:
  // As CheckTlsFiles. `clock` must outlive it.
  static absl::StatusOr<ServerTls> Load(const config::TlsFiles& files, const base::Clock& clock);

  // For new connections; valid until the next Refresh, and beyond it for whoever has made an SSL of
  // it.
  SSL_CTX* context() const { return context_.get(); }

  // kPermissionDenied when the list of revoked certificates names one of the PEM chain.
  absl::Status CheckRevoked(const std::string& chain_pem) const;

  // Looks at the files again. OK when what they hold serves now. An error says why it does not (a
  // certificate without its key, for one); what served before goes on serving. The lists, and the
  // certificates with their key, are taken over each by itself. Sets `renewed` when something other
  // than before may serve.
  absl::Status Refresh(bool& renewed);

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, FreeContext>;

  ServerTls(const config::TlsFiles& files, const base::Clock& clock)
      : files_(files), clock_(&clock) {}
  absl::Status Take();
  absl::Status TakeLists();
  static absl::StatusOr<Context> MakeContext(const config::TlsFiles& files);
  // A digest of all files; one that cannot be read has none.
  std::string Seen() const;

  config::TlsFiles files_;
  const base::Clock* clock_;
  Context context_;
  std::optional<RevocationLists> revoked_;
  std::string seen_;
  absl::Status last_;
};

}  // namespace netsentinel::rpc
