#include <memory>
#include <vector>

#include "notifier/delivery/grpc_notifier_service.h"
#include "tests/support/local_caller.h"
#include "tests/unit/notifier/delivery/desk_fixture.h"

namespace netsentinel::delivery {
namespace {

// The aggregator's audit log, which takes everything.
class TakingSink final : public audit::AuditSink {
 public:
  absl::Status Record(const std::vector<audit::AuditEntry>&) override { return absl::OkStatus(); }
};

class NotifierServiceTest : public DeskTest {
 protected:
  grpc::StatusCode ListedBy(rpc::Role role) {
    const test::LocalCaller caller(clock_, {role, "x", true});
    auto entries = audit::SqliteAuditQueue::Open(folder_.path() + "/audit.db", clock_);
    EXPECT_THAT(entries, test::IsOk());
    TakingSink sink;
    audit::AuditSender sender({**entries, sink, random_, logger_, readiness_,
                               liveness_.AddPulse("audit", absl::Hours(1))});
    audit::GrpcAuditDesk desk(caller.authority(), **entries, sender, clock_, random_, logger_);
    GrpcNotifierService service(caller.authority(), *queue_, *reports_, desk);
    grpc::ServerContext context;
    const v1::ListDeliveriesRequest request;
    v1::ListDeliveriesResponse response;
    return service.ListDeliveries(&context, &request, &response).error_code();
  }

  base::SeededRandom random_{1};
};

TEST_F(NotifierServiceTest, DeliveriesAreListedForOperatorsAndAdminsOnly) {
  for (const rpc::Role role : {rpc::Role::kOperator, rpc::Role::kAdmin}) {
    EXPECT_EQ(ListedBy(role), grpc::StatusCode::OK) << rpc::RoleName(role);
  }
  for (const rpc::Role role : {rpc::Role::kViewer, rpc::Role::kCollector, rpc::Role::kAggregator}) {
    EXPECT_EQ(ListedBy(role), grpc::StatusCode::PERMISSION_DENIED) << rpc::RoleName(role);
  }
}

}  // namespace
}  // namespace netsentinel::delivery
