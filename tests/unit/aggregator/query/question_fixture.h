#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include <grpcpp/server_context.h>

#include "aggregator/query/grpc_usage_service.h"
#include "aggregator/store/sqlite_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/local_caller.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

namespace netsentinel::query {

// The service over a store and a book of two sites. "site" (UTC) has the routers r1 and r2, "east"
// (Asia/Karachi, five hours ahead) has e1. It is 2026-01-03, 21:00 at "site": the 4th at "east".
class QuestionFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(auto store, factory_->Connect());
    slot_.Fill(std::move(store));
    ASSERT_OK_AND_ASSIGN(auto history, factory_->Connect());
    history_slot_.Fill(std::move(history));
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Hours(1)));
    fence_ = lease.fence;
    catalog_.Set({{{site_, "UTC", "00:00", {r1_, r2_}},
                   {east_, "Asia/Karachi", "00:00", {base::RouterId("e1")}}},
                  {}});
    driver_.policy.sites.push_back(
        {east_, accounting::Zone("Asia/Karachi"), absl::ZeroDuration(), {}});
    AddRouter(r2_, site_);
    AddRouter(base::RouterId("e1"), east_);
    clock_.Advance(absl::Hours(2 * 24 + 21));
  }
  void AddRouter(const base::RouterId& id, const base::SiteId& site) {
    accounting::RouterSettings router = driver_.policy.routers[0];
    router.id = id;
    router.site = site;
    driver_.policy.routers.push_back(router);
  }
  void Commit(const store::CommitBatch& batch) {
    ASSERT_THAT(store_->Commit(fence_, batch), test::IsOk());
  }
  // Everything is counted; from here on it is asked.
  void Serve() { shared_.Replace(std::make_unique<accounting::Book>(std::move(driver_.book))); }

  template <typename Request, typename Response>
  Response Ask(grpc::Status (GrpcUsageService::*call)(grpc::ServerContext*, const Request*,
                                                      Response*),
               const Request& request) {
    grpc::ServerContext context;
    Response response;
    status_ = (service_.*call)(&context, &request, &response);
    return response;
  }
  v1::GetRankingResponse Ranking(const std::string& first, const std::string& last,
                                 const std::string& site = "site",
                                 v1::StandingState at_least = v1::STANDING_STATE_UNSPECIFIED,
                                 std::uint32_t limit = 0) {
    v1::GetRankingRequest request;
    request.set_site_id(site);
    request.set_first_day(first);
    request.set_last_day(last);
    request.set_at_least(at_least);
    request.set_limit(limit);
    return Ask(&GrpcUsageService::GetRanking, request);
  }

  const base::SiteId site_{"site"}, east_{"east"};
  const base::RouterId r1_{"r1"}, r2_{"r2"};
  test::TempFolder folder_;
  test::FakeClock clock_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::Store> store_;
  StoreSlot slot_, history_slot_;
  store::Fence fence_;
  accounting::BookDriver driver_;
  ingest::SharedBook shared_;
  CatalogHolder catalog_;
  UsageReader reader_{shared_, slot_, history_slot_, catalog_, clock_};
  const ingest::RouterBoard board_;
  test::LocalCaller caller_{clock_};
  GrpcUsageService service_{reader_, board_, caller_.authority(), [] { return absl::OkStatus(); }};
  grpc::Status status_;
};

}  // namespace netsentinel::query
