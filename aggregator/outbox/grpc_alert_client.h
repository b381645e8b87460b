#pragma once

#include <memory>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "aggregator/outbox/alert_sink.h"
#include "common/base/mutex.h"
#include "common/rpc/peer_trouble.h"
#include "netsentinel/v1/alerts.grpc.pb.h"

namespace netsentinel::outbox {

// AlertSink over the notifier's AlertService. One thread delivers.
class GrpcAlertClient final : public AlertSink {
 public:
  GrpcAlertClient(const std::shared_ptr<grpc::Channel>& channel, rpc::PeerNames notifier)
      : stub_(v1::AlertService::NewStub(channel)), notifier_(std::move(notifier)) {}
  absl::StatusOr<AlertReceipt> Deliver(absl::Span<const store::OutboxClaim> breaches,
                                       absl::Duration deadline) override;
  void Cancel() override;

 private:
  std::unique_ptr<v1::AlertService::Stub> stub_;
  const rpc::PeerNames notifier_;
  base::Mutex mutex_;
  grpc::ClientContext* under_way_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace netsentinel::outbox
