#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "aggregator/query/store_slot.h"
#include "aggregator/store/store.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/rpc/grpc_change.h"
#include "common/rpc/grpc_peer.h"
#include "netsentinel/v1/audit.grpc.pb.h"

namespace netsentinel::query {

// The audit row of a change that `caller` asks for now, under a fresh id; action and subject are
// still to be filled in.
store::AuditRow AuditRowOf(const rpc::PeerAuthority& authority,
                           const grpc::ServerContextBase& context, const rpc::PeerIdentity& caller,
                           const rpc::ChangeReason& said, const base::Clock& clock,
                           base::RandomSource& random);

struct AuditParts {
  StoreSlot& store;
  const rpc::PeerAuthority& authority;
  // The fence to write under; nothing while this aggregator is not the active one.
  std::function<std::optional<store::Fence>()> fence;
};

// AuditService. Operators and admins may read, notifiers may add. Thread-safe.
class GrpcAuditService final : public v1::AuditService::Service {
 public:
  explicit GrpcAuditService(AuditParts parts) : parts_(std::move(parts)) {}

  grpc::Status ListAuditEntries(grpc::ServerContext* context,
                                const v1::ListAuditEntriesRequest* request,
                                v1::ListAuditEntriesResponse* response) override;
  grpc::Status RecordAuditEntries(grpc::ServerContext* context,
                                  const v1::RecordAuditEntriesRequest* request,
                                  v1::RecordAuditEntriesResponse* response) override;

 private:
  absl::Status List(const v1::ListAuditEntriesRequest& request,
                    v1::ListAuditEntriesResponse& response);
  absl::Status Record(const v1::RecordAuditEntriesRequest& request,
                      const rpc::PeerIdentity& caller);

  AuditParts parts_;
};

}  // namespace netsentinel::query
