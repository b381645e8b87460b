#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/server_context.h>

#include "aggregator/query/grpc_audit_service.h"
#include "tests/unit/aggregator/query/administration_fixture.h"

namespace netsentinel::query {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AuditServiceTest : public AdministrationFixture {
 protected:
  static std::string Uuid(int number) {
    return absl::StrFormat("00000000-0000-4000-8000-%012d", number);
  }
  static v1::AuditEntry Entry(int number) {
    v1::AuditEntry entry;
    entry.set_entry_id(Uuid(number));
    entry.set_at_us(number);
    entry.set_role("operator");
    entry.set_name("anna");
    entry.set_action("report.send");
    return entry;
  }
  grpc::Status Record(const std::vector<v1::AuditEntry>& entries) {
    v1::RecordAuditEntriesRequest request;
    for (const v1::AuditEntry& entry : entries) *request.add_entries() = entry;
    grpc::ServerContext context;
    v1::RecordAuditEntriesResponse response;
    return service_.RecordAuditEntries(&context, &request, &response);
  }
  v1::ListAuditEntriesResponse List(const v1::ListAuditEntriesRequest& request) {
    grpc::ServerContext context;
    v1::ListAuditEntriesResponse response;
    const grpc::Status status = service_.ListAuditEntries(&context, &request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }

  GrpcAuditService service_{
      {.store = slot_, .authority = caller_.authority(), .fence = [this] { return fence_; }}};
};

TEST_F(AuditServiceTest, PagesGiveEveryEntryOnceNewestFirst) {
  std::vector<v1::AuditEntry> entries;
  for (int number = 1; number <= 7; ++number) entries.push_back(Entry(number));
  ASSERT_TRUE(Record(entries).ok());
  v1::ListAuditEntriesRequest request;
  request.set_limit(3);
  std::vector<std::int64_t> seen;
  std::vector<int> pages;
  for (bool more = true; more;) {
    const v1::ListAuditEntriesResponse page = List(request);
    pages.push_back(page.entries_size());
    for (const v1::AuditEntry& entry : page.entries()) seen.push_back(entry.at_us());
    more = page.more();
    request.set_before_id(page.entries().rbegin()->audit_id());
  }
  EXPECT_THAT(seen, ElementsAre(7, 6, 5, 4, 3, 2, 1));
  EXPECT_THAT(pages, ElementsAre(3, 3, 1));
  request.set_limit(1'001);
  grpc::ServerContext context;
  v1::ListAuditEntriesResponse response;
  EXPECT_EQ(service_.ListAuditEntries(&context, &request, &response).error_code(),
            grpc::INVALID_ARGUMENT);
}

TEST_F(AuditServiceTest, ABringerCannotPassAnEntryOffAsTheAggregatorsOrTakeItsIds) {
  v1::AuditEntry forged = Entry(1);
  forged.set_program("aggregator");
  forged.set_stored_at_us(1);
  forged.set_audit_id(99);
  ASSERT_TRUE(Record({forged}).ok());
  const v1::ListAuditEntriesResponse page = List({});
  ASSERT_EQ(page.entries_size(), 1);
  EXPECT_EQ(page.entries(0).program(), "notifier");
  EXPECT_GT(page.entries(0).stored_at_us(), 1);
  EXPECT_EQ(page.entries(0).audit_id(), 1u);
  for (const char* id : {"policy-1", "", "00000000-0000-4000-8000-00000000000",
                         "00000000-0000-4000-8000-00000000000g"}) {
    forged.set_entry_id(id);
    EXPECT_EQ(Record({forged}).error_code(), grpc::INVALID_ARGUMENT) << id;
  }
}

TEST_F(AuditServiceTest, RepeatingACallStoresNothingTwiceAndTooManyAreRefused) {
  ASSERT_TRUE(Record({Entry(1), Entry(2)}).ok());
  ASSERT_TRUE(Record({Entry(2), Entry(3)}).ok());
  EXPECT_EQ(List({}).entries_size(), 3);
  std::vector<v1::AuditEntry> many;
  for (int number = 10; number < 111; ++number) many.push_back(Entry(number));
  EXPECT_EQ(Record(many).error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_EQ(List({}).entries_size(), 3);
}

TEST_F(AuditServiceTest, AStandbyTakesNoEntriesAndSaysSo) {
  const std::optional<store::Fence> fence = fence_;
  fence_.reset();
  EXPECT_EQ(Record({Entry(1)}).error_code(), grpc::UNAVAILABLE);
  EXPECT_EQ(List({}).entries_size(), 0);
  fence_ = fence;
  EXPECT_TRUE(Record({Entry(1)}).ok());
}

}  // namespace
}  // namespace netsentinel::query
