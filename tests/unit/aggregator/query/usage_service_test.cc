#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <grpcpp/server_context.h>

#include "aggregator/query/grpc_usage_service.h"
#include "aggregator/store/sqlite_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/local_caller.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/accounting/book_driver.h"
#include "tests/unit/aggregator/ingest/flaky_store.h"

namespace netsentinel::query {
namespace {

using accounting::BookDriver;
using accounting::EpochReason;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The service over a book whose queues "q…" are all one subscriber's.
class UsageServiceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(auto store, factory_->Connect());
    auto flaky = std::make_unique<store::FlakyStore>(std::move(store));
    asked_ = flaky.get();
    slot_.Fill(std::move(flaky));
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Hours(1)));
    fence_ = lease.fence;
    Catalog catalog;
    catalog.sites.push_back({base::SiteId("site"), "UTC", "00:00", {base::RouterId("r1")}});
    catalog_.Set(std::move(catalog));
    driver_.policy.mapping.push_back(
        {counters::Menu::kSimple, {}, {}, "q.*", "all", {}, /*join_routers=*/true});
    driver_.Start();
    clock_.Advance(absl::Hours(30));
  }
  // Two days of three queues: on the first all move bytes and q1 is made anew, on the second only
  // q0 moves bytes.
  void TwoDays() {
    constexpr std::int64_t kSecondDay = accounting::kDay;
    Poll({{1, "q0"}, {2, "q1"}, {3, "q2"}}, 100);
    Poll({{1, "q0", 0, 10, 10}, {2, "q1", 0, 10, 10}, {3, "q2", 0, 10, 10}}, 3600);
    const accounting::Row q1{4, "q1", 0, 5, 5}, q2{3, "q2", 0, 10, 10};
    Poll({{1, "q0", 0, 10, 10}, q1, q2}, 7200);
    Poll({{1, "q0", 0, 10, 10}, q1, q2}, kSecondDay);
    Poll({{1, "q0", 0, 20, 20}, q1, q2}, kSecondDay + 3600);
    Poll({{1, "q0", 0, 20, 20}, q1, q2}, kSecondDay + 7200);
  }
  void Poll(const std::vector<accounting::Row>& rows, std::int64_t second) {
    driver_.Poll(rows, second, static_cast<std::uint64_t>(second) + 1000);
  }
  void Store(std::vector<accounting::EpochRecord> epochs) {
    store::CommitBatch batch;
    batch.epochs = std::move(epochs);
    ASSERT_THAT(store_->Commit(fence_, batch), test::IsOk());
  }
  static accounting::QueueKey Queue(const std::string& name) {
    return {base::RouterId("r1"), counters::Menu::kSimple, name};
  }
  v1::GetSubscriberUsageResponse Ask() {
    shared_.Replace(std::make_unique<accounting::Book>(std::move(driver_.book)));
    v1::GetSubscriberUsageRequest request;
    request.mutable_subscriber()->set_site_id("site");
    request.mutable_subscriber()->mutable_name()->set_name("all");
    request.set_first_day("2026-01-01");
    request.set_last_day("2026-01-02");
    grpc::ServerContext context;
    v1::GetSubscriberUsageResponse response;
    const grpc::Status status = service_.GetSubscriberUsage(&context, &request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  // "site/router/name", and whether it is active, of whoever has the name.
  std::vector<std::string> Find(const std::string& name, const std::string& site = "",
                                const std::string& router = "") {
    shared_.Replace(std::make_unique<accounting::Book>(std::move(driver_.book)));
    v1::FindSubscribersRequest request;
    request.mutable_subscriber()->set_site_id(site);
    request.mutable_subscriber()->set_router_id(router);
    request.mutable_subscriber()->mutable_name()->set_display_name(name);
    grpc::ServerContext context;
    v1::FindSubscribersResponse response;
    const grpc::Status status = service_.FindSubscribers(&context, &request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    EXPECT_FALSE(response.more());
    std::vector<std::string> found;
    for (const v1::FoundSubscriber& one : response.subscribers()) {
      const v1::SubscriberRef& who = one.subscriber();
      found.push_back(absl::StrCat(who.site_id(), "/", who.router_id(), "/", who.name().name(),
                                   one.active() ? " active" : ""));
    }
    shared_.Write([this](accounting::Book& book) { driver_.book = std::move(book); });
    return found;
  }
  // "queue reason" of a day's epochs.
  static std::vector<std::string> Epochs(const v1::DayUsage& day) {
    std::vector<std::string> epochs;
    for (const v1::Epoch& epoch : day.usage().epochs()) {
      epochs.push_back(
          absl::StrCat(epoch.queue().queue().name(), " ", static_cast<int>(epoch.reason())));
    }
    return epochs;
  }

  test::TempFolder folder_;
  test::FakeClock clock_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::Store> store_;
  store::FlakyStore* asked_ = nullptr;
  StoreSlot slot_, history_slot_;
  store::Fence fence_;
  BookDriver driver_;
  ingest::SharedBook shared_;
  CatalogHolder catalog_;
  UsageReader reader_{shared_, slot_, history_slot_, catalog_, clock_};
  const ingest::RouterBoard board_;
  const test::LocalCaller caller_{clock_};
  GrpcUsageService service_{reader_, board_, caller_.authority(), [] { return absl::OkStatus(); }};
};

TEST_F(UsageServiceTest, TheStoreIsAskedOnceADayAndOnlyForQueuesThatCanHaveEpochs) {
  TwoDays();
  Store(driver_.epochs);
  const v1::GetSubscriberUsageResponse response = Ask();
  ASSERT_THAT(response.days(), SizeIs(2));
  EXPECT_THAT(response.queues(), SizeIs(3));
  EXPECT_THAT(Epochs(response.days(0)), ElementsAre("q0 1", "q1 1", "q1 5", "q2 1"));
  EXPECT_THAT(Epochs(response.days(1)), IsEmpty());
  EXPECT_FALSE(response.epochs_left_out());
  EXPECT_THAT(asked_->epoch_calls(),
              ElementsAre(ElementsAre(Queue("q0"), Queue("q1"), Queue("q2"))));
}

// The router starts anew after the first day's last reading and is read again on the second day.
TEST_F(UsageServiceTest, AnEpochBetweenADaysLastReadingAndMidnightIsThatDays) {
  constexpr std::int64_t kMidnight = accounting::kDay;
  Poll({{1, "q0"}}, 100);
  Poll({{1, "q0", 0, 10, 10}}, kMidnight - 600);
  driver_.session = 2;
  driver_.Poll({{1, "q0", 0, 7, 7}}, kMidnight + 300, 600);
  Store(driver_.epochs);
  const v1::GetSubscriberUsageResponse response = Ask();
  ASSERT_THAT(response.days(), SizeIs(2));
  EXPECT_THAT(Epochs(response.days(0)), ElementsAre("q0 1", "q0 3"));
  EXPECT_EQ(response.days(0).usage().epochs(1).start_us(),
            BookDriver::kStartUs + (kMidnight - 300) * 1'000'000);
  EXPECT_THAT(Epochs(response.days(1)), IsEmpty());
}

// Names are whole and raw; a limit alone makes nobody seen.
TEST_F(UsageServiceTest, FindsWhoeverHasTheName) {
  driver_.policy.overrides.push_back(
      {{base::SiteId("site"), base::RouterId("r1"), "ghost"}, "default", {}});
  driver_.Start();
  Poll({{1, "alice"}, {2, "alice "}, {3, "caf\xE9"}, {4, "q0"}}, 100);
  EXPECT_THAT(Find("alice"), ElementsAre("site/r1/alice active"));
  EXPECT_THAT(Find("caf\\xE9", "site", "r1"), ElementsAre("site/r1/caf\xE9 active"));
  EXPECT_THAT(Find("all"), ElementsAre("site//all active"));
  EXPECT_THAT(Find("alice", "elsewhere"), IsEmpty());
  EXPECT_THAT(Find("alice", "", "r2"), IsEmpty());
  EXPECT_THAT(Find("ghost"), IsEmpty());
  EXPECT_THAT(Find("ali"), IsEmpty());
}

// Bytes once counted keep a subscriber known; a rule alone makes nobody known.
TEST_F(UsageServiceTest, WhoCountsNowIsTold) {
  Poll({{1, "alice"}, {2, "idle"}, {3, "bob"}}, 100);
  Poll({{1, "alice", 0, 10, 10}, {2, "idle"}, {3, "bob", 0, 10, 10}}, 3600);
  driver_.Flush(3601);
  Poll({{1, "alice", 0, 20, 20}, {2, "idle"}}, 3700);
  EXPECT_THAT(Find("bob"), ElementsAre("site/r1/bob"));
  EXPECT_THAT(Find("idle"), ElementsAre("site/r1/idle active"));
  driver_.policy.mapping.push_back(
      {counters::Menu::kSimple, {}, {}, "(alice|bob|idle)", "$1", {}, /*join_routers=*/true});
  driver_.SetPolicy(3800);
  EXPECT_THAT(Find("alice"), ElementsAre("site//alice active", "site/r1/alice"));
  EXPECT_THAT(Find("bob"), ElementsAre("site/r1/bob"));
  EXPECT_THAT(Find("idle"), ElementsAre("site//idle active"));
  // An idle queue with a new name causes nothing but is there.
  Poll({{1, "alice", 0, 20, 20}, {2, "carol"}}, 3900);
  EXPECT_THAT(Find("carol"), ElementsAre("site/r1/carol active"));
  driver_.policy.routers.clear();
  driver_.SetPolicy(4000);
  EXPECT_THAT(Find("alice"), ElementsAre("site/r1/alice"));
  // Its `.id` may have been used again, so that what it moved before is not certain to be nothing.
  EXPECT_THAT(Find("idle"), ElementsAre("site//idle"));
}

TEST_F(UsageServiceTest, WhoCameAndWentSinceTheLastFlushIsKnown) {
  Poll({{1, "alice"}}, 100);
  Poll({{1, "alice"}, {2, "bob", 0, 10, 10}}, 200);
  Poll({{1, "alice"}}, 300);
  EXPECT_THAT(Find("bob"), ElementsAre("site/r1/bob"));
}

TEST_F(UsageServiceTest, AQueueThatDoesNotCountMakesNobodyKnown) {
  driver_.menu = counters::Menu::kTree;
  Poll({{1, "shaper"}}, 100);
  Poll({{1, "shaper", 0, 10, 10}}, 3600);
  EXPECT_THAT(Find("shaper"), IsEmpty());
}

// A queue that never moved a byte is in no row of the store.
TEST_F(UsageServiceTest, IdleQueuesAreFoundAfterARestart) {
  Poll({{1, "alice"}, {2, "idle"}}, 100);
  Poll({{1, "alice", 0, 10, 10}, {2, "idle"}}, 3600);
  driver_.Flush(3601);
  const std::vector<accounting::RouterSettings> routers = driver_.policy.routers;
  for (const bool configured : {true, false}) {
    // One that comes back with a later policy is known as well.
    if (!configured) driver_.policy.routers.clear();
    driver_.Restart(3602);
    EXPECT_EQ(Find("idle").empty(), !configured);
    driver_.policy.routers = routers;
    driver_.SetPolicy(3603);
    EXPECT_THAT(Find("idle"), ElementsAre("site/r1/idle active"));
  }
  EXPECT_THAT(Find("alice"), ElementsAre("site/r1/alice active"));
}

TEST_F(UsageServiceTest, MoreNamesakesThanAskedForAreSaidToBeThere) {
  for (const char* router : {"r2", "r3"}) {
    accounting::RouterSettings other = driver_.policy.routers[0];
    other.id = base::RouterId(router);
    driver_.policy.routers.push_back(other);
  }
  driver_.Start();
  for (const char* router : {"r3", "r1", "r2"}) {
    driver_.dictionary = {};
    counters::Snapshot snapshot = driver_.Make({{1, "alice"}}, 100, 1100);
    snapshot.router = base::RouterId(router);
    ASSERT_THAT(driver_.Take(snapshot), test::IsOk());
  }
  shared_.Replace(std::make_unique<accounting::Book>(std::move(driver_.book)));
  v1::FindSubscribersRequest request;
  request.mutable_subscriber()->mutable_name()->set_name("alice");
  request.set_limit(2);
  grpc::ServerContext context;
  v1::FindSubscribersResponse response;
  ASSERT_TRUE(service_.FindSubscribers(&context, &request, &response).ok());
  ASSERT_THAT(response.subscribers(), SizeIs(2));
  EXPECT_EQ(response.subscribers(0).subscriber().router_id(), "r1");
  EXPECT_EQ(response.subscribers(1).subscriber().router_id(), "r2");
  EXPECT_TRUE(response.more());
  request.mutable_subscriber()->clear_name();
  const grpc::Status status = service_.FindSubscribers(&context, &request, &response);
  EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT);
}

TEST_F(UsageServiceTest, MoreEpochsThanAnAnswerHoldsAreLeftOutAndItSaysSo) {
  TwoDays();
  std::vector<accounting::EpochRecord> epochs;
  for (int i = 0; i < 10'000; ++i) {
    epochs.push_back(
        {Queue("q1"), 1, BookDriver::kStartUs + 3'600'000'000 + i, EpochReason::kReset});
  }
  Store(epochs);
  v1::GetSubscriberUsageResponse response = Ask();
  ASSERT_THAT(response.days(), SizeIs(2));
  EXPECT_THAT(response.days(0).usage().epochs(), SizeIs(10'000));
  EXPECT_FALSE(response.epochs_left_out());
  shared_.Write([&](accounting::Book& book) { driver_.book = std::move(book); });
  Store({{Queue("q2"), 1, BookDriver::kStartUs + 3'600'000'000, EpochReason::kReset}});
  response = Ask();
  EXPECT_THAT(response.days(0).usage().epochs(), SizeIs(10'000));
  EXPECT_TRUE(response.epochs_left_out());
}

TEST_F(UsageServiceTest, EpochsOfManyQueuesAreAskedForInPartsUntilTheCallerHasGone) {
  std::vector<accounting::QueueKey> queues;
  std::vector<accounting::EpochRecord> epochs;
  for (int i = 0; i < 450; ++i) {
    queues.push_back(Queue(absl::StrCat("q", 1000 + i)));
    epochs.push_back({queues.back(), 1, 1000 + i, EpochReason::kReset});
  }
  Store(epochs);
  const auto waits = [] { return false; };
  ASSERT_OK_AND_ASSIGN(auto found, reader_.Epochs(queues, 1000, 2000, 1000, waits));
  ASSERT_THAT(found, SizeIs(450));
  EXPECT_EQ(found[449].queue, queues[449]);
  EXPECT_THAT(asked_->epoch_calls(), ElementsAre(SizeIs(200), SizeIs(200), SizeIs(50)));
  ASSERT_OK_AND_ASSIGN(found, reader_.Epochs(queues, 1000, 2000, 150, waits));
  EXPECT_THAT(found, SizeIs(150));
  EXPECT_THAT(asked_->epoch_calls(), SizeIs(4));

  int looks = 0;
  EXPECT_THAT(reader_.Epochs(queues, 1000, 2000, 1000, [&looks] { return ++looks > 2; }),
              test::StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  EXPECT_THAT(asked_->epoch_calls(), SizeIs(6));
}

}  // namespace
}  // namespace netsentinel::query
