#pragma once

#include <grpcpp/grpcpp.h>

#include "common/rpc/grpc_peer.h"
#include "netsentinel/v1/notifier.grpc.pb.h"
#include "notifier/audit/grpc_audit_desk.h"
#include "notifier/delivery/report_desk.h"
#include "notifier/delivery/sqlite_delivery_queue.h"

namespace netsentinel::delivery {

// Reports on demand and the state of the queue. Rendering is for viewers too; listing and sending
// are for operators and admins, and sending stands in the audit log.
class GrpcNotifierService final : public v1::NotifierService::Service {
 public:
  // Everything must outlive the service.
  GrpcNotifierService(const rpc::PeerAuthority& authority, SqliteDeliveryQueue& queue,
                      ReportDesk& reports, audit::GrpcAuditDesk& audit)
      : authority_(authority), queue_(queue), reports_(reports), audit_(audit) {}

  grpc::Status RenderReport(grpc::ServerContext* context, const v1::RenderReportRequest* request,
                            v1::RenderReportResponse* response) override;
  grpc::Status SendReport(grpc::ServerContext* context, const v1::SendReportRequest* request,
                          v1::SendReportResponse* response) override;
  grpc::Status ListDeliveries(grpc::ServerContext* context,
                              const v1::ListDeliveriesRequest* request,
                              v1::ListDeliveriesResponse* response) override;

 private:
  absl::Status AllowReading(grpc::ServerContext& context) const;

  const rpc::PeerAuthority& authority_;
  SqliteDeliveryQueue& queue_;
  ReportDesk& reports_;
  audit::GrpcAuditDesk& audit_;
};

}  // namespace netsentinel::delivery
