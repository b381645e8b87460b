#include "aggregator/query/grpc_admin_service.h"

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "aggregator/query/grpc_audit_service.h"
#include "aggregator/query/wire.h"
#include "common/base/bytes.h"
#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/row_limit.h"

namespace netsentinel::query {
namespace {

// On a page.
constexpr std::uint32_t kOverridesDefault = 1'000;
constexpr std::uint32_t kOverridesMax = 10'000;

// Sets or removes an override. Where the connection died inside COMMIT it is done once more, which
// changes nothing that was done, and waits for a COMMIT that is still under way: what that says is
// the truth. kUnknown when it could not be learned either.
absl::Status Change(store::Store& store, store::Fence fence, const store::QuotaOverrideRow& row,
                    bool remove, const store::AuditRow& audit) {
  const auto change = [&] {
    return remove ? store.RemoveQuotaOverride(fence, row.subscriber, row.quota_id, audit)
                  : store.PutQuotaOverride(fence, row, audit);
  };
  const absl::Status first = change();
  if (!absl::IsUnknown(first)) return first;
  const absl::Status second = change();
  if (second.ok()) return second;
  return absl::UnknownError(absl::StrCat(
      "the connection to the store was lost while quota ", row.quota_id, " of ",
      base::DisplayName(row.subscriber.name), " was ", remove ? "removed" : "set",
      ": nobody knows yet whether it was; ask with `netsentinelctl quota list` in a moment and"
      " repeat the call if it was not (",
      first.message(), "; then ", second.message(), ")"));
}

// "quota default of alice at site lab on router r1".
std::string SubjectOf(const store::QuotaOverrideRow& row) {
  std::string text =
      absl::StrCat("quota ", row.quota_id, " of ", base::DisplayName(row.subscriber.name),
                   " at site ", row.subscriber.site.value());
  if (!row.subscriber.router.empty()) {
    absl::StrAppend(&text, " on router ", row.subscriber.router.value());
  }
  return text;
}

// kNotFound when the subscriber has no override: there is nothing to remove, nor to write down.
absl::Status CheckThereIsOne(store::Store& store, const store::QuotaOverrideRow& row) {
  NS_ASSIGN_OR_RETURN(const std::vector<store::QuotaOverrideRow> all, store.QuotaOverrides());
  const bool found = std::any_of(all.begin(), all.end(), [&](const store::QuotaOverrideRow& one) {
    return one.subscriber == row.subscriber && one.quota_id == row.quota_id;
  });
  if (found) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat("there was no ", SubjectOf(row),
                                          " to remove: the configuration's applies already; "
                                          "`netsentinelctl quota list` shows those there are"));
}

}  // namespace

grpc::Status GrpcAdminService::SetQuota(grpc::ServerContext* context,
                                        const v1::SetQuotaRequest* request,
                                        v1::SetQuotaResponse* response) {
  const absl::StatusOr<rpc::PeerIdentity> caller =
      parts_.authority.RequireRole(*context, {rpc::Role::kOperator, rpc::Role::kAdmin});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  const rpc::ChangeReason said{request->reason(), request->on_behalf_of()};
  if (const absl::Status fits = rpc::Validate(said); !fits.ok()) return rpc::ToGrpc(fits);
  return rpc::ToGrpc(Set(
      *request, AuditRowOf(parts_.authority, *context, *caller, said, parts_.clock, parts_.random),
      *response));
}

absl::Status GrpcAdminService::Set(const v1::SetQuotaRequest& request, store::AuditRow audit,
                                   v1::SetQuotaResponse& response) {
  store::QuotaOverrideRow row;
  NS_ASSIGN_OR_RETURN(row.subscriber, FromWire(request.subscriber()));
  const std::shared_ptr<const Catalog> catalog = parts_.catalog.Get();
  if (row.subscriber.site.empty()) {
    const Catalog::Site* site = catalog->SiteOf(row.subscriber.router);
    if (site == nullptr) {
      return absl::InvalidArgumentError("subscriber: needs a site_id or a known router_id");
    }
    row.subscriber.site = site->id;
  }
  NS_RETURN_IF_ERROR(RequireSite(*catalog, row.subscriber.site).status());
  row.quota_id = request.quota_id().empty() ? "default" : request.quota_id();
  const bool known = std::any_of(catalog->quotas.begin(), catalog->quotas.end(),
                                 [&](const quota::Rule& rule) { return rule.id == row.quota_id; });
  if (!known) {
    return absl::NotFoundError(
        absl::StrCat("there is no quota \"", row.quota_id,
                     "\" in the configuration; it must be named there before "
                     "a subscriber can have a limit of its own"));
  }
  if (request.limit_bytes() > base::kMaxStoredBytes) {
    return absl::InvalidArgumentError("limit_bytes: more than 2^63-1");
  }
  const int meanings = (request.remove() ? 1 : 0) + (request.unlimited() ? 1 : 0) +
                       (request.limit_bytes() > 0 ? 1 : 0);
  if (meanings != 1) {
    return absl::InvalidArgumentError(
        "give exactly one of limit_bytes (at least 1), unlimited and remove");
  }
  const std::optional<store::Fence> fence = parts_.fence();
  if (!fence.has_value()) {
    return absl::UnavailableError("this aggregator is not the active one; ask the active one");
  }
  row.limit_bytes = request.limit_bytes();
  row.unlimited = request.unlimited();
  row.changed_at_us = audit.at_us;
  row.changed_by = audit.name;
  audit.action = request.remove() ? "quota.remove" : "quota.set";
  audit.subject = SubjectOf(row);
  const absl::Status changed = parts_.store.Ask([&](store::Store& store) -> absl::Status {
    if (request.remove()) NS_RETURN_IF_ERROR(CheckThereIsOne(store, row));
    return Change(store, *fence, row, request.remove(), audit);
  });
  // After an unknown outcome too: the engine reads what is there.
  if (changed.ok() || absl::IsUnknown(changed)) parts_.overrides_changed();
  NS_RETURN_IF_ERROR(changed);
  if (!request.remove()) *response.mutable_quota_override() = ToWire(row);
  return absl::OkStatus();
}

grpc::Status GrpcAdminService::ListQuotas(grpc::ServerContext* context,
                                          const v1::ListQuotasRequest* request,
                                          v1::ListQuotasResponse* response) {
  const absl::StatusOr<rpc::PeerIdentity> caller = parts_.authority.RequireRole(
      *context, {rpc::Role::kViewer, rpc::Role::kOperator, rpc::Role::kAdmin});
  if (!caller.ok()) return rpc::ToGrpc(caller.status());
  return rpc::ToGrpc(List(*request, *response));
}

absl::Status GrpcAdminService::List(const v1::ListQuotasRequest& request,
                                    v1::ListQuotasResponse& response) {
  NS_ASSIGN_OR_RETURN(const std::size_t limit,
                      rpc::RowLimit(request.limit(), kOverridesMax, kOverridesDefault));
  NS_ASSIGN_OR_RETURN(std::vector<store::QuotaOverrideRow> rows,
                      parts_.store.Ask([](store::Store& store) { return store.QuotaOverrides(); }));
  std::sort(rows.begin(), rows.end(),
            [](const store::QuotaOverrideRow& left, const store::QuotaOverrideRow& right) {
              return std::tie(left.subscriber, left.quota_id) <
                     std::tie(right.subscriber, right.quota_id);
            });
  auto row = rows.begin();
  if (request.has_after()) {
    NS_ASSIGN_OR_RETURN(const accounting::SubscriberKey subscriber,
                        FromWire(request.after().subscriber()));
    const auto last = std::tie(subscriber, request.after().quota_id());
    row = std::upper_bound(rows.begin(), rows.end(), last,
                           [](const auto& key, const store::QuotaOverrideRow& one) {
                             return key < std::tie(one.subscriber, one.quota_id);
                           });
  } else {
    for (const quota::Rule& rule : parts_.catalog.Get()->quotas) {
      *response.add_quotas() = ToWire(rule);
    }
  }
  for (; row != rows.end() && limit > static_cast<std::size_t>(response.overrides_size()); ++row) {
    *response.add_overrides() = ToWire(*row);
  }
  response.set_more(row != rows.end());
  return absl::OkStatus();
}

}  // namespace netsentinel::query
