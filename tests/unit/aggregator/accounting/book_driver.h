#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "aggregator/accounting/book.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::accounting {

inline constexpr std::uint64_t kMiB = 1024 * 1024;
inline constexpr std::int64_t kHour = 3600;
inline constexpr std::int64_t kDay = 24 * kHour;

inline absl::TimeZone Zone(const std::string& name) {
  absl::TimeZone zone;
  EXPECT_TRUE(absl::LoadTimeZone(name, &zone)) << name;
  return zone;
}

// A queue as a reply shows it.
struct Row {
  std::uint64_t id = 1;
  std::string name = "alice";
  std::uint64_t upload = 0;
  std::uint64_t download = 0;
  std::uint64_t packets = 0;
  std::string parent = {};
  bool dynamic = false;
  std::uint64_t limit_bps = 0;
};

// Queues from..to-1, each with `bytes` in both directions and as many packets.
inline std::vector<Row> Many(int from, int to, std::uint64_t bytes) {
  std::vector<Row> rows;
  for (int i = from; i < to; ++i) {
    rows.push_back({static_cast<std::uint64_t>(i + 1), absl::StrCat("q", i), bytes, bytes, bytes});
  }
  return rows;
}

// Feeds a Book the way an aggregator does, and keeps what a store would keep.
class BookDriver {
 public:
  static constexpr std::int64_t kStartUs = 1'767'225'600'000'000;  // 2026-01-01T00:00:00Z

  BookDriver() { policy = DefaultPolicy(); }

  static Policy DefaultPolicy() {
    Policy p;
    p.sites.push_back({base::SiteId("site"), absl::UTCTimeZone(), absl::ZeroDuration(), {}});
    RouterSettings router;
    router.id = base::RouterId("r1");
    router.site = base::SiteId("site");
    p.routers.push_back(router);
    return p;
  }

  void Start() { ASSERT_THAT(book.SetPolicy(policy, kStartUs), test::IsOk()); }

  // A snapshot at `second` after the start, on all clocks, unless changed through `header`.
  counters::Snapshot Make(const std::vector<Row>& rows, std::int64_t second,
                          std::uint64_t uptime_s) {
    counters::Snapshot snapshot;
    snapshot.router = base::RouterId("r1");
    snapshot.menu = menu;
    counters::SnapshotHeader& h = snapshot.header;
    h.host_boot_id = host_boot;
    h.begin_us = (1'000'000 + second) * 1'000'000;
    h.end_us = h.begin_us + 1000;
    h.session_id = session;
    h.attribution_us = kStartUs + second * 1'000'000;
    h.clock = counters::AttributionClock::kAggregator;
    h.router_uptime_s = uptime_s;
    h.device.serial_number = serial;
    h.settings_fingerprint = fingerprint;
    for (const Row& row : rows) {
      counters::QueueDescriptor d;
      d.row_id = row.id;
      d.name = row.name;
      d.parent = row.parent;
      d.dynamic = row.dynamic;
      d.max_limit_upload = d.max_limit_download = row.limit_bps;
      snapshot.readings.push_back(
          {dictionary.table.Intern(d), row.upload, row.download, row.packets});
    }
    return snapshot;
  }

  // The time between two readings that are `seconds` apart, as ceilings are reckoned with.
  static std::int64_t Reach(std::int64_t seconds) {
    return seconds * 1'000'000 + 1000 + 3'000'000 + seconds * 200;
  }

  StagedBatch Stage(const counters::Snapshot& snapshot, std::int64_t received_us) {
    const Incoming incoming{&snapshot, &dictionary, received_us};
    return book.Stage(absl::MakeConstSpan(&incoming, 1));
  }

  // Stages and installs; the batch's records are appended to what has been seen.
  absl::Status Take(const counters::Snapshot& snapshot, std::int64_t received_us = 0) {
    if (received_us == 0) received_us = snapshot.header.attribution_us;
    StagedBatch batch = Stage(snapshot, received_us);
    if (!batch.results[0].ok()) return batch.results[0];
    for (StagedJournal& journal : batch.journal) {
      journal.journal_id = next_journal_id++;
      stored.journal.push_back(
          {journal.journal_id, journal.router, journal.menu, journal.received_us, journal.payload});
    }
    for (const EpochRecord& e : batch.epochs) epochs.push_back(e);
    for (const EventRecord& e : batch.events) events.push_back(e);
    for (const HoldRecord& h : batch.holds) holds.push_back(h);
    for (const Breach& b : batch.breaches) {
      breaches.push_back(b);
      stored.fired.push_back({b.subscriber, b.quota_id, b.period_start, b.threshold_percent});
    }
    book.Install(std::move(batch));
    return absl::OkStatus();
  }

  void Poll(const std::vector<Row>& rows, std::int64_t second, std::uint64_t uptime_s) {
    const counters::Snapshot snapshot = Make(rows, second, uptime_s);
    ASSERT_THAT(Take(snapshot), test::IsOk());
  }

  // A boundary's poll, complete at the very instant.
  void PollBoundary(const std::vector<Row>& rows, std::int64_t second, std::uint64_t uptime_s) {
    counters::Snapshot snapshot = Make(rows, second, uptime_s);
    snapshot.header.at_boundary = true;
    ASSERT_THAT(Take(snapshot), test::IsOk());
  }

  // A queue's usage on the day that is `day` days after 2026-01-01.
  UsageSum UsageOf(const std::string& name, int day = 0) const {
    std::vector<UsageRow> rows;
    for (const UsageRow& row : Rows()) {
      if (row.queue.name == name) rows.push_back(row);
    }
    const absl::CivilDay local = absl::CivilDay(2026, 1, 1) + day;
    return SumUsage(absl::MakeConstSpan(rows), local, local);
  }
  // Its download's truth lies within what is sure and what may be.
  void ExpectHolds(const std::string& name, std::uint64_t truth, int day = 0) const {
    const UsageSum sum = UsageOf(name, day);
    EXPECT_LE(sum.sure.download, truth) << name;
    EXPECT_GE(sum.counted.download + sum.unseen.download, truth) << name;
  }

  void SetPolicy(std::int64_t second) {
    ASSERT_THAT(book.SetPolicy(policy, kStartUs + second * 1'000'000), test::IsOk());
  }

  // Stages a flush and keeps it as a store would.
  void Flush(std::int64_t second, bool fails = false) {
    StagedFlush flush = book.StageFlush(kStartUs + second * 1'000'000, {});
    flushed_evidence = flush.evidence.size();
    if (fails) {
      book.FlushFailed(std::move(flush));
      return;
    }
    for (const auto& [key, part] : flush.dropped_checkpoints) blobs.erase({key, part});
    for (const CheckpointBlob& blob : flush.checkpoints) {
      blobs[{blob.state_key, blob.part}] = blob.payload;
    }
    for (const EventRecord& e : flush.events) events.push_back(e);
    for (const NumberedQueue& q : flush.queues) stored.queues.push_back(q);
    for (const NumberedSubscriber& s : flush.subscribers) stored.subscribers.push_back(s);
    for (const StagedFlush::Reopened& r : flush.reopened_days) {
      std::erase_if(stored.closed_days, [&](const ClosedDay& closed) {
        return closed.router == r.router && closed.day >= r.first;
      });
    }
    for (const ClosedDay& c : flush.closed_days) stored.closed_days.push_back(c);
    for (const NumberedUsage& u : flush.usage) {
      usage[absl::StrCat(u.queue_id, "/", u.subscriber_id, "/", absl::FormatCivilTime(u.row.day),
                         "/", u.row.segment)] = u.row;
    }
    for (const StagedFlush::Trim& trim : flush.trims) {
      std::erase_if(stored.journal, [&](const StoredJournal& row) {
        return row.router == trim.router && row.menu == trim.menu &&
               row.journal_id <= trim.journal_id;
      });
    }
    stored.next_queue_id = flush.next_queue_id;
    stored.next_subscriber_id = flush.next_subscriber_id;
    book.InstallFlush(std::move(flush));
  }

  // The aggregator died and another one starts from the store.
  void Restart(std::int64_t second) {
    book = Book();
    ASSERT_THAT(book.SetPolicy(policy, kStartUs + second * 1'000'000), test::IsOk());
    RecoveryInput input = static_cast<const RecoveryInput&>(stored);
    input.now_us = kStartUs + second * 1'000'000;
    for (const auto& [key, payload] : blobs) {
      input.checkpoints.push_back({key.first, key.second, payload});
    }
    ASSERT_THAT(book.Recover(input), test::IsOk());
    ASSERT_THAT(book.Replay(stored.journal), test::IsOk());
    dictionary = StreamDictionary();
  }

  std::vector<UsageRow> Rows() const {
    return book.Usage(base::SiteId(), absl::CivilDay(2020, 1, 1), absl::CivilDay(2040, 1, 1));
  }
  base::TrafficBytes Total() const {
    base::TrafficBytes total;
    for (const UsageRow& row : Rows()) total += row.counted;
    return total;
  }
  // Best bytes of a queue on a day of January 2026, counted from its first.
  base::TrafficBytes On(int day, const std::string& name = "alice") const {
    base::TrafficBytes total;
    for (const UsageRow& row : Rows()) {
      if (row.day == absl::CivilDay(2026, 1, 1) + day && row.queue.name == name)
        total += row.counted;
    }
    return total;
  }
  UsageRow RowOf(const std::string& name, int day = 0) const {
    for (const UsageRow& row : Rows()) {
      if (row.day == absl::CivilDay(2026, 1, 1) + day && row.queue.name == name) return row;
    }
    return {};
  }
  // "reset recreated …" in order, first sights left out.
  std::string Epochs() const {
    static constexpr const char* kWords[] = {"",      "first",     "born",     "reboot",
                                             "reset", "recreated", "replaced", "timeline"};
    std::string text;
    for (const EpochRecord& e : epochs) {
      if (e.reason == EpochReason::kFirstSight) continue;
      absl::StrAppend(&text, text.empty() ? "" : " ", kWords[static_cast<int>(e.reason)]);
    }
    return text;
  }
  std::string Events() const {
    std::string text;
    for (const EventRecord& e : events) {
      absl::StrAppend(&text, text.empty() ? "" : " ", e.kind);
    }
    return text;
  }
  // Everything that must not depend on batching, restarts and the like.
  std::string Ledger() const {
    std::vector<std::string> lines;
    for (const UsageRow& r : Rows()) {
      lines.push_back(absl::StrCat(
          absl::FormatCivilTime(r.day), "/", r.segment, " ", r.queue.name, " ", r.counted.upload,
          "/", r.counted.download, " edges ", r.begin_inside.total(), "/", r.begin_outside.total(),
          "/", r.end_inside.total(), "/", r.end_outside.total(), " doubt ", r.doubt.total(),
          " loss ", r.unseen.total(), " blind ", r.blind_us, " epochs ", r.epochs, " grade ",
          static_cast<int>(r.grade), " seen ", r.observed_us, " ", r.first_reading_us, " ",
          r.last_reading_us));
    }
    std::sort(lines.begin(), lines.end());
    std::string text;
    for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
    return text;
  }

  Book book;
  Policy policy;
  StreamDictionary dictionary;
  counters::Menu menu = counters::Menu::kSimple;
  std::string host_boot = "host-1";
  std::uint64_t session = 1;
  std::string serial = "SN1";
  std::uint64_t fingerprint = 7;
  std::uint64_t next_journal_id = 1;

  std::vector<EpochRecord> epochs;
  std::vector<EventRecord> events;
  std::vector<HoldRecord> holds;
  std::vector<Breach> breaches;
  struct Stored : RecoveryInput {
    std::vector<StoredJournal> journal;
  };
  Stored stored;
  std::map<std::pair<std::string, std::uint32_t>, std::string> blobs;
  std::map<std::string, UsageRow> usage;
  std::size_t flushed_evidence = 0;  // rows of it in the last flush
};

}  // namespace netsentinel::accounting
