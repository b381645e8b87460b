// The transaction behind an acknowledgement.
#include <limits>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "aggregator/store/limits.h"
#include "common/base/bytes.h"
#include "tests/contract/store/store_contract.h"

namespace netsentinel::store {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;
using testing::SizeIs;

accounting::QueueKey HardQueue() {
  return {base::RouterId("r1"), counters::Menu::kTree, HardName()};
}

TEST_P(StoreContract, ACommitComesBackWhole) {
  CommitBatch batch = JournalOnly({Journal(7, 3), Journal(8, 1, "r2", 5)});
  batch.journal[1].payload = std::string(300'000, '\xff');
  batch.epochs = {{HardQueue(), 26, 100, accounting::EpochReason::kReboot}};
  batch.holds = {{HardQueue(), 50, {std::numeric_limits<std::uint64_t>::max(), 1}, {2, 3}, false}};
  batch.events = {
      {60, base::RouterId("r1"), counters::Menu::kTree, HardName(), "implausible", "why"}};
  batch.breaches = {Breach("b1", HardName())};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());

  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*other_));
  ASSERT_THAT(state.journal, SizeIs(2));
  EXPECT_EQ(state.journal[0].journal_id, 7u);
  EXPECT_EQ(state.journal[0].position, batch.journal[0].position);
  EXPECT_EQ(state.journal[0].payload, batch.journal[0].payload);
  EXPECT_EQ(state.journal[0].previous_sequence, 2u);
  EXPECT_EQ(state.journal[0].attribution_us, batch.journal[0].attribution_us);
  EXPECT_EQ(state.journal[0].received_us, batch.journal[0].received_us);
  EXPECT_EQ(state.journal[1].router.value(), "r2");
  EXPECT_EQ(state.journal[1].payload, batch.journal[1].payload);
  EXPECT_EQ(state.next_journal_id, 9u);

  ASSERT_OK_AND_ASSIGN(const auto epochs, other_->Epochs({HardQueue()}, 100, 101, 10));
  ASSERT_THAT(epochs, SizeIs(1));
  EXPECT_EQ(epochs[0].row_id, 26u);
  EXPECT_EQ(epochs[0].reason, accounting::EpochReason::kReboot);
  EXPECT_THAT(*other_->Epochs({HardQueue()}, 0, 100, 10), SizeIs(0));

  ASSERT_OK_AND_ASSIGN(const auto holds, other_->OpenHolds());
  ASSERT_THAT(holds, SizeIs(1));
  EXPECT_EQ(holds[0].queue, HardQueue());
  EXPECT_EQ(holds[0].before, batch.holds[0].before);
  EXPECT_EQ(holds[0].held, batch.holds[0].held);

  EventFilter of_r1;
  of_r1.routers = {base::RouterId("r1")};
  ASSERT_OK_AND_ASSIGN(const EventList list, other_->Events(of_r1, 10));
  const auto& events = list.events;
  EXPECT_EQ(list.matching, 1u);
  ASSERT_THAT(events, SizeIs(1));
  EXPECT_EQ(events[0].event.queue, HardName());
  EXPECT_EQ(events[0].event.kind, "implausible");
  EXPECT_EQ(events[0].event.at_us, 60);

  ASSERT_OK_AND_ASSIGN(const BreachList breach_list, other_->Breaches({}, 10));
  const auto& breaches = breach_list.breaches;
  ASSERT_THAT(breaches, SizeIs(1));
  EXPECT_EQ(breaches[0].subscriber, Subscriber(HardName()));
  EXPECT_EQ(breaches[0].period_start, absl::CivilDay(2026, 1, 2));
  EXPECT_EQ(breaches[0].used, (base::TrafficBytes{400, 401}));
  EXPECT_EQ(breaches[0].delivery, 1);
}

TEST_P(StoreContract, AJournalRowOfTheLongestPayloadGoesInBesideOthers) {
  CommitBatch batch = JournalOnly({Journal(1, 1), Journal(2, 1, "r2"), Journal(3, 2)});
  batch.journal[1].payload = std::string(store_->journal_payload_max(), '\'');
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*other_));
  ASSERT_THAT(state.journal, SizeIs(3));
  EXPECT_TRUE(state.journal[1].payload == batch.journal[1].payload);
}

TEST_P(StoreContract, AnyNumberOfHoldsIsResolvedInOneCommit) {
  const auto hold = [](std::size_t i, bool resolved) {
    return accounting::HoldRecord{
        {base::RouterId("r1"), counters::Menu::kSimple, "q" + std::to_string(i)},
        50,
        {4, 5},
        {2, 3},
        resolved};
  };
  for (std::size_t count = 1; count <= 210; ++count) {
    CommitBatch taken;
    CommitBatch resolved;
    for (std::size_t i = 0; i < count; ++i) {
      taken.holds.push_back(hold(i, false));
      resolved.holds.push_back(hold(i, true));
    }
    ASSERT_THAT(store_->Commit(fence_, taken), IsOk());
    ASSERT_THAT(store_->Commit(fence_, resolved), IsOk()) << count;
  }
  EXPECT_THAT(*other_->OpenHolds(), SizeIs(0));
}

TEST_P(StoreContract, WatermarksTellTheNewestPositionOfEachMenu) {
  JournalRow tree = Journal(3, 9);
  tree.menu = counters::Menu::kTree;
  ASSERT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1), Journal(2, 4), tree})), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto marks, other_->Watermarks());
  ASSERT_THAT(marks, SizeIs(2));
  EXPECT_EQ(marks[0].position.sequence, 4u);
  EXPECT_EQ(marks[0].position.spool_uuid, "spool-0123456789");
  EXPECT_EQ(marks[1].menu, counters::Menu::kTree);
  EXPECT_EQ(marks[1].position.sequence, 9u);
}

TEST_P(StoreContract, ASecondCommitOfTheSameSnapshotIsRefusedAndChangesNothing) {
  CommitBatch batch = JournalOnly({Journal(1, 1)});
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  batch.journal = {Journal(2, 1, "r2"), Journal(3, 1)};
  batch.events = {{1, base::RouterId("r2"), counters::Menu::kSimple, "", "kind", ""}};
  batch.breaches = {Breach("b1")};
  EXPECT_THAT(store_->Commit(fence_, batch),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("r1")));
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*other_));
  EXPECT_THAT(state.journal, SizeIs(1));
  EXPECT_THAT(*other_->Watermarks(), SizeIs(1));
  EXPECT_THAT(other_->Events({}, 10)->events, SizeIs(0));
  EXPECT_THAT(other_->Breaches({}, 10)->breaches, SizeIs(0));
  EXPECT_THAT(*other_->ClaimOutbox(fence_, "o", absl::Minutes(1), 10), SizeIs(0));
}

TEST_P(StoreContract, AReplayIsRefusedEvenAfterTheJournalWasTrimmed) {
  ASSERT_THAT(store_->Commit(fence_, JournalOnly({Journal(5, 5)})), IsOk());
  FlushBatch flush = TwoQueues();
  flush.trims = {{base::RouterId("r1"), counters::Menu::kSimple, 5}};
  ASSERT_THAT(store_->Flush(fence_, flush), IsOk());
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(6, 5)})),
              StatusIs(absl::StatusCode::kAlreadyExists, testing::_));
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  EXPECT_THAT(state.journal, SizeIs(0));
  EXPECT_EQ(state.next_journal_id, 6u);
}

struct OrderCase {
  const char* name;
  std::uint64_t lease_epoch;
  const char* spool;
  std::uint64_t sequence;
  std::uint64_t journal_id;
  bool accepted;
};

TEST_P(StoreContract, OnlyAPositionAfterTheNewestOneIsAccepted) {
  // The newest: lease epoch 5, spool A, sequence 10, journal id 100.
  const OrderCase cases[] = {
      {"the same", 5, "A", 10, 101, false},
      {"before", 5, "A", 9, 101, false},
      {"older lease, same spool: only the sequence orders", 4, "A", 11, 101, true},
      {"newer lease, same spool, before", 6, "A", 9, 101, false},
      {"older lease, other spool", 4, "B", 11, 101, false},
      {"other spool", 5, "B", 11, 101, false},
      {"older journal id", 5, "A", 11, 99, false},
      {"next", 5, "A", 11, 101, true},
      {"with a gap", 5, "A", 20, 101, true},
      {"newer lease, restarted", 6, "B", 1, 101, true},
  };
  std::uint64_t router = 0;
  for (const OrderCase& c : cases) {
    const std::string name = "router-" + std::to_string(++router);
    JournalRow newest = Journal(router * 1000 + 100, 10, name, 5);
    newest.position.spool_uuid = "A";
    ASSERT_THAT(store_->Commit(fence_, JournalOnly({newest})), IsOk()) << c.name;
    JournalRow row = Journal(router * 1000 + c.journal_id, c.sequence, name, c.lease_epoch);
    row.position.spool_uuid = c.spool;
    const absl::Status status = store_->Commit(fence_, JournalOnly({row}));
    if (c.accepted) {
      EXPECT_THAT(status, IsOk()) << c.name;
    } else {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kAlreadyExists, testing::_)) << c.name;
    }
  }
}

TEST_P(StoreContract, ABatchIsOrderedWithinItself) {
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 2), Journal(2, 1)})),
              StatusIs(absl::StatusCode::kAlreadyExists, testing::_));
  EXPECT_THAT(*store_->Watermarks(), SizeIs(0));
}

TEST_P(StoreContract, ManyRoutersGoInOneCommit) {
  CommitBatch batch;
  for (std::uint64_t i = 1; i <= 1500; ++i) {
    batch.journal.push_back(Journal(i, 1, "router-" + std::to_string(i)));
  }
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  EXPECT_THAT(*store_->Watermarks(), SizeIs(1500));
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  ASSERT_THAT(state.journal, SizeIs(1500));
  EXPECT_EQ(state.journal[1499].payload, batch.journal[1499].payload);
}

TEST_P(StoreContract, TheJournalIsReadInPagesOfBytes) {
  CommitBatch batch;
  for (std::uint64_t i = 1; i <= 10; ++i) {
    batch.journal.push_back(Journal(i, i));
    batch.journal.back().payload.assign(1000, 'x');
  }
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto three, store_->Journal(2, 3500));
  ASSERT_THAT(three, SizeIs(3));
  EXPECT_EQ(three[0].journal_id, 3u);
  ASSERT_OK_AND_ASSIGN(const auto one, store_->Journal(9, 10));
  EXPECT_THAT(one, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const auto none, store_->Journal(10, 3500));
  EXPECT_THAT(none, SizeIs(0));
}

TEST_P(StoreContract, CheckpointsAreReadInPagesOfBytes) {
  FlushBatch batch;
  for (const char* key : {"a", "b"}) {
    for (std::uint32_t part = 0; part < 5; ++part) {
      batch.checkpoints.push_back({key, part, std::string(1000, static_cast<char>('0' + part))});
    }
  }
  batch.checkpoints.push_back({"c", 7, std::string(300'000, 'l')});
  batch.checkpoints.push_back({"d", 0, ""});
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  const auto page = [&](const std::string& key, std::int64_t part, std::size_t bytes) {
    std::vector<std::string> places;
    const auto parts = store_->Checkpoints({key, part}, bytes);
    EXPECT_THAT(parts, IsOk());
    for (const CheckpointPart& one : *parts) {
      places.push_back(absl::StrCat(one.state_key, one.part, "/", one.payload.size()));
    }
    return places;
  };
  EXPECT_THAT(page("", -1, 3500), testing::ElementsAre("a0/1000", "a1/1000", "a2/1000"));
  EXPECT_THAT(page("a", 3, 3500), testing::ElementsAre("a4/1000", "b0/1000", "b1/1000"));
  EXPECT_THAT(page("b", 3, 3500), testing::ElementsAre("b4/1000"));
  EXPECT_THAT(page("b", 4, 1), testing::ElementsAre("c7/300000"));
  EXPECT_THAT(page("c", 7, 1), testing::ElementsAre("d0/0"));
  EXPECT_THAT(page("c", -1, 1 << 20), testing::ElementsAre("c7/300000", "d0/0"));
  EXPECT_THAT(page("d", 0, 1 << 20), SizeIs(0));
}

// The lease is kept while it is being read, however long that takes.
TEST_P(StoreContract, TheStoreMayBeUsedBetweenSlicesOfARecovery) {
  int asked = 0;
  ASSERT_THAT(store_->Recover([&] {
    ++asked;
    return store_->RenewLease("first", fence_, absl::Minutes(5)).status();
  }),
              IsOk());
  EXPECT_GT(asked, 0);
  EXPECT_THAT(store_->Recover([] { return absl::CancelledError("stop"); }).status(),
              StatusIs(absl::StatusCode::kCancelled, testing::_));
}

TEST_P(StoreContract, ABreachIsStoredOnceAndSoIsItsOutboxRow) {
  CommitBatch batch;
  batch.breaches = {Breach("b1"), Breach("b1")};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto first, store_->ClaimOutbox(fence_, "o", absl::Minutes(1), 10));
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(store_->FinishOutbox(fence_, "o", {{first[0].outbox_id, 2, ""}}), IsOk());
  batch.breaches[0].used = {9, 9};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  EXPECT_THAT(*store_->ClaimOutbox(fence_, "o", absl::Minutes(1), 10), SizeIs(0));
  ASSERT_OK_AND_ASSIGN(const BreachList breach_list, store_->Breaches({}, 10));
  const auto& breaches = breach_list.breaches;
  ASSERT_THAT(breaches, SizeIs(1));
  EXPECT_EQ(breaches[0].used, (base::TrafficBytes{400, 401}));
}

TEST_P(StoreContract, ARejectedBreachKeepsTheReason) {
  CommitBatch batch;
  batch.breaches = {Breach("b1"), Breach("b2")};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto claims, store_->ClaimOutbox(fence_, "o", absl::Minutes(1), 10));
  ASSERT_THAT(claims, SizeIs(2));
  ASSERT_THAT(store_->FinishOutbox(
                  fence_, "o",
                  {{claims[0].outbox_id, 3, "period_start: no day"}, {claims[1].outbox_id, 2, ""}}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(const BreachList breach_list, other_->Breaches({}, 10));
  const auto& breaches = breach_list.breaches;
  ASSERT_THAT(breaches, SizeIs(2));
  for (const BreachRow& row : breaches) {
    const bool rejected = row.breach_id == claims[0].breach.breach_id;
    EXPECT_EQ(int{row.delivery}, rejected ? 3 : 2);
    EXPECT_EQ(row.delivery_detail, rejected ? "period_start: no day" : "");
  }
}

TEST_P(StoreContract, AResolvedHoldIsGoneAndTheLastWordCounts) {
  CommitBatch batch;
  batch.holds = {{HardQueue(), 1, {10, 10}, {5, 5}, false}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  batch.holds = {{HardQueue(), 1, {10, 10}, {5, 5}, true}, {HardQueue(), 2, {5, 5}, {1, 1}, false}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto holds, store_->OpenHolds());
  ASSERT_THAT(holds, SizeIs(1));
  EXPECT_EQ(holds[0].since_us, 2);
  batch.holds = {{HardQueue(), 2, {5, 5}, {1, 1}, true}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  EXPECT_THAT(*store_->OpenHolds(), SizeIs(0));
}

TEST_P(StoreContract, NumbersAtTheLimitAreKeptAndPastItAreRefused) {
  CommitBatch batch = JournalOnly({Journal(base::kMaxStoredBytes, base::kMaxStoredBytes)});
  batch.epochs = {{HardQueue(), std::numeric_limits<std::uint64_t>::max(), 1}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  EXPECT_EQ((*store_->Watermarks())[0].position.sequence, base::kMaxStoredBytes);
  EXPECT_EQ((*store_->Epochs({HardQueue()}, 0, 2, 10))[0].row_id,
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(base::kMaxStoredBytes + 1, 1, "r2")})),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("2^63")));
}

TEST_P(StoreContract, EpochsOfManyQueuesComeInOrderUpToALimit) {
  const auto queue = [](const std::string& router, const std::string& name) {
    return accounting::QueueKey{base::RouterId(router), counters::Menu::kSimple, name};
  };
  CommitBatch batch;
  batch.epochs = {{queue("r2", "a"), 1, 5}, {queue("r1", "b"), 2, 7}, {queue("r1", "b"), 3, 6},
                  {queue("r1", "a"), 4, 9}, {queue("r1", "c"), 5, 6}, {queue("r1", "a"), 6, 10}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  std::vector<accounting::QueueKey> asked = {queue("r2", "a"), queue("r1", "b"), queue("r1", "a")};
  for (int i = 3; i < 200; ++i) asked.push_back(queue("r1", "none" + std::to_string(i)));
  const auto rows = [&](std::size_t limit) {
    std::vector<std::uint64_t> ids;
    const auto epochs = store_->Epochs(asked, 5, 10, limit);
    EXPECT_THAT(epochs, IsOk());
    if (!epochs.ok()) return ids;
    for (const accounting::EpochRecord& epoch : *epochs) ids.push_back(epoch.row_id);
    return ids;
  };
  EXPECT_THAT(rows(10), testing::ElementsAre(4, 3, 2, 1));
  EXPECT_THAT(rows(2), testing::ElementsAre(4, 3));
  EXPECT_THAT(rows(0), testing::IsEmpty());
  EXPECT_THAT(store_->Epochs({}, 5, 10, 10), IsOk());
  asked.push_back(queue("r1", "c"));
  EXPECT_THAT(store_->Epochs(asked, 5, 10, 10),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("201 queues")));
}

TEST_P(StoreContract, NamesOfTheGreatestLengthAreKeptAndLongerOnesAreRefused) {
  CommitBatch batch;
  accounting::QueueKey key = HardQueue();
  key.name = std::string(kMaxNameBytes, '\xfe');
  accounting::QueueKey neighbour = key;
  neighbour.name.back() = '\xff';
  batch.epochs = {{key, 1, 1}, {neighbour, 2, 1}};
  batch.holds = {{key, 1, {}, {}, false}, {neighbour, 1, {}, {}, false}};
  batch.breaches = {Breach("b1", key.name)};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_THAT(*store_->Epochs({key}, 0, 2, 10), SizeIs(1));
  EXPECT_THAT(*store_->OpenHolds(), SizeIs(2));
  EXPECT_EQ(store_->Breaches({}, 1)->breaches[0].subscriber.name, key.name);
  batch.epochs[0].queue.name += "x";
  EXPECT_THAT(store_->Commit(fence_, batch),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("2049 bytes")));
}

TEST_P(StoreContract, EventsAreListedNewestFirstInPages) {
  std::vector<accounting::EventRecord> events;
  for (int i = 0; i < 5; ++i) {
    events.push_back({i, base::RouterId(i % 2 == 0 ? "r1" : "r2"), counters::Menu::kSimple, "",
                      "kind", std::to_string(i)});
  }
  events[4].detail = "not UTF-8 \xff";
  ASSERT_THAT(store_->AppendEvents(fence_, events), IsOk());
  ASSERT_OK_AND_ASSIGN(const EventList first, store_->Events({}, 2));
  EXPECT_EQ(first.matching, 5u);
  const auto& newest = first.events;
  ASSERT_THAT(newest, SizeIs(2));
  EXPECT_EQ(newest[0].event.detail, "not UTF-8 \\xFF");
  EXPECT_EQ(newest[1].event.detail, "3");
  EventFilter filter;
  filter.routers = {base::RouterId("r1")};
  filter.before_id = newest[1].event_id;
  ASSERT_OK_AND_ASSIGN(const EventList second, store_->Events(filter, 10));
  EXPECT_EQ(second.matching, 2u);
  const auto& older = second.events;
  ASSERT_THAT(older, SizeIs(2));
  EXPECT_EQ(older[0].event.detail, "2");
}

TEST_P(StoreContract, EventsAreFoundByRouterAndTime) {
  std::vector<accounting::EventRecord> events;
  for (int i = 0; i < 6; ++i) {
    events.push_back({i * 10, base::RouterId("r" + std::to_string(i % 3)), counters::Menu::kSimple,
                      "", "kind", std::to_string(i)});
  }
  ASSERT_THAT(store_->AppendEvents(fence_, events), IsOk());
  EventFilter filter;
  filter.routers = {base::RouterId("r0"), base::RouterId("r2")};
  filter.from_us = 20;
  filter.to_us = 50;
  ASSERT_OK_AND_ASSIGN(const EventList found, store_->Events(filter, 1));
  ASSERT_THAT(found.events, SizeIs(1));
  EXPECT_EQ(found.events[0].event.detail, "3");
  EXPECT_EQ(found.matching, 2u);
  filter.routers.assign(kMaxFilterRouters + 1, base::RouterId("r"));
  EXPECT_THAT(store_->Events(filter, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("20001 routers")));
}

TEST_P(StoreContract, BreachesAreFoundByWhomTheyConcernAndWhen) {
  CommitBatch batch;
  batch.breaches = {Breach("b1"), Breach("b2", HardName()), Breach("b3"), Breach("b4")};
  batch.breaches[1].crossed_at_us = 90;
  batch.breaches[2].subscriber.router = base::RouterId("r2");
  batch.breaches[3].subscriber.site = base::SiteId("dubai");
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  const auto ids = [&](const BreachFilter& filter) {
    const absl::StatusOr<BreachList> found = store_->Breaches(filter, 10);
    std::string text = absl::StrCat(found.ok() ? found->matching : 0, ":");
    for (const BreachRow& row : found.ok() ? found->breaches : std::vector<BreachRow>{}) {
      absl::StrAppend(&text, " ", row.breach_id);
    }
    return text;
  };
  EXPECT_EQ(ids({}), "4: b2 b1 b3 b4");
  BreachFilter filter;
  filter.site = base::SiteId("lahore");
  EXPECT_EQ(ids(filter), "3: b2 b1 b3");
  filter.router = base::RouterId("r1");
  EXPECT_EQ(ids(filter), "2: b2 b1");
  filter.name = HardName();
  EXPECT_EQ(ids(filter), "1: b2");
  filter.to_us = 90;
  EXPECT_EQ(ids(filter), "0:");
  filter = {};
  filter.from_us = 78;
  EXPECT_EQ(ids(filter), "1: b2");
}

TEST_P(StoreContract, ReadDaysSayWhichRoutersWereReadAndSinceWhen) {
  const base::SiteId lahore("lahore");
  const base::RouterId r1("r1"), r2("r2");
  const absl::CivilDay day(2026, 1, 2);
  CommitBatch batch;
  batch.read_days = {{lahore, r1, day}, {lahore, r1, day}, {lahore, r2, day + 1}};
  batch.first_readings = {{lahore, r1, 500}, {lahore, r2, 900}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  batch.first_readings = {{lahore, r1, 400}};
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const SiteReadings one, other_->Readings(lahore, day, day));
  EXPECT_THAT(one.read_in_span, testing::ElementsAre(r1));
  ASSERT_THAT(one.firsts, SizeIs(2));
  EXPECT_EQ(one.firsts[0].at_us, 400);
  EXPECT_EQ(one.firsts[1].at_us, 900);
  EXPECT_THAT(other_->Readings(lahore, day, day + 1)->read_in_span,
              testing::UnorderedElementsAre(r1, r2));
  EXPECT_THAT(other_->Readings(lahore, day - 9, day - 1)->read_in_span, SizeIs(0));
  EXPECT_THAT(other_->Readings(base::SiteId("dubai"), day, day)->firsts, SizeIs(0));
  EXPECT_THAT(*other_->FirstReadings(), SizeIs(2));
  // Days go with their months, when reading began stays.
  ASSERT_OK_AND_ASSIGN(const std::size_t gone,
                       store_->PurgeMonthly(fence_, absl::CivilMonth(2026, 2), 1));
  EXPECT_EQ(gone, 1u);
  EXPECT_THAT(*store_->PurgeMonthly(fence_, absl::CivilMonth(2026, 2), 1), 1u);
  EXPECT_THAT(*store_->PurgeMonthly(fence_, absl::CivilMonth(2026, 2), 1), 0u);
  EXPECT_THAT(other_->Readings(lahore, day, day + 1)->read_in_span, SizeIs(0));
  EXPECT_THAT(other_->Readings(lahore, day, day + 1)->firsts, SizeIs(2));
}

TEST_P(StoreContract, OldHistoryGoesInSlicesAndWaitingBreachesStay) {
  CommitBatch batch;
  batch.breaches = {Breach("b1"), Breach("b2")};
  for (int i = 0; i < 5; ++i) {
    batch.events.push_back({i, base::RouterId("r1"), counters::Menu::kSimple, "", "kind", ""});
    batch.epochs.push_back({HardQueue(), 1, i});
  }
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto claims, store_->ClaimOutbox(fence_, "o", absl::Minutes(1), 1));
  ASSERT_THAT(store_->FinishOutbox(fence_, "o", {{claims[0].outbox_id, 2, ""}}), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::size_t first, store_->PurgeHistory(fence_, 4, 3));
  EXPECT_EQ(first, 6u);
  ASSERT_OK_AND_ASSIGN(const std::size_t second, store_->PurgeHistory(fence_, 4, 3));
  EXPECT_EQ(second, 2u);
  ASSERT_OK_AND_ASSIGN(const std::size_t third, store_->PurgeHistory(fence_, 1000, 3));
  EXPECT_EQ(third, 3u);
  EXPECT_THAT(store_->Events({}, 10)->events, SizeIs(0));
  ASSERT_OK_AND_ASSIGN(const BreachList breach_list, store_->Breaches({}, 10));
  const auto& breaches = breach_list.breaches;
  ASSERT_THAT(breaches, SizeIs(1));
  EXPECT_EQ(breaches[0].breach_id, "b2");
}

}  // namespace
}  // namespace netsentinel::store
