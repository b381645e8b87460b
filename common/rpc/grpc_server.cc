#include "common/rpc/grpc_server.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include <grpc/grpc.h>
#include <grpc/support/time.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/rpc/asio_front.h"
#include "common/rpc/grpc_health_service.h"
#include "common/rpc/grpc_library.h"
#include "common/rpc/grpc_reflection_service.h"
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
  grpc::ResourceQuota quota("netsentinel");
  quota.Resize(options.memory_quota_bytes);
  builder.SetResourceQuota(quota);
}

absl::Status CheckTransport(const ServerOptions& options, absl::Time now) {
  if (!options.security.insecure) return CheckTlsFiles(options.security.tls, now).status();
  if (config::IsLoopback(options.address.host)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("plaintext gRPC is refused on ", config::FormatAddress(options.address),
                   ": give the server certificates or a loopback address"));
}

// Of the front; who reaches an insecure port has no name to count by.
FrontOptions ForFront(const ServerOptions& options) {
  FrontOptions front = {.address = options.address,
                        .security = options.security,
                        .certificate_refresh = options.certificate_refresh,
                        .admits = options.admits,
                        .limits = options.connections};
  if (options.security.insecure) front.limits.peers_per_name = 0;
  return front;
}

}  // namespace

ServerOptions FromListen(const config::Listen& listen, const config::Security& security) {
  ServerOptions options;
  options.address = listen.grpc;
  options.security = security;
  options.max_connection_age = listen.max_connection_age;
  options.connections.peers = listen.max_connections;
  options.connections.peers_per_name = listen.max_connections_per_name;
  return options;
}

class Server::Impl {
 public:
  explicit Impl(const PeerAuthority& authority) : health(authority), reflection(authority) {}
  ~Impl() { Shutdown(absl::ZeroDuration()); }

  void Shutdown(absl::Duration grace) {
    base::MutexLock lock(mutex);
    if (stopped || server == nullptr) return;
    stopped = true;
    if (front != nullptr) front->StopAccepting();
    health.Shutdown();
    server->Shutdown(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_millis(absl::ToInt64Milliseconds(grace), GPR_TIMESPAN)));
    server->Wait();
    if (front != nullptr) front->Stop();
  }

  GrpcHealthService health;
  GrpcReflection reflection;
  std::unique_ptr<grpc::experimental::ExternalConnectionAcceptor> acceptor;
  std::unique_ptr<grpc::Server> server;
  std::unique_ptr<AsioFront> front;
  base::Mutex mutex;
  bool stopped ABSL_GUARDED_BY(mutex) = false;
};

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const PeerAuthority& authority,
                                                      absl::Span<grpc::Service* const> services,
                                                      const Surroundings& around) {
  PrepareLibrary();
  NS_RETURN_IF_ERROR(CheckTransport(options, around.clock.WallNow()));
  auto impl = std::make_unique<Impl>(authority);
  grpc::EnableDefaultHealthCheckService(false);
  grpc::ServerBuilder builder;
  SetLimits(options, builder);
  // gRPC has no port: it serves what the front hands to it, and nothing else.
  impl->acceptor = builder.experimental().AddExternalConnectionAcceptor(
      grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
      grpc::InsecureServerCredentials());
  for (grpc::Service* service : services) builder.RegisterService(service);
  builder.RegisterService(&impl->health);
  impl->reflection.RegisterIn(builder);
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr) return absl::InternalError("gRPC does not start");
  const auto handover = [acceptor = impl->acceptor.get()](int fd) {
    grpc::experimental::ExternalConnectionAcceptor::NewConnectionParameters connection;
    connection.listener_fd = -1;
    connection.fd = fd;
    acceptor->HandleNewConnection(&connection);
  };
  absl::StatusOr<std::unique_ptr<AsioFront>> front =
      AsioFront::Start(ForFront(options), authority, handover, around);
  if (absl::IsUnavailable(front.status())) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen for gRPC on ", config::FormatAddress(options.address), " (",
                     front.status().message(),
                     "); is another process using the port? choose another one as listen.grpc"));
  }
  NS_RETURN_IF_ERROR(front.status());
  impl->front = *std::move(front);
  around.logger.Info(
      "rpc.listening", "taking gRPC calls",
      {{"address", config::FormatAddress({options.address.host, impl->front->port()})},
       {"tls", !options.security.insecure}});
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

std::uint16_t Server::port() const { return impl_->front->port(); }

void Server::SetServing(bool serving, const std::string& service) {
  impl_->health.SetServing(serving, service);
}

void Server::Shutdown(absl::Duration grace) { impl_->Shutdown(grace); }

}  // namespace netsentinel::rpc
