#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/server_context.h>

#include "aggregator/query/grpc_admin_service.h"
#include "tests/unit/aggregator/query/administration_fixture.h"

namespace netsentinel::query {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The service over a store whose changes of quotas can be made to end as they should not.
class AdminServiceTest : public AdministrationFixture {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(AdministrationFixture::SetUp());
    Catalog catalog;
    catalog.sites.push_back({base::SiteId("lab"), "UTC", "00:00", {base::RouterId("r1")}});
    quota::Rule rule;
    rule.id = "default";
    catalog.quotas.push_back(rule);
    catalog_.Set(std::move(catalog));
  }
  grpc::Status Set(std::uint64_t limit_bytes, bool remove = false) {
    v1::SetQuotaRequest request;
    request.mutable_subscriber()->set_router_id("r1");
    request.mutable_subscriber()->mutable_name()->set_name("alice");
    request.set_limit_bytes(limit_bytes);
    request.set_remove(remove);
    grpc::ServerContext context;
    v1::SetQuotaResponse response;
    return service_.SetQuota(&context, &request, &response);
  }
  static store::AuditRow TakenBack(const std::string& entry_id) {
    store::AuditRow row;
    row.entry_id = entry_id;
    row.action = "quota.remove";
    return row;
  }
  std::vector<store::QuotaOverrideRow> Stored() {
    auto rows = other_->QuotaOverrides();
    EXPECT_THAT(rows, test::IsOk());
    return rows.value_or(std::vector<store::QuotaOverrideRow>());
  }

  CatalogHolder catalog_;
  base::SeededRandom random_{1};
  int changes_ = 0;
  GrpcAdminService service_{{.store = slot_,
                             .catalog = catalog_,
                             .clock = clock_,
                             .random = random_,
                             .authority = caller_.authority(),
                             .fence = [this] { return fence_; },
                             .overrides_changed = [this] { ++changes_; }}};
};

TEST_F(AdminServiceTest, ALimitWhoseCommitNobodySawIsSetWhenTheCallerIsToldSo) {
  for (const bool stores : {true, false}) {
    SCOPED_TRACE(stores);
    flaky_->FailQuota(absl::UnknownError("the connection died"), stores, 1);
    const std::uint64_t limit = stores ? 4000 : 5000;
    EXPECT_TRUE(Set(limit).ok());
    ASSERT_THAT(Stored(), SizeIs(1));
    EXPECT_EQ(Stored()[0].limit_bytes, limit);
  }
  EXPECT_EQ(changes_, 2);
  flaky_->FailQuota(absl::UnknownError("the connection died"), false, 1);
  EXPECT_TRUE(Set(0, /*remove=*/true).ok());
  EXPECT_THAT(Stored(), IsEmpty());
}

TEST_F(AdminServiceTest, AChangeIsInTheAuditLogOnceAlsoWhenItWasMadeTwiceForALostAnswer) {
  flaky_->FailQuota(absl::UnknownError("the connection died"), /*stores=*/true, 1);
  v1::SetQuotaRequest request;
  request.mutable_subscriber()->set_router_id("r1");
  request.mutable_subscriber()->mutable_name()->set_name(
      "al\xff"
      "ce");
  request.set_limit_bytes(4096);
  request.set_reason("paid for more");
  request.set_on_behalf_of("the front desk");
  grpc::ServerContext context;
  v1::SetQuotaResponse response;
  ASSERT_TRUE(service_.SetQuota(&context, &request, &response).ok());
  ASSERT_OK_AND_ASSIGN(const std::vector<store::AuditRow> rows, other_->AuditLog({}));
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].at_us, absl::ToUnixMicros(clock_.WallNow()));
  EXPECT_EQ(rows[0].program, "aggregator");
  EXPECT_EQ(rows[0].role, "local");
  EXPECT_EQ(rows[0].action, "quota.set");
  EXPECT_EQ(rows[0].subject, "quota default of al\\xFFce at site lab on router r1");
  EXPECT_EQ(rows[0].before, "as configured");
  EXPECT_EQ(rows[0].after, "4.00 KiB (4096 bytes)");
  EXPECT_EQ(rows[0].reason, "paid for more");
  EXPECT_EQ(rows[0].on_behalf_of, "the front desk");
  EXPECT_EQ(rows[0].entry_id.size(), 36u);
}

TEST_F(AdminServiceTest, ExactlyOneOfLimitRemovalAndNoLimitIsTaken) {
  const auto set = [&](std::uint64_t limit, bool remove, bool unlimited) {
    v1::SetQuotaRequest request;
    request.mutable_subscriber()->set_router_id("r1");
    request.mutable_subscriber()->mutable_name()->set_name("alice");
    request.set_limit_bytes(limit);
    request.set_remove(remove);
    request.set_unlimited(unlimited);
    grpc::ServerContext context;
    v1::SetQuotaResponse response;
    return service_.SetQuota(&context, &request, &response).error_code();
  };
  EXPECT_EQ(set(0, false, false), grpc::INVALID_ARGUMENT) << "a limit of nothing";
  EXPECT_EQ(set(1, true, false), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(set(1, false, true), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(set(0, true, true), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(Stored(), IsEmpty());
  EXPECT_EQ(set(1, false, false), grpc::OK);
  EXPECT_EQ(set(0, false, true), grpc::OK);
  EXPECT_EQ(set(0, true, false), grpc::OK);
  EXPECT_THAT(Stored(), IsEmpty());
}

TEST_F(AdminServiceTest, ARemovalOfWhatIsNotThereIsSaidAndWrittenNowhere) {
  const grpc::Status status = Set(0, /*remove=*/true);
  EXPECT_EQ(status.error_code(), grpc::NOT_FOUND);
  EXPECT_THAT(status.error_message(),
              testing::HasSubstr("there was no quota default of alice at site lab"));
  ASSERT_OK_AND_ASSIGN(const std::vector<store::AuditRow> rows, other_->AuditLog({}));
  EXPECT_THAT(rows, IsEmpty());
  EXPECT_EQ(changes_, 0);
}

TEST_F(AdminServiceTest, AReasonThatIsTooLongIsRefusedBeforeAnythingIsChanged) {
  v1::SetQuotaRequest request;
  request.mutable_subscriber()->set_router_id("r1");
  request.mutable_subscriber()->mutable_name()->set_name("alice");
  request.set_limit_bytes(1);
  request.set_reason(std::string(1'025, 'r'));
  grpc::ServerContext context;
  v1::SetQuotaResponse response;
  EXPECT_EQ(service_.SetQuota(&context, &request, &response).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(Stored(), IsEmpty());
}

TEST_F(AdminServiceTest, AnOutcomeThatStaysUnknownIsSaidToBeUnknown) {
  for (const bool stores : {true, false}) {
    SCOPED_TRACE(stores);
    flaky_->FailQuota(absl::UnknownError("the connection died"), stores, 2);
    const grpc::Status status = Set(4000);
    EXPECT_EQ(status.error_code(), grpc::UNKNOWN);
    EXPECT_THAT(status.error_message(),
                AllOf(HasSubstr("quota default of alice was set: nobody knows yet"),
                      HasSubstr("`netsentinelctl quota list`"), HasSubstr("the connection died")));
    ASSERT_THAT(
        other_->RemoveQuotaOverride(*fence_, {base::SiteId("lab"), base::RouterId("r1"), "alice"},
                                    "default", TakenBack(stores ? "first" : "second")),
        test::IsOk());
  }
  // Whatever is there counts.
  EXPECT_EQ(changes_, 2);
}

TEST_F(AdminServiceTest, ARefusalThatIsKnownIsNotTriedAgain) {
  flaky_->FailQuota(absl::UnavailableError("the database is away"), false, 1);
  const grpc::Status status = Set(4000);
  EXPECT_EQ(status.error_code(), grpc::UNAVAILABLE);
  EXPECT_THAT(Stored(), IsEmpty());
  EXPECT_EQ(changes_, 0);
}

// Names of bytes on both sides of ASCII, on two routers, that the store gives in no order: pages of
// every size give every override once and in order, and the configured quotas once.
TEST_F(AdminServiceTest, OverridesComeInPages) {
  std::vector<std::string> all;
  std::vector<store::QuotaOverrideRow> rows;
  for (const char* router : {"", "r1", "r2"}) {
    for (const char* name : {"Z", "a", "a b", "\xff"}) {
      rows.push_back(
          {{base::SiteId("lab"), base::RouterId(router), name}, "default", 4, false, 1, "o"});
      all.push_back(absl::StrCat(router, "/", name));
    }
  }
  std::rotate(rows.begin(), rows.begin() + 5, rows.end());
  std::reverse(rows.begin(), rows.begin() + 4);
  flaky_->GiveOverrides(rows);
  for (const std::uint32_t limit : {0U, 1U, 5U, 12U, 10'000U}) {
    SCOPED_TRACE(limit);
    std::vector<std::string> seen;
    v1::ListQuotasRequest request;
    request.set_limit(limit);
    int quotas = 0;
    for (bool more = true; more;) {
      grpc::ServerContext context;
      v1::ListQuotasResponse page;
      ASSERT_TRUE(service_.ListQuotas(&context, &request, &page).ok());
      more = page.more();
      quotas += page.quotas_size();
      ASSERT_GT(page.overrides_size(), 0);
      EXPECT_LE(page.overrides_size(), limit > 0 ? static_cast<int>(limit) : 12);
      for (const v1::QuotaOverride& one : page.overrides()) {
        seen.push_back(
            absl::StrCat(one.subscriber().router_id(), "/", one.subscriber().name().name()));
      }
      *request.mutable_after() = *page.overrides().rbegin();
    }
    EXPECT_EQ(seen, all);
    EXPECT_EQ(quotas, 1);
  }
}

TEST_F(AdminServiceTest, APageHasAThousandOverridesUnlessAskedOtherwise) {
  std::vector<store::QuotaOverrideRow> rows;
  for (int i = 0; i < 1'001; ++i) {
    rows.push_back({{base::SiteId("lab"), base::RouterId("r1"), absl::StrCat("u", i)},
                    "default",
                    4,
                    false,
                    1,
                    "o"});
  }
  flaky_->GiveOverrides(rows);
  grpc::ServerContext context;
  v1::ListQuotasRequest request;
  v1::ListQuotasResponse page;
  ASSERT_TRUE(service_.ListQuotas(&context, &request, &page).ok());
  EXPECT_EQ(page.overrides_size(), 1'000);
  EXPECT_TRUE(page.more());
}

TEST_F(AdminServiceTest, APageThatCannotBeIsRefusedInWords) {
  v1::ListQuotasRequest request;
  request.set_limit(10'001);
  grpc::ServerContext context;
  v1::ListQuotasResponse page;
  grpc::Status status = service_.ListQuotas(&context, &request, &page);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("limit: 10001 is more than 10000"));
  request.set_limit(1);
  request.mutable_after()->set_quota_id("default");
  status = service_.ListQuotas(&context, &request, &page);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("needs a name"));
}

}  // namespace
}  // namespace netsentinel::query
