#include "common/rpc/grpc_channel.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include <grpc/grpc_security_constants.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "common/rpc/grpc_library.h"
#include "common/rpc/tls_credentials.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::rpc {
namespace {

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const ChannelOptions& options,
                                                                      absl::Time now) {
  const config::Security& security = options.peer.security;
  if (!security.insecure) {
    NS_RETURN_IF_ERROR(CheckTlsFiles(security.tls, now).status());
    return TlsClient(security.tls, options.certificate_refresh);
  }
  NS_ASSIGN_OR_RETURN(const config::Address address, config::ParseTarget(options.peer.target));
  if (!config::IsLoopback(address.host)) {
    return absl::FailedPreconditionError(
        absl::StrCat("plaintext gRPC to ", options.peer.target,
                     " is refused: give the connection certificates or a loopback address"));
  }
  return grpc::InsecureChannelCredentials();
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> MakeChannel(const ChannelOptions& options,
                                                           const base::Clock& clock) {
  PrepareLibrary();
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                      Credentials(options, clock.WallNow()));
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(options.max_receive_bytes);
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 8192);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  // Also the time that an attempt to connect has: the handshake included, on a bad line.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(options.max_reconnect_backoff)));
  // Debian's and Docker's environments name proxies for the web, which carry no mutual TLS.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, options.peer.environment_proxy ? 1 : 0);
  // Channels of one process do not share a connection: their certificates and fates are their own.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  return grpc::CreateCustomChannel(options.peer.target, credentials, arguments);
}

}  // namespace netsentinel::rpc
