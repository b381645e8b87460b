#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "aggregator/accounting/records.h"
#include "aggregator/store/audit.h"
#include "common/counters/snapshot.h"

// The interface that SQLite and MySQL both implement and one contract suite tests.
//
// Errors, everywhere: kUnavailable the database is away or busy, try again, nothing of the call
// happened; kAborted the fence is no longer ours, stop writing; kUnknown the connection died
// inside COMMIT, so the call may or may not have happened: reload before going on; kDataLoss what
// is stored cannot be what was written; kFailedPrecondition an operator must act;
// kResourceExhausted the disk is full, nothing of the call happened; kInvalidArgument and
// kOutOfRange the call itself breaks a limit of limits.h and was refused before any SQL.
namespace netsentinel::store {

// The right to write. A later fence ends every earlier one.
struct Fence {
  std::uint64_t epoch = 0;
};

// What a holder of the lease needs to know of it. Times are the database's.
struct LeaseInfo {
  std::string holder;
  Fence fence;
  std::int64_t until_us = 0;
  std::int64_t now_us = 0;
};

// One accepted snapshot, as docs/journal-format.md describes its payload.
struct JournalRow {
  std::uint64_t journal_id = 0;  // ascending in commit order; given by the caller
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  counters::SnapshotPosition position;
  std::uint64_t previous_sequence = 0;
  std::int64_t attribution_us = 0;
  std::int64_t received_us = 0;
  std::string payload;
};

// One part of the state of one (router, menu): at most 4,096 queues a part.
struct CheckpointPart {
  std::string state_key;  // names the device's state: see accounting
  std::uint32_t part = 0;
  std::string payload;
};

// A breach with all the notifier needs. The outbox row is written beside it.
struct BreachRow {
  std::string breach_id;  // 64 hexadecimal digits
  accounting::SubscriberKey subscriber;
  std::string quota_id;
  std::uint8_t period = 1;  // 1 day, 2 week, 3 month
  absl::CivilDay period_start;
  std::string time_zone;
  std::uint8_t basis = 1;  // 1 download, 2 upload, 3 total
  std::uint64_t limit_bytes = 0;
  std::uint32_t threshold_percent = 100;
  base::TrafficBytes used;
  std::int64_t crossed_at_us = 0;
  std::uint8_t delivery = 1;         // 1 waiting, 2 handed over, 3 rejected
  std::string delivery_detail = {};  // why it was rejected; not written by a commit
};

// A router was read on a local day of its site.
struct ReadDay {
  base::SiteId site;
  base::RouterId router;
  absl::CivilDay day;

  auto operator<=>(const ReadDay&) const = default;
};
// Since when a router is read at a site.
struct FirstReading {
  base::SiteId site;
  base::RouterId router;
  std::int64_t at_us = 0;  // attribution time
};

// Everything an acknowledgement stands for; one transaction.
struct CommitBatch {
  std::vector<JournalRow> journal;
  std::vector<ReadDay> read_days;            // those that are stored already change nothing
  std::vector<FirstReading> first_readings;  // replace what is stored
  std::vector<accounting::EpochRecord> epochs;
  std::vector<accounting::HoldRecord> holds;
  std::vector<accounting::EventRecord> events;
  // A breach whose id is stored already is left alone, and so is its outbox row.
  std::vector<BreachRow> breaches;
};

// Names get numbers once, so that usage rows are narrow. Numbers are the caller's.
struct QueueRow {
  std::uint64_t queue_id = 0;
  accounting::QueueKey key;
};
struct SubscriberRow {
  std::uint64_t subscriber_id = 0;
  accounting::SubscriberKey key;
};

// A usage row under the numbers of its names.
struct StoredUsage {
  std::uint64_t queue_id = 0;
  std::uint64_t subscriber_id = 0;
  accounting::UsageRow row;  // keys inside may be empty when writing
};

// Why a row of a queue and day is what it is.
struct StoredEvidence {
  std::uint64_t queue_id = 0;
  std::uint64_t subscriber_id = 0;
  accounting::QueueKey queue;  // may be empty when writing
  absl::CivilDay day;
  std::uint8_t segment = 0;
  accounting::UsageEvidence evidence;
};

// A local day of a router that takes no further deltas.
struct DayClose {
  base::RouterId router;
  absl::CivilDay day;
  bool partial = false;  // closed by age or retirement
  std::int64_t closed_at_us = 0;
};

// One transaction that makes journal rows superfluous.
struct FlushBatch {
  std::vector<QueueRow> queues;             // new names
  std::vector<SubscriberRow> subscribers;   // new names
  std::vector<StoredUsage> usage;           // dirty rows; replace what is stored. Sorted by key
                                            // (day, subscriber, queue, segment) by the store. A row
                                            // of a purged day adds to what its month holds.
  std::vector<StoredEvidence> evidence;     // replace what is stored; written in order of their key
  std::vector<CheckpointPart> checkpoints;  // replace what is stored
  std::vector<std::pair<std::string, std::uint32_t>> dropped_checkpoints;  // (state_key, part)
  // Days of a router from the one named on are closed no longer; taken back before closed_days.
  struct Reopened {
    base::RouterId router;
    absl::CivilDay first;
  };
  std::vector<Reopened> reopened_days;
  std::vector<DayClose> closed_days;
  // Journal rows up to and including this id are covered by the checkpoints, per (router, menu).
  struct Trim {
    base::RouterId router;
    counters::Menu menu = counters::Menu::kSimple;
    std::uint64_t journal_id = 0;
  };
  std::vector<Trim> trims;
  std::uint64_t next_queue_id = 1;
  std::uint64_t next_subscriber_id = 1;
};

// What a starting aggregator needs before it reads the journal.
struct RecoveredState {
  std::vector<CheckpointPart> checkpoints;  // by state_key, part
  std::vector<QueueRow> queues;
  std::vector<SubscriberRow> subscribers;
  std::vector<DayClose> closed_days;  // of the last 40 days
  std::uint64_t next_journal_id = 1;
  std::uint64_t next_queue_id = 1;
  std::uint64_t next_subscriber_id = 1;
};

// Sites, day starts, routers, mapping rules and quotas as one numbered record.
struct PolicyRevision {
  std::uint64_t revision = 0;  // 0: none yet
  std::string content;         // canonical text
  std::int64_t imported_at_us = 0;
};

// A limit set through the API; wins over the configuration.
struct QuotaOverrideRow {
  accounting::SubscriberKey subscriber;
  std::string quota_id;
  std::uint64_t limit_bytes = 0;
  bool unlimited = false;
  std::int64_t changed_at_us = 0;
  std::string changed_by;
};

struct StoredEvent {
  std::uint64_t event_id = 0;
  accounting::EventRecord event;
};

// Which events: what is given narrows.
struct EventFilter {
  // Empty: every router. At most kMaxFilterRouters.
  std::vector<base::RouterId> routers;
  // [from, to).
  std::int64_t from_us = std::numeric_limits<std::int64_t>::min();
  std::int64_t to_us = std::numeric_limits<std::int64_t>::max();
  std::uint64_t before_id = 0;  // 0: from the newest
};
inline constexpr std::size_t kMaxFilterRouters = 20'000;
// Which breaches: what is given narrows.
struct BreachFilter {
  base::SiteId site;
  base::RouterId router;
  std::string name;  // raw bytes
  // Crossed in [from, to).
  std::int64_t from_us = std::numeric_limits<std::int64_t>::min();
  std::int64_t to_us = std::numeric_limits<std::int64_t>::max();
};
// How many fit, whether or not they are listed; counting ends at kMostMatching, which stands for
// that many or more.
inline constexpr std::uint64_t kMostMatching = 100'000;
struct EventList {
  std::vector<StoredEvent> events;
  std::uint64_t matching = 0;
};
struct BreachList {
  std::vector<BreachRow> breaches;
  std::uint64_t matching = 0;
};
// What is known of the reading of a site.
struct SiteReadings {
  std::vector<FirstReading> firsts;          // of every router that ever was read there
  std::vector<base::RouterId> read_in_span;  // in no order
};

// An outbox row that this owner has claimed.
struct OutboxClaim {
  std::uint64_t outbox_id = 0;
  BreachRow breach;
};

// Calls block. One object serves one thread; open several for several threads. Commit, Flush and
// the other writing calls check the fence inside their transaction.
class Store {
 public:
  virtual ~Store() = default;

  // --- the lease and its fence --------------------------------------------------------------
  // Takes the lease when it is free or ran out, with a fence above every earlier one.
  // kFailedPrecondition with the holder's name while another holds it; kAborted when the schema is
  // newer than this program.
  virtual absl::StatusOr<LeaseInfo> AcquireLease(const std::string& holder, absl::Duration ttl) = 0;
  // Extends it; kAborted when it is no longer ours.
  virtual absl::StatusOr<LeaseInfo> RenewLease(const std::string& holder, Fence fence,
                                               absl::Duration ttl) = 0;
  // Gives it up at once. OK when it was not ours any more.
  virtual absl::Status ReleaseLease(const std::string& holder, Fence fence) = 0;

  // --- accounting ---------------------------------------------------------------------------
  // The longest payload of a journal row that the database takes, at most kMaxPayloadBytes of
  // limits.h. Checkpoint parts may be that long whatever the database takes at once.
  virtual std::size_t journal_payload_max() const = 0;
  // kAlreadyExists, and nothing of the batch stored, when a journal row is not after the newest
  // committed position of its (router, menu): another spool under the same or an older
  // lease epoch, a sequence or journal id at or below the newest. Gaps are the caller's to judge.
  virtual absl::Status Commit(Fence fence, const CommitBatch& batch) = 0;
  virtual absl::Status Flush(Fence fence, const FlushBatch& batch) = 0;
  // Waits for transactions under a fence that have not ended yet, so that one whose outcome nobody
  // was told is in what this reads, or never will be. Then reads in slices and calls `between`
  // after each, outside any transaction, so that the store may be used in it; an error of it ends
  // the reading. One state of everything for whoever holds the fence and does not write meanwhile.
  using BetweenSlices = absl::FunctionRef<absl::Status()>;
  virtual absl::StatusOr<RecoveredState> Recover(BetweenSlices between) = 0;
  // Journal rows with ids above `after`, ascending: as many as have at most `payload_bytes`
  // together, but at least one where there is one.
  virtual absl::StatusOr<std::vector<JournalRow>> Journal(std::uint64_t after,
                                                          std::size_t payload_bytes) = 0;
  // The newest position of every (router, menu) that has been committed, journal or not.
  struct Watermark {
    base::RouterId router;
    counters::Menu menu = counters::Menu::kSimple;
    counters::SnapshotPosition position;
  };
  virtual absl::StatusOr<std::vector<Watermark>> Watermarks() = 0;

  // The lease epoch counter of routers: the first of the next `count` numbers, all of them durable
  // before it is returned. They are above `above` too, which a spool may hold from before the
  // database was restored; one that is more than kMaxEpochStep ahead is no such number and raises
  // the counter by that much only.
  virtual absl::StatusOr<std::uint64_t> NextLeaseEpochs(Fence fence, std::uint64_t count,
                                                        std::uint64_t above) = 0;
  static constexpr std::uint64_t kMaxEpochStep = std::uint64_t{1} << 32;

  // --- policy and quotas --------------------------------------------------------------------
  virtual absl::StatusOr<PolicyRevision> LatestPolicy() = 0;
  // Stores `content` as the next revision, and an audit row beside it; returns it.
  virtual absl::StatusOr<PolicyRevision> ImportPolicy(Fence fence, const std::string& content,
                                                      std::int64_t at_us) = 0;
  // Each brings its audit row, stored in the same transaction with `before` and `after` as they are
  // there. One whose entry_id is stored already was done, and is not done again.
  virtual absl::Status PutQuotaOverride(Fence fence, const QuotaOverrideRow& row,
                                        const AuditRow& audit) = 0;
  virtual absl::Status RemoveQuotaOverride(Fence fence, const accounting::SubscriberKey& subscriber,
                                           const std::string& quota_id, const AuditRow& audit) = 0;
  virtual absl::StatusOr<std::vector<QuotaOverrideRow>> QuotaOverrides() = 0;

  // --- the audit log ------------------------------------------------------------------------
  // Nothing here changes or deletes a row. Stores rows whose entry_id is not stored yet; all or
  // none. Texts for people are cut where they are too long, ids refused.
  virtual absl::Status AppendAudit(Fence fence, const std::vector<AuditRow>& rows) = 0;
  // The first `limit` rows that the question asks for, newest first.
  virtual absl::StatusOr<std::vector<AuditRow>> AuditLog(const AuditQuestion& question) = 0;

  // --- outbox -------------------------------------------------------------------------------
  // Up to `limit` waiting rows that no other owner has claimed or whose claim ran out, oldest first
  // and in order per (subscriber, quota): a row is not handed out while an earlier one of its pair
  // waits under another owner's claim. What the owner has claimed before and not finished is handed
  // out again, in its place.
  virtual absl::StatusOr<std::vector<OutboxClaim>> ClaimOutbox(Fence fence,
                                                               const std::string& owner,
                                                               absl::Duration claim_for,
                                                               std::size_t limit) = 0;
  // Marks claimed rows as handed over (2) or rejected (3); rows of other owners are left alone.
  struct OutboxResult {
    std::uint64_t outbox_id = 0;
    std::uint8_t delivery = 2;
    std::string detail;
  };
  virtual absl::Status FinishOutbox(Fence fence, const std::string& owner,
                                    const std::vector<OutboxResult>& results) = 0;

  // --- questions ----------------------------------------------------------------------------
  // Usage rows of the days, keys filled in, in order of (day, subscriber, queue, segment). `site`
  // empty: every site.
  virtual absl::StatusOr<std::vector<StoredUsage>> UsageBetween(const base::SiteId& site,
                                                                absl::CivilDay first,
                                                                absl::CivilDay last) = 0;
  virtual absl::StatusOr<std::vector<StoredUsage>> SubscriberUsage(
      const accounting::SubscriberKey& subscriber, absl::CivilDay first, absl::CivilDay last) = 0;
  // What the store has of a span: daily rows as UsageBetween gives them, and the totals that
  // purging has made of those days' months (`row.day` the first of the month), of one state of the
  // database.
  struct History {
    absl::CivilDay purged_before;  // rows of earlier days may have gone into their months
    absl::CivilMonth kept_from;    // earlier months may be gone for good
    std::vector<StoredUsage> days;
    std::vector<StoredUsage> months;
  };
  // Whoever wants a History. What its functions answer other than OK ends the call.
  struct HistoryReader {
    // kOutOfRange, with the day or month, soon after more rows than these were found.
    std::size_t rows_max = std::numeric_limits<std::size_t>::max();
    // Asked before any row is read, with the marks of the History.
    std::function<absl::Status(absl::CivilDay purged_before, absl::CivilMonth kept_from)> begins =
        [](absl::CivilDay, absl::CivilMonth) { return absl::OkStatus(); };
    // Asked before each day and month.
    std::function<absl::Status()> go_on = [] { return absl::OkStatus(); };
  };
  virtual absl::StatusOr<History> UsageHistory(const base::SiteId& site, absl::CivilDay first,
                                               absl::CivilDay last,
                                               const HistoryReader& reader) = 0;
  // The day before which daily rows may have gone into their months; 1970-01-01 at first.
  virtual absl::StatusOr<absl::CivilDay> PurgedBefore() = 0;
  // A month's totals, purged days included, in order of (subscriber, queue): `row.day` is the first
  // of the month, the bytes across its begin and end are those at the month's own edges, sums
  // saturate at 2^63-1. `month` is any day of it. `site` empty: every site.
  virtual absl::StatusOr<std::vector<StoredUsage>> MonthUsage(const base::SiteId& site,
                                                              absl::CivilMonth month) = 0;
  virtual absl::StatusOr<std::vector<StoredUsage>> SubscriberMonth(
      const accounting::SubscriberKey& subscriber, absl::CivilMonth month) = 0;
  // Why rows of the subscriber on the days are what they are, in order of (day, queue, segment):
  // the first `limit` of them. Goes with the daily rows.
  virtual absl::StatusOr<std::vector<StoredEvidence>> Evidence(
      const accounting::SubscriberKey& subscriber, absl::CivilDay first, absl::CivilDay last,
      std::size_t limit) = 0;
  // Drops that wait for their explanation.
  virtual absl::StatusOr<std::vector<accounting::HoldRecord>> OpenHolds() = 0;
  // Epochs of the queues that began in [from_us, to_us), in order of (queue, start): the first
  // `limit` of them. kInvalidArgument for more than kMaxEpochQueues queues.
  virtual absl::StatusOr<std::vector<accounting::EpochRecord>> Epochs(
      absl::Span<const accounting::QueueKey> queues, std::int64_t from_us, std::int64_t to_us,
      std::size_t limit) = 0;
  static constexpr std::size_t kMaxEpochQueues = 200;
  // The newest `limit` that fit, newest first. kInvalidArgument for too many routers.
  virtual absl::StatusOr<EventList> Events(const EventFilter& filter, std::size_t limit) = 0;
  virtual absl::StatusOr<BreachList> Breaches(const BreachFilter& filter, std::size_t limit) = 0;
  // When reading of the site's routers began, and which were read on the days, inclusive. Days past
  // the retention of months are forgotten, when reading began is not.
  virtual absl::StatusOr<SiteReadings> Readings(const base::SiteId& site, absl::CivilDay first,
                                                absl::CivilDay last) = 0;
  // Of every site.
  virtual absl::StatusOr<std::vector<FirstReading>> FirstReadings() = 0;
  // Of every site, on the days, inclusive.
  virtual absl::StatusOr<std::vector<ReadDay>> ReadDays(absl::CivilDay first,
                                                        absl::CivilDay last) = 0;
  // Breaches of periods that began on or after the day: what the quota engine must not repeat.
  virtual absl::StatusOr<std::vector<BreachRow>> BreachesSince(absl::CivilDay period_start) = 0;
  // Events written outside a commit (refusals, policy imports).
  virtual absl::Status AppendEvents(Fence fence,
                                    const std::vector<accounting::EventRecord>& events) = 0;

  // --- keeping ------------------------------------------------------------------------------
  // Moves daily rows older than `before`, of router days that are closed, into the totals of their
  // month, in slices of at most `limit` rows; returns how many went. Call until 0.
  virtual absl::StatusOr<std::size_t> PurgeDaily(Fence fence, absl::CivilDay before,
                                                 std::size_t limit) = 0;
  // Deletes totals of months before `before` and the read days of those months, at most `limit`
  // rows of each; returns how many went. Call until 0.
  virtual absl::StatusOr<std::size_t> PurgeMonthly(Fence fence, absl::CivilMonth before,
                                                   std::size_t limit) = 0;
  // Deletes events, epochs and delivered breaches from before the instant, at most `limit` of each;
  // returns how many went. Call until 0.
  virtual absl::StatusOr<std::size_t> PurgeHistory(Fence fence, std::int64_t before_us,
                                                   std::size_t limit) = 0;
};

// Opens stores on one database whose schema is up to date. Thread-safe.
class StoreFactory {
 public:
  virtual ~StoreFactory() = default;
  // One more store, for one more thread. It may outlive the factory.
  virtual absl::StatusOr<std::unique_ptr<Store>> Connect() = 0;
};

// One MySQL server.
struct StoreHost {
  std::string host;
  std::uint16_t port = 3306;
  bool operator==(const StoreHost&) const = default;
};

// Where a store is, parsed from `store.url`.
struct StoreLocation {
  enum class Engine { kSqlite, kMysql } engine = Engine::kSqlite;
  std::string path;  // sqlite: the file
  std::string host;  // mysql: the first server
  std::uint16_t port = 3306;
  std::vector<StoreHost> more_hosts;  // mysql: tried in order when the first is away or read-only
  std::string socket;                 // mysql over a local socket instead of host and port
  std::string user;
  std::string database;
};

}  // namespace netsentinel::store
