#pragma once

#include <functional>

#include "aggregator/query/catalog.h"
#include "aggregator/query/store_slot.h"
#include "aggregator/store/store.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/rpc/grpc_peer.h"
#include "netsentinel/v1/admin.grpc.pb.h"

namespace netsentinel::query {

struct AdminParts {
  StoreSlot& store;
  const CatalogHolder& catalog;
  const base::Clock& clock;
  base::RandomSource& random;
  const rpc::PeerAuthority& authority;
  // The fence to write under; nothing while this aggregator is not the active one.
  std::function<std::optional<store::Fence>()> fence;
  // Overrides in the store have changed.
  std::function<void()> overrides_changed;
};

// AdminService. Operators and admins may change, viewers may list. Thread-safe.
class GrpcAdminService final : public v1::AdminService::Service {
 public:
  explicit GrpcAdminService(AdminParts parts) : parts_(std::move(parts)) {}

  grpc::Status SetQuota(grpc::ServerContext* context, const v1::SetQuotaRequest* request,
                        v1::SetQuotaResponse* response) override;
  grpc::Status ListQuotas(grpc::ServerContext* context, const v1::ListQuotasRequest* request,
                          v1::ListQuotasResponse* response) override;

 private:
  absl::Status Set(const v1::SetQuotaRequest& request, store::AuditRow audit,
                   v1::SetQuotaResponse& response);
  absl::Status List(const v1::ListQuotasRequest& request, v1::ListQuotasResponse& response);

  AdminParts parts_;
};

}  // namespace netsentinel::query
