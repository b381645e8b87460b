#include "common/rpc/grpc_server.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include <grpc/grpc_security_constants.h>
#include <grpc/support/time.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_library.h"
#include "common/rpc/tls_credentials.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::rpc {
namespace {

int Milliseconds(absl::Duration duration) {
  return static_cast<int>(std::clamp<std::int64_t>(absl::ToInt64Milliseconds(duration), 1,
                                                   std::numeric_limits<int>::max()));
}

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.max_receive_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, options.max_metadata_bytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_concurrent_streams);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS,
                             Milliseconds(options.max_connection_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                             Milliseconds(options.max_connection_age_grace));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // Our clients ping every 10 s; the library's default would call that abuse.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
  // A port in use must be an error, not a second listener that shares the connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc::ResourceQuota quota("netsentinel");
  quota.Resize(options.memory_quota_bytes);
  builder.SetResourceQuota(quota);
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> Credentials(const ServerOptions& options,
                                                                     absl::Time now) {
  if (!options.security.insecure) {
    NS_RETURN_IF_ERROR(CheckTlsFiles(options.security.tls, now).status());
    return TlsServer(options.security.tls, options.certificate_refresh);
  }
  if (!config::IsLoopback(options.address.host)) {
    return absl::FailedPreconditionError(
        absl::StrCat("plaintext gRPC is refused on ", config::FormatAddress(options.address),
                     ": give the server certificates or a loopback address"));
  }
  return grpc::InsecureServerCredentials();
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(bool insecure) : authority(insecure) {}
  ~Impl() { Shutdown(absl::ZeroDuration()); }

  void Shutdown(absl::Duration grace) {
    base::MutexLock lock(mutex);
    if (stopped || server == nullptr) return;
    stopped = true;
    server->Shutdown(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_millis(absl::ToInt64Milliseconds(grace), GPR_TIMESPAN)));
    server->Wait();
  }

  const PeerAuthority authority;
  std::unique_ptr<grpc::Server> server;
  std::uint16_t port = 0;
  base::Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      absl::Span<grpc::Service* const> services,
                                                      const base::Clock& clock,
                                                      log::Logger& logger) {
  PrepareLibrary();
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ServerCredentials> credentials,
                      Credentials(options, clock.WallNow()));
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  int port = 0;
  const std::string address = config::FormatAddress(options.address);
  builder.AddListeningPort(address, credentials, &port);
  for (grpc::Service* service : services) builder.RegisterService(service);
  auto impl = std::make_unique<Impl>(options.security.insecure);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || port <= 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen for gRPC on ", address,
                     "; is another process using the port? choose another one as listen.grpc"));
  }
  impl->port = static_cast<std::uint16_t>(port);
  logger.Info("rpc.listening", "taking gRPC calls",
              {{"address", config::FormatAddress({options.address.host, impl->port})},
               {"tls", !options.security.insecure}});
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

std::uint16_t Server::port() const { return impl_->port; }
const PeerAuthority& Server::authority() const { return impl_->authority; }

void Server::SetServing(bool serving, const std::string& service) {
  grpc::HealthCheckServiceInterface* health = impl_->server->GetHealthCheckService();
  health->SetServingStatus(serving);
  if (!service.empty()) health->SetServingStatus(service, serving);
}

void Server::Shutdown(absl::Duration grace) { impl_->Shutdown(grace); }

}  // namespace netsentinel::rpc
