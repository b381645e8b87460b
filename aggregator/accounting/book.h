#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/civil_time.h"
#include "absl/types/span.h"

#include "aggregator/accounting/records.h"
#include "aggregator/accounting/settings.h"
#include "aggregator/accounting/usage_sum.h"
#include "aggregator/quota/standing.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

// The whole accounting state of an active aggregator behind one door.
//
//   StagedBatch staged = book.Stage(incoming);         // nothing has changed yet
//   … give staged.journal[i] their journal ids, store.Commit(…) …
//   book.Install(std::move(staged));                   // after COMMIT, and only then
//
//   StagedFlush flush = book.StageFlush(now, options);
//   … store.Flush(…) …
//   book.InstallFlush(std::move(flush));               // or FlushFailed
//
// After a commit or flush with an unknown outcome the Book is thrown away and a new one recovered.
// One thread at a time owns a Book; queries run on that thread too, or under the owner's lock.
namespace netsentinel::accounting {

// A stream's numbering of the descriptors of one (router, menu). The owner decodes frames into
// `table`; snapshots of the stream carry its indices. Start a new one with each absolute snapshot.
class StreamDictionary {
 public:
  counters::DescriptorTable table;

 private:
  friend class Book;
  // By index of `table`: the index in the Book's own dictionary, where known.
  std::vector<counters::DescriptorIndex> translated_;
  std::uint64_t state_serial_ = 0;
};

// A snapshot as it arrived. The pointers live until Install or the end of the StagedBatch.
struct Incoming {
  const counters::Snapshot* snapshot = nullptr;
  StreamDictionary* dictionary = nullptr;
  // 0: it is not agreed what time it is. Then its stamp stands, and closes no day.
  std::int64_t received_us = 0;
};

// A journal row to be; payload as docs/journal-format.md.
struct StagedJournal {
  std::size_t input = 0;         // which Incoming
  std::uint64_t journal_id = 0;  // the caller fills it in before Install
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::int64_t attribution_us = 0;  // after the rules of time
  // Those of the merged steps before it that tell of this menu; none where nothing was known yet.
  std::vector<std::int64_t> steps_us;
  std::int64_t received_us = 0;
  std::string payload;
};

// A threshold crossed. `key_bytes` is what its id is the hash of.
struct Breach {
  std::string key_bytes;
  SubscriberKey subscriber;
  std::string quota_id;
  quota::Period period = quota::Period::kDay;
  absl::CivilDay period_start;
  std::string time_zone;
  quota::Basis basis = quota::Basis::kDownload;
  std::uint64_t limit_bytes = 0;
  std::uint32_t threshold_percent = 100;
  base::TrafficBytes used;  // lower bound
  std::int64_t crossed_at_us = 0;
};

struct StagedInternals;  // of book_state.h

// What a batch of snapshots causes: write it in one transaction, then Install it.
class StagedBatch {
 public:
  StagedBatch();
  StagedBatch(StagedBatch&&) noexcept;
  StagedBatch& operator=(StagedBatch&&) noexcept;
  ~StagedBatch();

  // One per Incoming. A snapshot whose status is not OK changes nothing and has no journal row:
  // kInvalidArgument malformed, kNotFound no such router in the policy, kFailedPrecondition a
  // second snapshot of one (router, menu) in a batch.
  std::vector<absl::Status> results;
  std::vector<StagedJournal> journal;
  std::vector<EpochRecord> epochs;
  std::vector<HoldRecord> holds;
  std::vector<EventRecord> events;
  std::vector<Breach> breaches;

 private:
  friend class Book;
  std::unique_ptr<StagedInternals> internals_;
};

struct CheckpointBlob {
  std::string state_key;
  std::uint32_t part = 0;
  std::string payload;
};

struct ClosedDay {
  base::RouterId router;
  absl::CivilDay day;
  bool partial = false;
  std::int64_t closed_at_us = 0;
};

struct NumberedQueue {
  std::uint64_t id = 0;
  QueueKey key;
};
struct NumberedSubscriber {
  std::uint64_t id = 0;
  SubscriberKey key;
};
struct NumberedUsage {
  std::uint64_t queue_id = 0;
  std::uint64_t subscriber_id = 0;
  UsageRow row;
};

struct NumberedEvidence {
  std::uint64_t queue_id = 0;
  std::uint64_t subscriber_id = 0;
  absl::CivilDay day;
  std::uint8_t segment = 0;
  UsageEvidence evidence;
};

// What a flush writes in one transaction.
struct StagedFlush {
  std::vector<NumberedQueue> queues;
  std::vector<NumberedSubscriber> subscribers;
  std::vector<NumberedUsage> usage;
  // Of the rows of `usage` that have any; takes the place of what was stored for them.
  std::vector<NumberedEvidence> evidence;
  std::vector<CheckpointBlob> checkpoints;
  std::vector<std::pair<std::string, std::uint32_t>> dropped_checkpoints;
  // Days of a router from this one on are open again: it moved to a site where they are not over.
  // Taken back before `closed_days` are written.
  struct Reopened {
    base::RouterId router;
    absl::CivilDay first;
  };
  std::vector<Reopened> reopened_days;
  std::vector<ClosedDay> closed_days;
  struct Trim {
    base::RouterId router;
    counters::Menu menu = counters::Menu::kSimple;
    std::uint64_t journal_id = 0;
  };
  std::vector<Trim> trims;
  std::uint64_t next_queue_id = 1;
  std::uint64_t next_subscriber_id = 1;
  // Events of closing days by age; to be appended with the flush.
  std::vector<EventRecord> events;
};

struct FlushOptions {
  // Checkpoints are written for menus with at least this many journal rows since the last one.
  std::uint64_t min_journal_rows = 1;
};

// A journal row as the store gave it.
struct StoredJournal {
  std::uint64_t journal_id = 0;
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::int64_t received_us = 0;
  std::string payload;
};

// What Recover starts from; everything as the store gave it.
struct RecoveryInput {
  std::int64_t now_us = 0;
  std::vector<CheckpointBlob> checkpoints;  // by state_key, part
  std::vector<NumberedQueue> queues;
  std::vector<NumberedSubscriber> subscribers;
  std::vector<ClosedDay> closed_days;
  std::uint64_t next_queue_id = 1;
  std::uint64_t next_subscriber_id = 1;
  // Breaches that are stored: subscriber, quota, period start, threshold.
  struct Fired {
    SubscriberKey subscriber;
    std::string quota_id;
    absl::CivilDay period_start;
    std::uint32_t threshold_percent = 100;
  };
  std::vector<Fired> fired;
};

// One menu as the operator sees it.
struct MenuView {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  counters::DeviceIdentity device;
  std::size_t queues = 0;
  std::int64_t last_snapshot_us = 0;  // attribution time
  std::uint64_t router_uptime_s = 0;
  std::size_t open_holds = 0;
  bool pending = false;
  bool accounting_source = false;
  // The device is read as this router as well, and counts there; empty: it counts here.
  base::RouterId counts_as;
};

class Book {
 public:
  Book();
  ~Book();
  Book(Book&&) noexcept;
  Book& operator=(Book&&) noexcept;

  // Takes a policy from `now_us` on: mapping changes move later deltas only, zone and day-start
  // changes take effect at the next boundary of the old rule, a changed quota is judged with the
  // next Stage. kInvalidArgument names the setting, and then nothing has changed. Flush first, so
  // that no journal row is ever replayed under mapping rules that are newer than it.
  absl::Status SetPolicy(const Policy& policy, std::int64_t now_us);

  // Rebuilds everything that is in checkpoints. Call on a fresh Book after SetPolicy. kDataLoss
  // when the bytes cannot be what an earlier Book wrote.
  absl::Status Recover(const RecoveryInput& input);
  // After Recover and before anything else: goes on from the checkpoints through the journal.
  // `rows` are the next of it, ascending; all of it in one call or in several. kDataLoss as above.
  absl::Status Replay(absl::Span<const StoredJournal> rows);

  // --- accounting ---------------------------------------------------------------------------
  // At most one snapshot per (router, menu). An empty batch still judges quotas that a policy
  // change touched. The Book is unchanged, caches apart.
  StagedBatch Stage(absl::Span<const Incoming> incoming);
  // The newest StagedBatch, after its COMMIT. Batches are staged and installed in turn.
  void Install(StagedBatch&& staged);

  // Everything that is dirty now. At most one flush is under way; batches may be staged and
  // installed meanwhile.
  StagedFlush StageFlush(std::int64_t now_us, const FlushOptions& options);
  void InstallFlush(StagedFlush&& flush);
  // The flush did not happen (known for sure): its rows become dirty again.
  void FlushFailed(StagedFlush&& flush);

  // --- questions ----------------------------------------------------------------------------
  // Rows in memory of the days, inclusive; `site` empty: every site. Days of the past may have
  // left memory: WholeFrom says which.
  std::vector<UsageRow> Usage(const base::SiteId& site, absl::CivilDay first,
                              absl::CivilDay last) const;
  std::vector<UsageRow> SubscriberUsage(const SubscriberKey& subscriber, absl::CivilDay first,
                                        absl::CivilDay last) const;
  // Why the rows of the subscriber are what they are: of each row in memory on the days of which a
  // step was disputed.
  struct RowEvidence {
    QueueKey queue;
    absl::CivilDay day;
    std::uint8_t segment = 0;
    UsageEvidence evidence;
  };
  std::vector<RowEvidence> Evidence(const SubscriberKey& subscriber, absl::CivilDay first,
                                    absl::CivilDay last) const;
  // Subscribers of that name that are active or ever had usage, in order of site and router, at
  // most `limit`. Empty `site` or `router` of the key: any. Looks at every subscriber.
  struct NamedSubscriber {
    SubscriberKey key;
    bool active = false;  // a queue of its router's newest snapshot counts for it
  };
  std::vector<NamedSubscriber> SubscribersNamed(const SubscriberKey& wish, std::size_t limit) const;
  // Subscribers of a span with their sums, not ordered: what a ranking is made of.
  std::vector<std::pair<SubscriberKey, UsageSum>> SubscriberSums(const base::SiteId& site,
                                                                 absl::CivilDay first,
                                                                 absl::CivilDay last) const;
  // The first day from which all rows are in memory: of earlier days some routers' may be. One day
  // for all sites, since any router may have left rows at any of them. Empty: no router has rows.
  std::optional<absl::CivilDay> WholeFrom() const;
  // Attribution time of the newest snapshot in the figures, 0 before the first. `site` empty: all.
  std::int64_t AsOf(const base::SiteId& site) const;
  // Local day of the site at an instant, with its begin and end.
  struct LocalDay {
    absl::CivilDay day;
    std::int64_t begin_us = 0;
    std::int64_t end_us = 0;
  };
  absl::StatusOr<LocalDay> DayAt(const base::SiteId& site, std::int64_t at_us) const;
  // Day starts and cut times of the router's site after `from_us`, ascending, for `days` days.
  absl::StatusOr<std::vector<std::int64_t>> Boundaries(const base::RouterId& router,
                                                       std::int64_t from_us, int days) const;
  // Routers of the site for which the day still takes deltas.
  std::vector<base::RouterId> OpenRouters(const base::SiteId& site, absl::CivilDay day) const;
  std::vector<MenuView> Menus() const;
  // In every quota that limits the subscriber, in the period that holds `today`; in the order of
  // the policy.
  std::vector<quota::Standing> Standings(const SubscriberKey& subscriber,
                                         absl::CivilDay today) const;
  // The limits of a subscriber: a rule of the policy and what holds for this one.
  struct HeldLimit {
    quota::Rule rule;
    quota::Limit limit;
  };
  std::vector<HeldLimit> Limits(const SubscriberKey& subscriber) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace netsentinel::accounting
