#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/store/migration.h"
#include "aggregator/store/store.h"
#include "common/base/status_macros.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::store {

// A database of one engine for one test: no rows in it, and no tables or those of the schema.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual absl::StatusOr<std::unique_ptr<StoreFactory>> Open() = 0;
  // A statement behind the store's back.
  virtual absl::Status Sql(const std::string& statement) = 0;
  // How Open changes an older schema.
  MigrationHooks migration;
};

// With true the database holds no table yet.
using MakeBackend = std::unique_ptr<Backend> (*)(bool fresh);

// Everything that a starting aggregator reads.
struct Stored : RecoveredState {
  std::vector<JournalRow> journal;
};

inline absl::StatusOr<Stored> ReadBack(Store& store) {
  Stored stored;
  NS_ASSIGN_OR_RETURN(static_cast<RecoveredState&>(stored),
                      store.Recover([] { return absl::OkStatus(); }));
  for (std::uint64_t last = 0;;) {
    NS_ASSIGN_OR_RETURN(std::vector<JournalRow> page, store.Journal(last, 64 << 10));
    if (page.empty()) return stored;
    last = page.back().journal_id;
    for (JournalRow& row : page) stored.journal.push_back(std::move(row));
  }
}

// What both engines promise: two stores on one database, the first with the lease.
class StoreContract : public testing::TestWithParam<MakeBackend> {
 protected:
  void SetUp() override {
    backend_ = GetParam()(false);
    ASSERT_OK_AND_ASSIGN(factory_, backend_->Open());
    ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(other_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store_->AcquireLease("first", absl::Minutes(5)));
    fence_ = lease.fence;
  }

  // Gives the lease up and closes everything.
  void Close() {
    ASSERT_THAT(store_->ReleaseLease("first", fence_), test::IsOk());
    store_.reset();
    other_.reset();
    factory_.reset();
  }
  // The database of a version that did not know when routers were read.
  void MakeOlder() {
    Close();
    ASSERT_THAT(backend_->Sql("DROP TABLE read_days"), test::IsOk());
    ASSERT_THAT(backend_->Sql("DROP TABLE first_readings"), test::IsOk());
    ASSERT_THAT(backend_->Sql("DELETE FROM schema_version WHERE version > 4"), test::IsOk());
  }

  std::unique_ptr<Backend> backend_;
  std::unique_ptr<StoreFactory> factory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Store> other_;
  Fence fence_;
};

// A name that is no UTF-8 and holds everything that a literal has to escape.
inline std::string HardName() { return std::string("q\0'\"\\\n\r\x1a\xff\xfe%_?", 14); }

inline JournalRow Journal(std::uint64_t id, std::uint64_t sequence,
                          const std::string& router = "r1", std::uint64_t lease_epoch = 1) {
  JournalRow row;
  row.journal_id = id;
  row.router = base::RouterId(router);
  row.position = {lease_epoch, "spool-0123456789", sequence};
  row.previous_sequence = sequence - 1;
  row.attribution_us = 1'767'225'600'000'000;
  row.received_us = 1'767'225'600'100'000;
  row.payload = "payload " + HardName() + std::to_string(id);
  return row;
}

inline CommitBatch JournalOnly(std::vector<JournalRow> rows) {
  CommitBatch batch;
  batch.journal = std::move(rows);
  return batch;
}

inline accounting::SubscriberKey Subscriber(const std::string& name) {
  return {base::SiteId("lahore"), base::RouterId("r1"), name};
}

inline QueueRow Queue(std::uint64_t id, const std::string& name, const std::string& router = "r1") {
  return {id, {base::RouterId(router), counters::Menu::kSimple, name}};
}

inline StoredUsage Usage(std::uint64_t id, absl::CivilDay day, std::uint64_t bytes) {
  StoredUsage usage;
  usage.queue_id = id;
  usage.subscriber_id = id;
  usage.row.day = day;
  usage.row.counted = {bytes, bytes + 1};
  usage.row.begin_inside = {2, 3};
  usage.row.begin_outside = {12, 13};
  usage.row.end_inside = {4, 5};
  usage.row.end_outside = {14, 15};
  usage.row.doubt = {6, 7};
  usage.row.unseen = {8, 9};
  usage.row.blind_us = 10;
  usage.row.observed_us = 11;
  usage.row.first_reading_us = 12;
  usage.row.last_reading_us = 13;
  usage.row.epochs = 14;
  usage.row.grade = accounting::Grade::kBounded;
  return usage;
}

inline AuditRow Audited(const std::string& entry_id, std::int64_t at_us = 5) {
  AuditRow row;
  row.entry_id = entry_id;
  row.at_us = at_us;
  row.program = "aggregator";
  row.role = "operator";
  row.name = "anna";
  row.serial = "0A1B";
  row.fingerprint = std::string(64, 'f');
  row.address = "10.0.0.7:51234";
  row.action = "quota.set";
  row.subject = "quota daily of ali";
  row.reason = "asked for";
  return row;
}

inline BreachRow Breach(const std::string& id, const std::string& subscriber = "ali",
                        const std::string& quota = "daily") {
  BreachRow row;
  row.breach_id = id;
  row.subscriber = Subscriber(subscriber);
  row.quota_id = quota;
  row.period_start = absl::CivilDay(2026, 1, 2);
  row.time_zone = "Asia/Karachi";
  row.basis = 3;
  row.limit_bytes = 1000;
  row.threshold_percent = 80;
  row.used = {400, 401};
  row.crossed_at_us = 77;
  return row;
}

// Two queues with their subscribers, numbers 1 and 2.
inline FlushBatch TwoQueues() {
  FlushBatch batch;
  batch.queues = {Queue(1, "ali"), Queue(2, HardName())};
  batch.subscribers = {{1, Subscriber("ali")}, {2, Subscriber(HardName())}};
  batch.next_queue_id = 3;
  batch.next_subscriber_id = 3;
  return batch;
}

// Four breaches wait in the outbox.
class OutboxContract : public StoreContract {
 protected:
  // b1 and b3 are of one pair, b2 of another quota, b4 of another subscriber.
  void SetUp() override {
    StoreContract::SetUp();
    CommitBatch batch;
    batch.breaches = {Breach("b1"), Breach("b2", "ali", "monthly"), Breach("b3"),
                      Breach("b4", HardName())};
    ASSERT_THAT(store_->Commit(fence_, batch), test::IsOk());
  }
  std::vector<std::string> Claim(const std::string& owner, std::size_t limit,
                                 absl::Duration claim_for = absl::Minutes(5)) {
    const absl::StatusOr<std::vector<OutboxClaim>> claims =
        store_->ClaimOutbox(fence_, owner, claim_for, limit);
    if (!claims.ok()) return {std::string(claims.status().message())};
    std::vector<std::string> ids;
    for (const OutboxClaim& claim : *claims) ids.push_back(claim.breach.breach_id);
    return ids;
  }
};

}  // namespace netsentinel::store
