#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "common/rpc/peer_trouble.h"
#include "netsentinel/v1/audit.grpc.pb.h"
#include "notifier/audit/audit_sender.h"

namespace netsentinel::audit {

// Hands entries to the aggregator's AuditService. Thread-safe.
class GrpcAuditClient final : public AuditSink {
 public:
  // Calls under way end when the stop is requested.
  GrpcAuditClient(const std::shared_ptr<grpc::Channel>& channel, rpc::PeerNames aggregator,
                  std::stop_token stop);

  absl::Status Record(const std::vector<AuditEntry>& entries) override;

 private:
  std::unique_ptr<v1::AuditService::Stub> stub_;
  const rpc::PeerNames aggregator_;
  const std::stop_token stop_;
};

}  // namespace netsentinel::audit
