#pragma once

#include <memory>

#include <grpcpp/grpcpp.h>

#include "aggregator/outbox/alert_sink.h"
#include "common/base/mutex.h"
#include "netsentinel/v1/alerts.grpc.pb.h"

namespace netsentinel::outbox {

// AlertSink over the notifier's AlertService. One thread delivers.
class GrpcAlertClient final : public AlertSink {
 public:
  explicit GrpcAlertClient(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(v1::AlertService::NewStub(channel)) {}
  absl::StatusOr<AlertReceipt> Deliver(absl::Span<const store::OutboxClaim> breaches,
                                       absl::Duration deadline) override;
  void Cancel() override;

 private:
  std::unique_ptr<v1::AlertService::Stub> stub_;
  base::Mutex mutex_;
  grpc::ClientContext* under_way_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace netsentinel::outbox
