#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"

#include "aggregator/ingest/agreed_time.h"
#include "aggregator/ingest/event_queue.h"
#include "aggregator/ingest/flush_worker.h"
#include "aggregator/ingest/frame_decoder.h"
#include "aggregator/ingest/lease_table.h"
#include "aggregator/ingest/notices.h"
#include "aggregator/ingest/reading_board.h"
#include "aggregator/ingest/router_board.h"
#include "aggregator/ingest/shared_book.h"
#include "aggregator/store/store.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/log/logger.h"

namespace netsentinel::ingest {

// What one router may expect, beside what the Book's policy says.
struct RouterAdmission {
  std::vector<base::CollectorId> collectors;  // that may read it
  absl::Duration poll_interval;               // zero leaves it to the collector
  base::SiteId site;
};

// One revision of everything the engine follows.
struct EnginePolicy {
  accounting::Policy accounting;  // without overrides: those come from the store
  std::string text;  // two policies that mean the same have the same text; kept as a revision
  std::map<base::RouterId, RouterAdmission> admission;
};

struct EngineSettings {
  std::string instance;  // names this aggregator in leases and logs
  absl::Duration router_lease_ttl = absl::Seconds(60);
  absl::Duration store_lease_ttl = absl::Seconds(15);
  absl::Duration flush_interval = absl::Seconds(60);
  std::uint64_t stream_credit_bytes = 8U << 20;
  int boundary_days = 45;
  // The database runs on another host: its clock is a witness of what time it is.
  bool database_elsewhere = false;
  std::size_t batch_snapshots_max = 2'000;
  // Frames of a commit's snapshots, on the wire; one snapshot may be larger.
  std::uint64_t batch_bytes_max = std::uint64_t{32} << 20;
  // A stream without a hello, or with a snapshot of which no further part comes, is ended.
  absl::Duration hello_deadline = absl::Seconds(15);
  absl::Duration part_deadline = absl::Seconds(60);
  // What the journal may hold beyond the checkpoints, and with it what a restart replays. At half
  // of it a flush is made at once; at all of it no snapshot is taken until a flush has come
  // through, and they wait in their spools.
  std::size_t journal_bytes_max = std::size_t{512} << 20;
  // A restart that has replayed so much of it makes that durable before it goes on, so that the
  // next one does not begin where this one did.
  std::size_t replay_flush_bytes = std::size_t{64} << 20;
  base::BackoffPolicy store_backoff{.initial = absl::Milliseconds(100),
                                    .maximum = absl::Seconds(5)};
};

// What the engine tells the rest of the program. Called from its thread; must not block.
struct EngineSignals {
  std::function<void()> breaches_stored;
  // OK: snapshots are taken and committed. Else why not, in words.
  std::function<void(const absl::Status&)> readiness;
  std::function<void(std::size_t snapshots, std::size_t readings, absl::Duration)> committed;
  std::function<void(std::size_t rows, absl::Duration)> flushed;
  // OK: usage rows and checkpoints reach the store. Else why not, in words.
  std::function<void(const absl::Status&)> flushing;
  std::function<void(RefusalReason)> refused;
  // OK: it is known what time it is. Else what is wrong with this host's clock, in words.
  std::function<void(const absl::Status&)> clock = [](const absl::Status&) {};
};

struct EngineParts {
  SharedBook& book;
  store::Store& store;  // the engine's alone
  FlushWorker& flush_worker;
  EventQueue& events;
  RouterBoard& board;
  ReadingBoard& readings;
  AgreedClock& clock;
  base::RandomSource& random;
  log::Logger& logger;
  EngineSignals signals;
};

// The active aggregator's heart: takes the streams' events one by one, stages what they bring,
// commits, installs, acknowledges; flushes now and then; keeps the lease. One thread calls Run;
// Stop, SetPolicy and RefreshOverrides may be called from any.
class Engine {
 public:
  Engine(EngineParts parts, EngineSettings settings, EnginePolicy policy);

  // Works under the fence until Stop (OK, after a last flush) or until it must not go on:
  // kAborted the lease is another's; any other error the store's state cannot be used. The caller
  // has acquired the lease; it is kept while the store's state is read back too. `stored` is the
  // policy under which that state was written: what waits in the journal is counted under it, then
  // the configured policy, where it is another, is taken as if it had changed just now. May be
  // called again after an error.
  absl::Status Run(store::Fence fence, EnginePolicy stored);
  void Stop();
  // The configuration changed. Taken over by the running engine; an unusable one is logged and the
  // old one stays.
  void SetPolicy(EnginePolicy policy);
  // Overrides in the store changed.
  void RefreshOverrides();

 private:
  // Snapshots of one (router, menu) on one stream, waiting as frames until their turn: the decoder
  // holds one snapshot at a time.
  struct Lane {
    FrameDecoder decoder;
    std::deque<SnapshotPart> parts;
    std::size_t whole = 0;  // snapshots in `parts` whose last part has come
    // The sequence whose remaining parts are dropped after a part that could not be read.
    std::optional<std::uint64_t> dropping;
    absl::Duration last_part_at;
  };
  using LaneKey = std::pair<base::RouterId, counters::Menu>;
  struct Stream {
    std::shared_ptr<StreamSink> sink;
    base::CollectorId identity;
    absl::Duration opened_at;
    std::string host_boot_id;
    std::optional<LeaseParty> party;                         // after its hello
    std::map<base::RouterId, std::uint64_t> offered_epochs;  // the newest its spool has rows of
    std::map<LaneKey, Lane> lanes;
    std::vector<base::RouterId> waiting_for_lease;
  };
  // A decoded snapshot on its way through one commit.
  struct Candidate {
    StreamId stream = 0;
    LaneKey lane;
    OfferedPosition offered;
    counters::Snapshot snapshot;
    std::shared_ptr<accounting::StreamDictionary> dictionary;
    std::int64_t received_us = 0;
    std::uint64_t wire_bytes = 0;
  };
  // The engine looks after its deadlines at least this often.
  static constexpr absl::Duration kTick = absl::Milliseconds(500);
  enum class CommitResult { kDone, kReload, kStop, kFatal };

  // engine_recover.cc
  absl::Status Recover();
  absl::Status ReadBack();
  absl::Status ReplayJournal(accounting::Book& book);
  absl::Status FlushReplayed(accounting::Book& book, std::int64_t received_us);
  void BeginTime(store::RecoveredState& state);
  absl::Status KeepLeaseWhileReading();
  absl::Status LeaseStillOurs();
  void Reload(absl::string_view why);
  void AwaitFlushWorker();

  // engine.cc
  absl::Status ApplyPolicy();
  absl::Status LoadOverrides();
  void TakePolicyChange();
  absl::Status TakePolicy(const EnginePolicy& policy);
  absl::Status ImportPolicy(const EnginePolicy& policy);
  void Housekeep();
  void LookAtClock();
  // What to tell collectors: 0 while it is not agreed what time it is.
  std::int64_t TimeToTellUs() const { return parts_.clock.ReceiptUs(); }
  void KeepStoreLease();
  void HandleFlush(absl::Duration wait);
  void SettleFlush(FlushWorker::Outcome outcome);
  std::optional<FlushWorker::Outcome> AwaitFlush();
  bool FlushNow();
  void StartFlush();
  bool JournalFull() const { return journal_bytes_ >= settings_.journal_bytes_max; }
  void SayReady();
  void CloseAll(const absl::Status& status);
  void CloseArriving(absl::Duration wait);
  absl::Duration Pause();

  // engine_streams.cc
  void Handle(StreamEvent event);
  void HandleMessage(StreamId id, Stream& stream, CollectorMessage message);
  void HandleHello(StreamId id, Stream& stream, const HelloMessage& hello);
  void HandlePart(Stream& stream, SnapshotPart part);
  void HearCollector(const Stream& stream, std::int64_t collector_us);
  void HandleState(Stream& stream, const RouterStateMessage& state);
  void Drop(StreamId id, const absl::Status& status);
  void HandleClosed(StreamId id);
  void DropSilent();
  void CloseOlderStreams(StreamId id, const base::CollectorId& collector);
  std::vector<RouterWelcome> Welcome(Stream& stream, const std::vector<base::RouterId>& routers);
  using Grants = std::vector<std::optional<LeaseGrantMessage>>;  // one a router asked for
  Grants GrantLeases(Stream& stream, const std::vector<base::RouterId>& routers);
  void TellFormerHolder(const base::RouterId& router, const LeaseParty& next);
  void GrantLapsedLeases();
  // The grant under which the stream may speak of the router; null with the reason in `refusal`,
  // which names router, menu and sequence.
  const RouterAdmission* Admit(const Stream& stream, RefusalMessage& refusal) const;
  void Refuse(Stream& stream, const RefusalMessage& refusal);
  void Tell(absl::string_view kind, const Stream& stream, const LaneKey& lane,
            absl::string_view detail);
  void Acknowledge(Stream& stream, const LaneKey& lane, const counters::SnapshotPosition& position,
                   bool superseded);

  // engine_commit.cc
  bool CommitRound();
  std::vector<Candidate> Collect();
  std::optional<Candidate> NextOf(StreamId id, Stream& stream, const LaneKey& key, Lane& lane);
  std::optional<DecodedSnapshot> DecodeNext(Stream& stream, const LaneKey& key, Lane& lane,
                                            Candidate& candidate);
  bool Judge(Stream& stream, const LaneKey& key, const OfferedPosition& offered);
  // What is staged and in no way beyond what the store takes.
  struct Storable {
    accounting::StagedBatch staged;
    store::CommitBatch batch;
  };
  std::optional<Storable> StageStorable(std::vector<Candidate>& candidates);
  Storable StageAndBuild(const std::vector<Candidate>& candidates);
  bool RefuseTooLarge(const store::CommitBatch& batch, std::vector<Candidate>& candidates);
  accounting::StagedBatch Stage(const std::vector<Candidate>& candidates);
  CommitResult Commit(const store::CommitBatch& batch);
  store::CommitBatch BuildBatch(accounting::StagedBatch& staged,
                                const std::vector<Candidate>& candidates);
  // Adds to the batch what is not known yet of when the lane's router was read: at `at_us`.
  void NoteReading(const LaneKey& lane, std::int64_t at_us, store::CommitBatch& batch);
  void ReadingsCommitted(const store::CommitBatch& batch);
  void Settle(const std::vector<Candidate>& candidates, const std::vector<absl::Status>& results);

  std::int64_t NowUs() const { return absl::ToUnixMicros(parts_.clock.WallNow()); }

  EngineParts parts_;
  const EngineSettings settings_;
  EnginePolicy policy_;
  std::vector<accounting::QuotaOverride> overrides_;
  store::Fence fence_;
  base::Backoff store_backoff_;
  LeaseTable leases_;
  std::map<StreamId, Stream> streams_;
  std::map<LaneKey, counters::SnapshotPosition> watermarks_;
  // What the store is known to have of when routers were read: since when, and of each menu the
  // last local day of its site.
  std::map<std::pair<base::SiteId, base::RouterId>, std::int64_t> first_readings_;
  struct NotedDay {
    base::SiteId site;
    std::int64_t begin_us = 0;
    std::int64_t end_us = 0;

    bool Holds(const base::SiteId& of, std::int64_t at_us) const {
      return site == of && at_us >= begin_us && at_us < end_us;
    }
  };
  std::map<LaneKey, NotedDay> noted_days_;
  std::uint64_t next_journal_id_ = 1;
  // Of rows that no flush has covered yet; of those, what the flush under way covers.
  std::size_t journal_bytes_ = 0;
  std::size_t journal_bytes_in_flush_ = 0;
  std::size_t replayed_rows_ = 0;
  std::string clock_trouble_;                 // as it was told last
  std::vector<TimeAnchor> stored_anchors_;    // of all boots
  std::vector<TimeAnchor> anchors_in_flush_;  // what is stored once the flush under way is
  bool flush_failing_ = false;
  absl::Duration next_flush_;
  absl::Duration next_lease_renewal_;
  absl::Duration next_policy_try_;
  absl::Duration next_lease_try_;
  Notices notices_;
  std::size_t notices_staged_ = 0;  // how many of them are in the batch that was built last
  // Whether the store took the last policy that was to be imported is not known: until it is,
  // nothing is committed, since it might be replayed under the other one.
  bool import_unknown_ = false;
  bool judge_quotas_ = false;  // an empty batch is due after a policy change
  absl::Status fatal_;
  bool book_current_ = false;  // the Book holds what the store holds, and may be flushed

  std::atomic<bool> stopping_{false};
  base::Mutex change_mutex_;
  EnginePolicy configured_ ABSL_GUARDED_BY(change_mutex_);
  std::optional<EnginePolicy> changed_policy_ ABSL_GUARDED_BY(change_mutex_);
  bool overrides_changed_ ABSL_GUARDED_BY(change_mutex_) = false;
};

}  // namespace netsentinel::ingest
