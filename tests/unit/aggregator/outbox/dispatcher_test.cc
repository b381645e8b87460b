#include "aggregator/outbox/dispatcher.h"

#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/store/sqlite_store.h"
#include "common/base/random.h"
#include "tests/support/child_process.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::outbox {
namespace {

using ::testing::ElementsAre;

std::string Id(int number) { return absl::StrFormat("%064x", number); }

// Does what the script says, then takes everything.
class ScriptedSink final : public AlertSink {
 public:
  using Step = std::function<absl::StatusOr<AlertReceipt>(const std::vector<std::string>& ids)>;
  explicit ScriptedSink(std::deque<Step> script) : script_(std::move(script)) {}

  absl::StatusOr<AlertReceipt> Deliver(absl::Span<const store::OutboxClaim> breaches,
                                       absl::Duration) override {
    std::vector<std::string> ids;
    for (const store::OutboxClaim& claim : breaches) ids.push_back(claim.breach.breach_id);
    base::MutexLock lock(mutex_);
    offers_.push_back(ids);
    if (script_.empty()) return AlertReceipt{.accepted_ids = ids, .rejected_ids = {}};
    const Step step = std::move(script_.front());
    script_.pop_front();
    return step(ids);
  }
  void Cancel() override {}
  std::vector<std::vector<std::string>> offers() const {
    base::MutexLock lock(mutex_);
    return offers_;
  }

 private:
  mutable base::Mutex mutex_;
  std::deque<Step> script_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::vector<std::string>> offers_ ABSL_GUARDED_BY(mutex_);
};

class DispatcherTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto factory = store::OpenSqliteStore(folder_.path() + "/store.db");
    ASSERT_TRUE(factory.ok()) << factory.status();
    factory_ = *std::move(factory);
    ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Minutes(5)));
    fence_ = lease.fence;
    store::CommitBatch batch;
    for (int number = 1; number <= 2; ++number) {
      store::BreachRow row;
      row.breach_id = Id(number);
      row.subscriber = {base::SiteId("lab"), base::RouterId("r1"), absl::StrCat("user-", number)};
      row.quota_id = "default";
      row.period_start = absl::CivilDay(2026, 3, 26);
      row.time_zone = "UTC";
      batch.breaches.push_back(row);
    }
    ASSERT_THAT(store_->Commit(fence_, batch), test::IsOk());
  }

  // Runs a dispatcher until every breach has one of the given deliveries (by id).
  bool RunUntil(ScriptedSink& sink, const std::vector<int>& deliveries) {
    auto connection = factory_->Connect();
    base::SeededRandom random(1);
    Dispatcher dispatcher(
        **connection, sink, random,
        {.owner = "me",
         .batch_bytes = batch_bytes_,
         .claim_for = absl::Minutes(5),
         .idle = absl::Milliseconds(20),
         .backoff = {.initial = absl::Milliseconds(5), .maximum = absl::Milliseconds(50)}},
        [](const absl::Status&, std::uint64_t) {});
    dispatcher.SetFence(fence_);
    std::thread thread([&] { dispatcher.Run(); });
    const bool reached = test::WaitUntil([&] {
      const auto rows = store_->Breaches({}, 10);
      if (!rows.ok() || rows->breaches.size() != deliveries.size()) return false;
      for (const store::BreachRow& row : rows->breaches) {
        const std::size_t index = row.breach_id == Id(1) ? 0 : 1;
        if (row.delivery != deliveries[index]) return false;
      }
      return true;
    });
    dispatcher.Stop();
    thread.join();
    return reached;
  }

  std::size_t batch_bytes_ = 1 << 20;
  test::TempFolder folder_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::Store> store_;
  store::Fence fence_;
};

const auto kDown = [](const std::vector<std::string>&) -> absl::StatusOr<AlertReceipt> {
  return absl::UnavailableError("down");
};

TEST_F(DispatcherTest, OffersEverythingAgainUntilTheNotifierIsThere) {
  ScriptedSink sink({kDown, kDown});
  EXPECT_TRUE(RunUntil(sink, {2, 2}));
  EXPECT_THAT(sink.offers().back(), ElementsAre(Id(1), Id(2)));
  EXPECT_EQ(sink.offers().size(), 3U);
}

TEST_F(DispatcherTest, OffersFewerAtOnceWhenTheNotifierFindsABatchTooLarge) {
  ScriptedSink sink({[](const auto&) -> absl::StatusOr<AlertReceipt> {
    return absl::ResourceExhaustedError("too large");
  }});
  EXPECT_TRUE(RunUntil(sink, {2, 2}));
  EXPECT_THAT(sink.offers(),
              ElementsAre(ElementsAre(Id(1), Id(2)), ElementsAre(Id(1)), ElementsAre(Id(2))));
}

TEST_F(DispatcherTest, CutsABatchByItsBytes) {
  batch_bytes_ = 1500;
  ScriptedSink sink({});
  EXPECT_TRUE(RunUntil(sink, {2, 2}));
  EXPECT_THAT(sink.offers(), ElementsAre(ElementsAre(Id(1)), ElementsAre(Id(2))));
}

TEST_F(DispatcherTest, OffersOnlyTheRestAfterAPartialReceipt) {
  ScriptedSink sink({[](const auto&) -> absl::StatusOr<AlertReceipt> {
    return AlertReceipt{.accepted_ids = {Id(1), "not asked about"}, .rejected_ids = {}};
  }});
  EXPECT_TRUE(RunUntil(sink, {2, 2}));
  EXPECT_THAT(sink.offers(), ElementsAre(ElementsAre(Id(1), Id(2)), ElementsAre(Id(2))));
}

TEST_F(DispatcherTest, ParksWhatCanNeverBeTaken) {
  ScriptedSink sink({[](const auto&) -> absl::StatusOr<AlertReceipt> {
    return AlertReceipt{.accepted_ids = {Id(2)}, .rejected_ids = {{Id(1), "no such quota"}}};
  }});
  EXPECT_TRUE(RunUntil(sink, {3, 2}));
  EXPECT_EQ(sink.offers().size(), 1U);
}

TEST_F(DispatcherTest, TakesOverWhatAnotherClaimedWhenTheClaimRunsOut) {
  ASSERT_OK_AND_ASSIGN(const auto claims,
                       store_->ClaimOutbox(fence_, "gone", absl::Milliseconds(300), 10));
  ASSERT_EQ(claims.size(), 2U);
  ScriptedSink sink({});
  EXPECT_TRUE(RunUntil(sink, {2, 2}));
}

}  // namespace
}  // namespace netsentinel::outbox
