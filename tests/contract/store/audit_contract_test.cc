// The audit log.
#include <string>
#include <vector>

#include "gmock/gmock.h"

#include "tests/contract/store/store_contract.h"

namespace netsentinel::store {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> Ids(const absl::StatusOr<std::vector<AuditRow>>& rows) {
  if (!rows.ok()) return {std::string(rows.status().message())};
  std::vector<std::string> ids;
  for (const AuditRow& row : *rows) ids.push_back(row.entry_id);
  return ids;
}

TEST_P(StoreContract, AnAuditRowComesBackAsItWasGivenNewestFirst) {
  AuditRow row = Audited("11111111-2222-4333-8444-555555555555", 77);
  row.program = "notifier main";
  row.on_behalf_of = "the manager ü";
  row.before = "a\\b'\"\n";
  row.after = "c";
  ASSERT_THAT(store_->AppendAudit(fence_, {row, Audited("second", 78)}), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditRow> rows, other_->AuditLog({}));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].entry_id, "second");
  AuditRow stored = rows[1];
  EXPECT_GT(stored.audit_id, 0u);
  EXPECT_LT(stored.audit_id, rows[0].audit_id);
  EXPECT_GT(stored.stored_at_us, 1'700'000'000'000'000);
  stored.audit_id = 0;
  stored.stored_at_us = 0;
  EXPECT_EQ(stored, row);
}

TEST_P(StoreContract, AnAuditEntryIsStoredOnceHoweverOftenItIsBrought) {
  ASSERT_THAT(store_->AppendAudit(fence_, {Audited("a")}), IsOk());
  AuditRow other = Audited("a");
  other.subject = "something else";
  ASSERT_THAT(store_->AppendAudit(fence_, {other, Audited("b"), Audited("b")}), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditRow> rows, other_->AuditLog({}));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[1].subject, Audited("a").subject);
}

TEST_P(StoreContract, AnAuditEntryWithoutAnIdOrWithOneThatIsTooLongIsRefusedAndNothingStored) {
  const auto refused = StatusIs(absl::StatusCode::kInvalidArgument, testing::_);
  EXPECT_THAT(store_->AppendAudit(fence_, {Audited("good"), Audited("")}), refused);
  EXPECT_THAT(store_->AppendAudit(fence_, {Audited(std::string(65, 'x'))}), refused);
  AuditRow row = Audited("a");
  row.name = std::string(65, 'n');
  EXPECT_THAT(store_->AppendAudit(fence_, {row}), refused);
  EXPECT_THAT(*store_->AuditLog({}), IsEmpty());
}

TEST_P(StoreContract, LongAndOddTextsOfAnAuditEntryAreCutAndEscapedRatherThanLost) {
  AuditRow row = Audited("a");
  row.reason = std::string(40'000, 'r') + "\xff";
  row.on_behalf_of = std::string(200, 'b');
  for (int i = 0; i < 40; ++i) row.on_behalf_of += "€";
  row.subject = HardName();
  ASSERT_THAT(store_->AppendAudit(fence_, {row}), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditRow> rows, other_->AuditLog({}));
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].reason.substr(0, 1'000), std::string(1'000, 'r'));
  EXPECT_LE(rows[0].on_behalf_of.size(), 255u);
  EXPECT_GE(rows[0].on_behalf_of.size(), 250u);
  EXPECT_NE(rows[0].subject.find("\\xFF"), std::string::npos) << rows[0].subject;
}

TEST_P(StoreContract, TheAuditLogIsAskedByTimeCallerActionAndPage) {
  std::vector<AuditRow> rows;
  for (int i = 1; i <= 6; ++i) rows.push_back(Audited(std::to_string(i), i * 10));
  rows[1].name = "bob";
  rows[2].on_behalf_of = "bob";
  rows[3].action = "report.send";
  rows[4].action = "quotas";
  rows[5].action = "quota.remove";
  ASSERT_THAT(store_->AppendAudit(fence_, rows), IsOk());
  EXPECT_THAT(Ids(other_->AuditLog({.from_us = 20, .to_us = 50})), ElementsAre("4", "3", "2"));
  EXPECT_THAT(Ids(other_->AuditLog({.who = "bob"})), ElementsAre("3", "2"));
  EXPECT_THAT(Ids(other_->AuditLog({.who = "bo"})), IsEmpty());
  EXPECT_THAT(Ids(other_->AuditLog({.action = "quota"})), ElementsAre("6", "3", "2", "1"));
  EXPECT_THAT(Ids(other_->AuditLog({.action = "quota.remove"})), ElementsAre("6"));
  EXPECT_THAT(Ids(other_->AuditLog({.action = "report.send", .limit = 1})), ElementsAre("4"));
  ASSERT_OK_AND_ASSIGN(const auto page, other_->AuditLog({.limit = 4}));
  ASSERT_THAT(page, SizeIs(4));
  EXPECT_THAT(Ids(other_->AuditLog({.before_id = page[3].audit_id, .limit = 4})),
              ElementsAre("2", "1"));
}

TEST_P(StoreContract, AChangedLimitLeavesARowWithWhatWasBeforeAndAfter) {
  const QuotaOverrideRow row{Subscriber(HardName()), "daily", 1024, false, 5, "anna"};
  ASSERT_THAT(store_->PutQuotaOverride(fence_, row, Audited("1")), IsOk());
  QuotaOverrideRow unlimited = row;
  unlimited.unlimited = true;
  ASSERT_THAT(store_->PutQuotaOverride(fence_, unlimited, Audited("2")), IsOk());
  ASSERT_THAT(store_->RemoveQuotaOverride(fence_, row.subscriber, "daily", Audited("3")), IsOk());
  ASSERT_THAT(store_->RemoveQuotaOverride(fence_, row.subscriber, "daily", Audited("4")), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditRow> rows, other_->AuditLog({}));
  ASSERT_THAT(rows, SizeIs(4));
  EXPECT_EQ(rows[3].before, "as configured");
  EXPECT_EQ(rows[3].after, "1.00 KiB (1024 bytes)");
  EXPECT_EQ(rows[2].before, "1.00 KiB (1024 bytes)");
  EXPECT_EQ(rows[2].after, "unlimited");
  EXPECT_EQ(rows[1].before, "unlimited");
  EXPECT_EQ(rows[1].after, "as configured");
  EXPECT_EQ(rows[0].before, "as configured");
  EXPECT_EQ(rows[0].after, "as configured");
  EXPECT_EQ(rows[0].name, "anna");
}

// A caller whose answer was lost asks again: by then somebody else may have changed it.
TEST_P(StoreContract, AChangeThatIsRepeatedUnderItsEntryIdIsNotMadeAgain) {
  const QuotaOverrideRow mine{Subscriber("ali"), "daily", 1, false, 5, "anna"};
  const QuotaOverrideRow later{Subscriber("ali"), "daily", 2, false, 6, "bob"};
  ASSERT_THAT(store_->PutQuotaOverride(fence_, mine, Audited("mine")), IsOk());
  ASSERT_THAT(store_->PutQuotaOverride(fence_, later, Audited("later")), IsOk());
  ASSERT_THAT(store_->PutQuotaOverride(fence_, mine, Audited("mine")), IsOk());
  ASSERT_THAT(store_->RemoveQuotaOverride(fence_, mine.subscriber, "daily", Audited("mine")),
              IsOk());
  EXPECT_EQ((*other_->QuotaOverrides())[0].limit_bytes, 2u);
  EXPECT_THAT(Ids(other_->AuditLog({})), ElementsAre("later", "mine"));
}

TEST_P(StoreContract, AChangeThatIsRefusedLeavesNoRowAndOneWithoutARowIsNotMade) {
  QuotaOverrideRow row{Subscriber("ali"), "daily", 1, false, 5, "anna"};
  EXPECT_THAT(store_->PutQuotaOverride(fence_, row, Audited("")),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
  EXPECT_THAT(*other_->QuotaOverrides(), IsEmpty());
  row.subscriber.name = std::string(3'000, 'n');
  EXPECT_FALSE(store_->PutQuotaOverride(fence_, row, Audited("a")).ok());
  EXPECT_THAT(*other_->AuditLog({}), IsEmpty());
}

TEST_P(StoreContract, AnImportedPolicyLeavesARow) {
  ASSERT_THAT(store_->ImportPolicy(fence_, "a: 1", 5), IsOk());
  ASSERT_THAT(store_->ImportPolicy(fence_, "a: 2", 6), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditRow> rows, other_->AuditLog({}));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].action, "policy.import");
  EXPECT_EQ(rows[0].before, "revision 1");
  EXPECT_EQ(rows[0].after, "revision 2");
  EXPECT_EQ(rows[0].address, "configuration file");
}

TEST_P(StoreContract, TheDatabaseItselfRefusesToChangeOrDeleteAnAuditRow) {
  ASSERT_THAT(store_->AppendAudit(fence_, {Audited("a"), Audited("b")}), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::vector<AuditRow> before, other_->AuditLog({}));
  for (const std::string& statement : std::vector<std::string>{
           "UPDATE audit_log SET reason = 'another'", "DELETE FROM audit_log",
           "DELETE FROM audit_log WHERE entry_id = 'a'",
           "REPLACE INTO audit_log SELECT audit_id, entry_id, at_us, stored_at_us, program,"
           " actor_role, actor_name, cert_serial, cert_sha256, address, on_behalf_of, action,"
           " subject, value_before, value_after, 'another' FROM audit_log WHERE entry_id = 'a'"}) {
    const absl::Status done = backend_->Sql(statement);
    EXPECT_FALSE(done.ok()) << statement;
    EXPECT_THAT(std::string(done.message()),
                testing::HasSubstr("rows of audit_log are never changed or deleted"))
        << statement;
  }
  EXPECT_EQ(*other_->AuditLog({}), before);
  // Adding goes on.
  EXPECT_THAT(store_->AppendAudit(fence_, {Audited("c")}), IsOk());
}

TEST_P(StoreContract, ADatabaseOfBeforeTheTriggersGetsThemAtTheNextStart) {
  ASSERT_THAT(store_->AppendAudit(fence_, {Audited("a")}), IsOk());
  ASSERT_THAT(backend_->Sql("DROP TRIGGER audit_log_no_update"), IsOk());
  ASSERT_THAT(backend_->Sql("UPDATE audit_log SET reason = 'another'"), IsOk());
  store_.reset();
  other_.reset();
  factory_.reset();
  ASSERT_OK_AND_ASSIGN(factory_, backend_->Open());
  EXPECT_FALSE(backend_->Sql("UPDATE audit_log SET reason = 'a third'").ok());
}

TEST_P(StoreContract, NoPurgeTakesAnAuditRow) {
  ASSERT_THAT(store_->AppendAudit(fence_, {Audited("old", 1)}), IsOk());
  ASSERT_THAT(store_->PurgeHistory(fence_, 1'900'000'000'000'000, 1'000), IsOk());
  ASSERT_THAT(store_->PurgeDaily(fence_, absl::CivilDay(2030, 1, 1), 1'000), IsOk());
  ASSERT_THAT(store_->PurgeMonthly(fence_, absl::CivilMonth(2030, 1), 1'000), IsOk());
  EXPECT_THAT(Ids(other_->AuditLog({})), ElementsAre("old"));
}

}  // namespace
}  // namespace netsentinel::store
