#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_twins.h"
#include "aggregator/accounting/calendar.h"
#include "aggregator/accounting/checkpoint.h"
#include "aggregator/accounting/ledger.h"
#include "aggregator/accounting/mapping.h"
#include "aggregator/accounting/menu_state.h"
#include "aggregator/accounting/name_budget.h"

// What a Book is made of. For the Book's own sources only.
namespace netsentinel::accounting {

inline constexpr std::size_t kMaxDevicesPerMenu = 8;
inline constexpr std::int64_t kNeverUs = std::numeric_limits<std::int64_t>::min();
// A day nobody finished is closed this long after its end.
inline constexpr std::int64_t kOpenDaysUs = 35 * kDayUs;

// A queue's name in a menu, whatever device it is on.
struct QueueInfo {
  std::string name;
  std::uint64_t id = 0;  // in the store
  bool stored = false;   // the store knows the name
  bool counts = true;
  Direction direction = Direction::kBoth;
  std::uint32_t subscriber = 0;
};

struct DeviceState {
  std::string device_key;
  std::uint32_t ordinal = 0;    // names the state in the store
  std::uint64_t serial = 0;     // tells StreamDictionary which numbering it has cached
  std::uint64_t snapshots = 0;  // taken in ever; journal rows follow one another by it
  MenuState state;
  std::vector<std::uint32_t> queue_of;  // by descriptor; kNoRow unknown

  StateHead head;       // while it is being read back
  bool stored = false;  // its checkpoint is up to date
  // What of it the store has: row parts, pending parts, and dictionary parts by number.
  std::uint32_t stored_row_parts = 0;
  std::uint32_t stored_pending_parts = 0;
  std::uint32_t stored_tombstone_parts = 0;
  std::uint32_t stored_dispute_parts = 0;
  std::set<std::uint32_t> stored_dictionary_parts;
  DescriptorIndex stored_next_index = 0;
};

struct RouterBook;

struct MenuBook {
  RouterBook* router = nullptr;
  counters::Menu menu = counters::Menu::kSimple;
  std::vector<std::unique_ptr<DeviceState>> devices;
  DeviceState* current = nullptr;
  std::uint32_t next_ordinal = 0;
  std::uint32_t restored_current = 0;  // ordinal + 1, while it is being read back
  std::vector<QueueInfo> queues;
  absl::flat_hash_map<std::string, std::uint32_t> queue_by_name;
  Partitions partitions;
  std::uint64_t last_journal_id = 0;
  std::uint64_t journal_rows = 0;  // since the last checkpoint
  TwinMark twin;                   // of the last snapshot
};

struct SiteBook {
  SiteSettings settings;
  Calendar calendar;
  bool in_policy = true;
};

struct RouterBook {
  RouterSettings settings;
  SiteBook* site = nullptr;
  bool in_policy = true;
  // Instants before this belong to closed days.
  std::int64_t open_from_us = kNeverUs;
  std::array<MenuBook, 2> menus;
  NameBudget names;
  std::vector<ClosedDay> closed;  // to be flushed
  // Days from open_from_us on that were closed at another site are open again; to be flushed.
  bool reopened = false;
  base::SiteId restored_site;  // of its checkpoint, while it is being read back

  MenuBook& menu(counters::Menu which) { return menus[which == counters::Menu::kSimple ? 0 : 1]; }
};

// A subscriber's use of one quota in its newest period.
struct QuotaUse {
  absl::CivilDay period_start;
  bool started = false;
  base::TrafficBytes counted;
  std::uint64_t next_threshold = quota::kNever;
};

struct SubscriberInfo {
  SubscriberKey key;
  std::uint64_t id = 0;
  bool stored = false;
  std::vector<std::pair<MenuBook*, std::uint32_t>> queues;
  absl::InlinedVector<QuotaUse, 1> uses;  // by quota rule
  // Bytes of the batch being staged, whatever their day.
  std::uint64_t scratch_serial = 0;
  base::TrafficBytes scratch;
};

struct FiredKey {
  std::uint32_t subscriber = 0;
  std::uint32_t rule = 0;
  absl::CivilDay period_start;

  bool operator==(const FiredKey&) const = default;
  bool operator<(const FiredKey& other) const {
    return std::tie(subscriber, rule, period_start) <
           std::tie(other.subscriber, other.rule, other.period_start);
  }
  template <typename H>
  friend H AbslHashValue(H state, const FiredKey& key) {
    return H::combine(std::move(state), key.subscriber, key.rule, key.period_start);
  }
};

// What Install does for one snapshot.
struct MenuChange {
  RouterBook* router = nullptr;
  MenuBook* menu = nullptr;
  DeviceState* device = nullptr;            // where it goes, or
  std::unique_ptr<DeviceState> new_device;  // what it makes
  std::string adopted_key;                  // the device told who it is
  std::unique_ptr<MenuState> left_behind;   // the replaced device's state without holds
  Staged staged;
  std::size_t journal = 0;  // its row in StagedBatch::journal
  std::int64_t received_us = 0;
  TwinMark twin;

  std::vector<DaySpan> spans;
  std::vector<RowChange> rows;
  std::vector<DoubtChange> doubts;
  std::vector<DisputedStep> steps;  // by DoubtChange::why

  StreamDictionary* dictionary = nullptr;
  counters::AddedDescriptors added;
  std::vector<std::pair<DescriptorIndex, DescriptorIndex>> translations;  // stream → state
  std::vector<std::pair<DescriptorIndex, std::uint32_t>> queue_of;        // of added ones

  DeviceState& target() { return new_device != nullptr ? *new_device : *device; }
};

struct FiredMark {
  FiredKey key;
  std::uint32_t threshold_percent = 0;
};

struct StagedInternals {
  std::vector<std::unique_ptr<MenuChange>> changes;
  ChangeIndex by_device;  // of `changes`
  std::vector<FiredMark> fired;
  bool reviewed = false;
  std::size_t late_epochs = 0;  // of Impl::late_epochs, that the batch holds
  std::size_t late_holds = 0;
  std::size_t late_events = 0;
};

// Attribution time of the newest snapshot of any menu; 0 before the first.
std::int64_t NewestReading(const RouterBook& router);

// Keys of checkpoints.
std::string DeviceKey(const MenuBook& menu, std::uint32_t ordinal);
std::string PartitionName(const MenuBook& menu, const PartitionKey& key);
std::string RouterKey(const RouterBook& router);

struct Book::Impl {
  // --- policy -------------------------------------------------------------------------------
  absl::Status SetPolicy(const Policy& policy, std::int64_t now_us);
  void Remap();
  // Queues that never moved a byte are in no list of the store: they are known by their states.
  void NameLiveQueues();
  void RecountQuotas();
  void MoveRouter(RouterBook& router, const base::SiteId& from, std::int64_t now_us);
  void NoteShortHistory(const std::vector<quota::Rule>& old, std::int64_t now_us);
  void TakeLate(StagedBatch& batch);
  void ForgetLate(const StagedInternals& internals);
  quota::Limit LimitOf(std::uint32_t subscriber, std::uint32_t rule) const;
  std::vector<std::uint32_t> FiredOf(const FiredKey& key) const;

  // --- staging ------------------------------------------------------------------------------
  absl::Status StageOne(const Incoming& incoming, std::size_t input, StagedBatch& batch);
  void ChooseDevice(const counters::SnapshotHeader& header, MenuChange& change,
                    std::vector<EventRecord>& events);
  absl::Status Translate(const Incoming& incoming, MenuChange& change, counters::Snapshot& out);
  // Whether the names that a snapshot brings are within what its router and site may bring.
  absl::Status CheckNames(const MenuChange& change, std::size_t queues);
  static MenuPlace PlaceOf(const RouterBook& router, const MenuBook& menu);
  static StageInput InputOf(const MenuChange& change, const counters::Snapshot& snapshot);
  void LeaveBehind(MenuChange& change, StagedBatch& batch);

  // book_twins.cc
  // Says in `change.twin` what the staged snapshot is, and takes out of its effects, or adds, what
  // counts under another entry, or no longer does.
  void JudgeTwins(MenuChange& change, const counters::Snapshot& snapshot, const ChangeIndex& staged,
                  std::vector<EventRecord>& events);
  static void TakeOver(const MenuChange& change, const MenuState& state,
                       const counters::SnapshotHeader& from, const ReadingsByName& theirs,
                       Effects& effects);
  void IndexDevice(MenuBook& menu, const std::string& device_key);
  void UnindexDevice(const MenuBook& menu, const std::string& device_key);
  void Expand(const Effects& effects, DeviceState& device, MenuChange& change);
  void ExpandDelta(const Delta& delta, std::uint32_t queue, MenuChange& change);
  void ExpandDoubt(const Doubt& doubt, std::uint32_t queue, MenuChange& change);
  void NoteWatched(const Doubt& doubt, std::uint32_t queue, MenuChange& change);
  static Grade GradeOf(const Doubt& doubt, const RouterBook& router);
  static std::uint32_t NoteStep(const Doubt& doubt, const base::TrafficBytes& counted,
                                const base::TrafficBytes& unseen, Direction direction,
                                MenuChange& change);
  std::uint32_t SpanIndex(MenuChange& change, std::int64_t at_us);
  std::uint32_t QueueOf(DeviceState& device, DescriptorIndex descriptor, MenuChange& change);
  std::uint32_t QueueNamed(RouterBook& router, MenuBook& menu, const std::string& name);
  std::uint32_t AddQueue(MenuBook& menu, const std::string& name);
  std::uint32_t SubscriberNamed(const SubscriberKey& key);
  void Resolve(RouterBook& router, MenuBook& menu, std::uint32_t queue);

  // --- quotas -------------------------------------------------------------------------------
  void Judge(StagedBatch& batch);
  void JudgeOne(const FiredKey& key, std::int64_t at_us, StagedBatch& batch);
  void AddStagedRows(std::uint32_t subscriber, const StagedInternals& staged,
                     std::vector<UsageRow>& rows) const;
  std::vector<UsageRow> RowsOf(std::uint32_t subscriber, absl::CivilDay first, absl::CivilDay last,
                               bool with_open) const;
  void CountUse(std::uint32_t subscriber, absl::CivilDay day, const base::TrafficBytes& bytes);
  std::uint64_t NextThreshold(std::uint32_t subscriber, std::uint32_t rule,
                              absl::CivilDay period_start) const;

  // --- installing ---------------------------------------------------------------------------
  void InstallOne(MenuChange& change, const StagedJournal& journal);
  static void NoteNumbers(const MenuChange& change, DeviceState& device);
  void ApplyRows(const MenuChange& change);
  // What the disputes of the menu come to as things stand is shown with its rows.
  void ShowOpen(MenuBook& menu);
  void CloseDays(RouterBook& router, std::int64_t received_us);
  void FinishRows(RouterBook& router, const DaySpan& day);
  Partition& PartitionFor(MenuBook& menu, const DaySpan& span);
  bool Counts(const RouterBook& router, const MenuBook& menu) const;
  void BoundDevices(MenuBook& menu);

  // --- flushing -----------------------------------------------------------------------------
  void FlushRows(RouterBook& router, StagedFlush& flush);
  void CheckpointRouter(RouterBook& router, StagedFlush& flush);
  void CheckpointDevice(const MenuBook& menu, DeviceState& device, StagedFlush& flush);
  void CheckpointPartition(MenuBook& menu, Partition& partition, StagedFlush& flush);
  void CheckpointBook(StagedFlush& flush);
  void CloseOldDays(RouterBook& router, std::int64_t now_us, StagedFlush& flush);
  void ResolveRetired(RouterBook& router, std::int64_t now_us, StagedFlush& flush);
  void MarkPartial(RouterBook& router, const base::SiteId& site, absl::CivilDay first,
                   absl::CivilDay last);
  void DropRetired(RouterBook& router, std::int64_t now_us);
  void DropPartition(MenuBook& menu, Partitions::iterator partition);
  void DropOldPartitions(RouterBook& router);
  void DropDevice(const MenuBook& menu, const DeviceState& device);
  // The first day that reports or one of the rules ask for.
  static absl::CivilDay OldestNeeded(const std::vector<quota::Rule>& rules, absl::CivilDay today);
  void NumberNames(MenuBook& menu, const DayRow& row, StagedFlush& flush);

  // --- recovering ---------------------------------------------------------------------------
  absl::Status Recover(const RecoveryInput& input);
  absl::Status RestoreNames(const RecoveryInput& input);
  absl::Status RestoreBlob(const CheckpointBlob& blob);
  absl::Status RestoreBook(absl::string_view payload);
  absl::Status RestoreRouter(RouterBook& router, absl::string_view payload);
  absl::Status RestoreDevicePart(MenuBook& menu, std::uint32_t ordinal, const CheckpointBlob& blob);
  absl::Status RestorePartition(MenuBook& menu, const CheckpointBlob& blob);
  absl::Status FinishDevices();
  absl::Status Replay(const StoredJournal& row);

  UsageRow Figures(const MenuBook& menu, const Partition& partition, const DayRow& row,
                   bool with_open = true) const;
  RouterBook* FindRouter(const base::RouterId& id) const;
  RouterBook& RouterFor(const base::RouterId& id);
  SiteBook& SiteFor(const base::SiteId& id);

  Mapper mapper;
  std::vector<quota::Rule> quotas;
  absl::flat_hash_map<std::pair<std::uint32_t, std::uint32_t>, quota::Limit> limits;
  std::map<base::SiteId, std::unique_ptr<SiteBook>> sites;
  std::map<base::RouterId, std::unique_ptr<RouterBook>> routers;
  std::vector<SubscriberInfo> subscribers;
  absl::flat_hash_map<SubscriberKey, std::uint32_t> subscriber_by_key;
  absl::flat_hash_map<FiredKey, std::vector<std::uint32_t>> fired;
  bool review_quotas = false;
  std::int64_t reviewed_at_us = 0;
  // Devices that left memory; their checkpoints go with the next flush.
  std::vector<std::pair<MenuBook*, std::unique_ptr<DeviceState>>> forgotten;
  bool book_stored = false;
  // Records of what no snapshot caused; they go with the next batch that is committed.
  std::vector<EpochRecord> late_epochs;
  std::vector<HoldRecord> late_holds;
  std::vector<EventRecord> late_events;

  std::uint64_t name_bytes = 0;  // of all routers' queues
  std::uint64_t next_queue_id = 1;
  std::uint64_t next_subscriber_id = 1;
  std::uint64_t next_serial = 1;
  // The newest instant that the Book was told of, by a recovery or a flush.
  DeviceIndex menus_of_device;
  std::int64_t told_us = 0;
  std::uint64_t batch_serial = 0;

  // Of the flush under way.
  struct InFlight {
    bool active = false;
    std::vector<std::pair<MenuBook*, std::pair<PartitionKey, std::uint32_t>>> rows;
    std::vector<std::pair<MenuBook*, std::pair<PartitionKey, std::uint32_t>>> evidence;
    std::vector<std::pair<MenuBook*, std::uint32_t>> queues;
    std::vector<std::uint32_t> subscribers;
    std::vector<RouterBook*> routers;  // checkpointed
    std::vector<RouterBook*> reopened;
    std::vector<std::pair<RouterBook*, std::vector<ClosedDay>>> closed;
    std::vector<std::pair<std::string, std::uint32_t>> dropped;
  } in_flight;
  std::vector<std::pair<std::string, std::uint32_t>> to_drop;
  // Figures that recovery reads queue ids by: the store's numbers.
  absl::flat_hash_map<std::uint64_t, std::pair<MenuBook*, std::uint32_t>> queue_by_id;
  absl::flat_hash_map<std::uint64_t, std::uint32_t> subscriber_by_id;
};

}  // namespace netsentinel::accounting
