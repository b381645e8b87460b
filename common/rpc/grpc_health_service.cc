#include "common/rpc/grpc_health_service.h"

#include <utility>
#include <vector>

#include "common/rpc/grpc_status.h"

namespace netsentinel::rpc {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

// One stream of Watch. Lives until gRPC is done with it.
class GrpcHealthService::Watcher final : public grpc::ServerWriteReactor<HealthCheckResponse>,
                                         public std::enable_shared_from_this<Watcher> {
 public:
  Watcher(GrpcHealthService& owner, std::string service)
      : owner_(owner), service_(std::move(service)) {}

  const std::string& service() const { return service_; }

  void Tell(Status status) {
    base::MutexLock lock(mutex_);
    next_ = status;
    WriteNext();
  }
  void End(const grpc::Status& status) {
    base::MutexLock lock(mutex_);
    if (!std::exchange(finished_, true)) Finish(status);
  }

  void OnWriteDone(bool ok) override {
    base::MutexLock lock(mutex_);
    writing_ = false;
    if (ok) WriteNext();
  }
  void OnCancel() override { End(grpc::Status::CANCELLED); }
  void OnDone() override { owner_.Forget(shared_from_this()); }

 private:
  // Only changes are told; what comes while one is under way replaces what waits.
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_ || next_ == told_) return;
    writing_ = true;
    told_ = next_;
    response_.set_status(told_);
    StartWrite(&response_);
  }

  GrpcHealthService& owner_;
  const std::string service_;
  base::Mutex mutex_;
  HealthCheckResponse response_ ABSL_GUARDED_BY(mutex_);
  Status next_ ABSL_GUARDED_BY(mutex_) = HealthCheckResponse::UNKNOWN;
  Status told_ ABSL_GUARDED_BY(mutex_) = HealthCheckResponse::UNKNOWN;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

GrpcHealthService::Status GrpcHealthService::StatusOf(const std::string& service,
                                                      Status unknown) const {
  const auto at = serving_.find(service);
  if (at == serving_.end()) return unknown;
  return at->second && !ended_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
}

void GrpcHealthService::SetServing(bool serving, const std::string& service) {
  base::MutexLock lock(mutex_);
  serving_[""] = serving;
  if (!service.empty()) serving_[service] = serving;
  for (const std::shared_ptr<Watcher>& watcher : watchers_) {
    watcher->Tell(StatusOf(watcher->service(), HealthCheckResponse::SERVICE_UNKNOWN));
  }
}

void GrpcHealthService::Shutdown() {
  base::MutexLock lock(mutex_);
  ended_ = true;
  for (const std::shared_ptr<Watcher>& watcher : watchers_) {
    watcher->Tell(HealthCheckResponse::NOT_SERVING);
    watcher->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is stopping"));
  }
}

void GrpcHealthService::Forget(const std::shared_ptr<Watcher>& watcher) {
  base::MutexLock lock(mutex_);
  watchers_.erase(watcher);
}

grpc::ServerUnaryReactor* GrpcHealthService::Check(grpc::CallbackServerContext* context,
                                                   const HealthCheckRequest* request,
                                                   HealthCheckResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::StatusOr<PeerIdentity> caller = authority_.RequireKnown(*context);
  if (!caller.ok()) {
    reactor->Finish(ToGrpc(caller.status()));
    return reactor;
  }
  base::MutexLock lock(mutex_);
  if (!serving_.contains(request->service())) {
    reactor->Finish(grpc::Status(grpc::StatusCode::NOT_FOUND, "no such service"));
    return reactor;
  }
  response->set_status(StatusOf(request->service(), HealthCheckResponse::UNKNOWN));
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerWriteReactor<HealthCheckResponse>* GrpcHealthService::Watch(
    grpc::CallbackServerContext* context, const HealthCheckRequest* request) {
  const auto watcher = std::make_shared<Watcher>(*this, request->service());
  const absl::StatusOr<PeerIdentity> caller = authority_.RequireKnown(*context);
  base::MutexLock lock(mutex_);
  watchers_.insert(watcher);
  if (!caller.ok()) {
    watcher->End(ToGrpc(caller.status()));
  } else if (ended_) {
    watcher->End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the server is stopping"));
  } else {
    watcher->Tell(StatusOf(request->service(), HealthCheckResponse::SERVICE_UNKNOWN));
  }
  return watcher.get();
}

}  // namespace netsentinel::rpc
