#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"
#include "aggregator/accounting/checkpoint.h"
#include "common/base/status_macros.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::accounting {
namespace {

absl::Status Unsound(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the stored accounting state is unsound: ", what));
}

DeviceState* DeviceWithOrdinal(MenuBook& menu, std::uint32_t ordinal) {
  for (const auto& device : menu.devices) {
    if (device->ordinal == ordinal) return device.get();
  }
  return nullptr;
}

}  // namespace

absl::Status Book::Recover(const RecoveryInput& input) { return impl_->Recover(input); }

absl::Status Book::Replay(absl::Span<const StoredJournal> rows) {
  for (const StoredJournal& row : rows) {
    if (const absl::Status status = impl_->Replay(row); !status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat("journal row ", row.journal_id, " of router \"", row.router.value(), "\", ",
                       counters::MenuName(row.menu), " queues: ", status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status Book::Impl::Recover(const RecoveryInput& input) {
  told_us = input.now_us;
  NS_RETURN_IF_ERROR(RestoreNames(input));
  NS_RETURN_IF_ERROR(RestoreBlobs(input.checkpoints));
  while (input.more_checkpoints) {
    NS_ASSIGN_OR_RETURN(const std::vector<CheckpointBlob> slice, input.more_checkpoints());
    if (slice.empty()) break;
    NS_RETURN_IF_ERROR(RestoreBlobs(slice));
  }
  NS_RETURN_IF_ERROR(FinishDevices());
  for (auto& [id, site] : sites) {
    if (!site->in_policy) continue;
    const SiteSettings& settings = site->settings;
    site->calendar.Change({settings.zone, settings.day_start, settings.cuts}, input.now_us);
  }
  for (const ClosedDay& closed : input.closed_days) {
    // The router's own record says so too; a router without one was never checkpointed.
    if (FindRouter(closed.router) == nullptr) RouterFor(closed.router);
  }
  for (auto& [id, router] : routers) {
    const base::SiteId before = std::exchange(router->restored_site, base::SiteId());
    if (before.value().empty() || before == router->settings.site) continue;
    MoveRouter(*router, before, input.now_us);
  }
  Remap();
  NameLiveQueues();
  for (const RecoveryInput::Fired& mark : input.fired) {
    for (std::uint32_t rule = 0; rule < quotas.size(); ++rule) {
      if (quotas[rule].id != mark.quota_id) continue;
      fired[{SubscriberNamed(mark.subscriber), rule, mark.period_start}].push_back(
          mark.threshold_percent);
    }
  }
  for (auto& [id, router] : routers) {
    for (MenuBook& menu : router->menus) ShowOpen(menu);
  }
  RecountQuotas();
  queue_by_id.clear();
  subscriber_by_id.clear();
  book_stored = false;
  return absl::OkStatus();
}

absl::Status Book::Impl::RestoreNames(const RecoveryInput& input) {
  next_queue_id = input.next_queue_id;
  next_subscriber_id = input.next_subscriber_id;
  for (const NumberedSubscriber& stored : input.subscribers) {
    const std::uint32_t subscriber = SubscriberNamed(stored.key);
    subscribers[subscriber].id = stored.id;
    subscribers[subscriber].stored = true;
    subscriber_by_id[stored.id] = subscriber;
    next_subscriber_id = std::max(next_subscriber_id, stored.id + 1);
  }
  for (const NumberedQueue& stored : input.queues) {
    RouterBook& router = RouterFor(stored.key.router);
    MenuBook& menu = router.menu(stored.key.menu);
    const std::uint32_t queue = AddQueue(menu, stored.key.name);  // Remap says whose
    menu.queues[queue].id = stored.id;
    menu.queues[queue].stored = true;
    queue_by_id[stored.id] = {&menu, queue};
    next_queue_id = std::max(next_queue_id, stored.id + 1);
  }
  // Names that the policy brought before the store's numbers were known may have taken those of
  // others.
  for (SubscriberInfo& info : subscribers) {
    if (!info.stored) info.id = next_subscriber_id++;
  }
  return absl::OkStatus();
}

absl::Status Book::Impl::RestoreBlobs(absl::Span<const CheckpointBlob> blobs) {
  for (const CheckpointBlob& blob : blobs) {
    if (const absl::Status status = RestoreBlob(blob); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("checkpoint ", blob.state_key, ", part ",
                                                      blob.part, ": ", status.message()));
    }
  }
  return absl::OkStatus();
}

// Keys are "b", "r/<router>", "s/<router>/<menu>/<ordinal>" and
// "d/<router>/<menu>/<day>/<segment>".
absl::Status Book::Impl::RestoreBlob(const CheckpointBlob& blob) {
  if (blob.state_key == "b") return RestoreBook(blob.payload);
  const std::vector<std::string> words = absl::StrSplit(blob.state_key, '/');
  if (words.size() < 2) return Unsound(absl::StrCat("key ", blob.state_key));
  RouterBook& router = RouterFor(base::RouterId(words[1]));
  if (words[0] == "r" && words.size() == 2) return RestoreRouter(router, blob.payload);
  if (words.size() < 4) return Unsound(absl::StrCat("key ", blob.state_key));
  MenuBook& menu =
      router.menu(words[2] == "simple" ? counters::Menu::kSimple : counters::Menu::kTree);
  if (words[0] == "d") return RestorePartition(menu, blob);
  std::uint32_t ordinal = 0;
  if (words[0] != "s" || !absl::SimpleAtoi(words[3], &ordinal)) {
    return Unsound(absl::StrCat("key ", blob.state_key));
  }
  return RestoreDevicePart(menu, ordinal, blob);
}

absl::Status Book::Impl::RestoreBook(absl::string_view payload) {
  NS_ASSIGN_OR_RETURN(std::vector<StoredCalendar> calendars, DecodeCalendars(payload));
  for (StoredCalendar& stored : calendars) {
    SiteFor(base::SiteId(stored.site)).calendar =
        Calendar::FromVersions(std::move(stored.versions));
  }
  return absl::OkStatus();
}

absl::Status Book::Impl::RestoreRouter(RouterBook& router, absl::string_view payload) {
  NS_ASSIGN_OR_RETURN(const StoredRouter stored, DecodeRouter(payload));
  router.open_from_us = stored.open_from_us;
  router.restored_site = base::SiteId(stored.site);
  if (!router.in_policy && !stored.site.empty()) {
    router.settings.site = router.restored_site;
    router.site = &SiteFor(router.settings.site);
  }
  if (!router.in_policy && stored.rules.has_value()) {
    router.settings.account = stored.rules->account;
    router.settings.parents = stored.rules->parents;
    router.settings.line_rate_bps = stored.rules->line_rate_bps;
    router.settings.poll_interval = absl::Microseconds(stored.rules->poll_interval_us);
  }
  for (std::size_t i = 0; i < router.menus.size(); ++i) {
    router.menus[i].next_ordinal = stored.menus[i].next_ordinal;
    router.menus[i].restored_current = stored.menus[i].current;
    router.menus[i].last_journal_id = stored.menus[i].journal_id;
    router.menus[i].twin = stored.menus[i].twin;
  }
  return absl::OkStatus();
}

absl::Status Book::Impl::RestoreDevicePart(MenuBook& menu, std::uint32_t ordinal,
                                           const CheckpointBlob& blob) {
  DeviceState* device = DeviceWithOrdinal(menu, ordinal);
  if (device == nullptr) {
    if (KindOfPart(blob.part) != BlobKind::kHead) {
      return Unsound(absl::StrCat(blob.state_key, " has no head"));
    }
    if (menu.devices.size() >= 2 * kMaxDevicesPerMenu) return Unsound("too many devices");
    menu.devices.push_back(std::make_unique<DeviceState>());
    device = menu.devices.back().get();
    device->ordinal = ordinal;
    device->serial = next_serial++;
  }
  NS_RETURN_IF_ERROR(DecodeStatePart(blob.part, blob.payload, device->head, device->state));
  const std::uint32_t number = blob.part & 0xFFFFFF;
  switch (KindOfPart(blob.part)) {
    case BlobKind::kHead:
      device->device_key = device->head.device_key;
      device->snapshots = device->head.snapshots;
      break;
    case BlobKind::kRows:
      device->stored_row_parts = std::max(device->stored_row_parts, number + 1);
      break;
    case BlobKind::kDictionary:
      device->stored_dictionary_parts.insert(number);
      break;
    case BlobKind::kPending:
      device->stored_pending_parts = std::max(device->stored_pending_parts, number + 1);
      break;
    case BlobKind::kTombstones:
      device->stored_tombstone_parts = std::max(device->stored_tombstone_parts, number + 1);
      break;
    case BlobKind::kDisputes:
      device->stored_dispute_parts = std::max(device->stored_dispute_parts, number + 1);
      break;
  }
  return absl::OkStatus();
}

absl::Status Book::Impl::RestorePartition(MenuBook& menu, const CheckpointBlob& blob) {
  NS_ASSIGN_OR_RETURN(DecodedRows decoded, DecodeRows(blob.payload));
  Partition& partition = PartitionFor(menu, decoded.span);
  for (StoredRow& stored : decoded.rows) {
    const auto queue = queue_by_id.find(stored.queue_id);
    const auto subscriber = subscriber_by_id.find(stored.subscriber_id);
    if (queue == queue_by_id.end() || queue->second.first != &menu ||
        subscriber == subscriber_by_id.end()) {
      return Unsound(absl::StrCat(blob.state_key, " names a queue or subscriber that has no row"));
    }
    stored.row.queue = queue->second.second;
    stored.row.subscriber = subscriber->second;
    partition.Restore(stored.row, stored.extra, std::move(stored.evidence));
    auto& queues = subscribers[subscriber->second].queues;
    if (std::find(queues.begin(), queues.end(), queue->second) == queues.end()) {
      queues.push_back(queue->second);
    }
  }
  partition.stored = true;
  partition.stored_parts = std::max(partition.stored_parts, blob.part + 1);
  return absl::OkStatus();
}

absl::Status Book::Impl::FinishDevices() {
  for (auto& [id, router] : routers) {
    for (MenuBook& menu : router->menus) {
      for (const auto& device : menu.devices) {
        NS_RETURN_IF_ERROR(FinishState(device->head, device->state));
        device->stored = true;
        device->stored_next_index = device->state.dictionary.next_index();
        IndexDevice(menu, device->device_key);
        menu.next_ordinal = std::max(menu.next_ordinal, device->ordinal + 1);
      }
      if (menu.restored_current == 0) continue;
      menu.current = DeviceWithOrdinal(menu, menu.restored_current - 1);
      if (menu.current == nullptr) {
        return Unsound(absl::StrCat("router ", id.value(), " has lost its device's state"));
      }
    }
  }
  return absl::OkStatus();
}

void Book::Impl::NameLiveQueues() {
  for (auto& [id, router] : routers) {
    if (!router->in_policy) continue;
    for (MenuBook& menu : router->menus) {
      if (menu.current == nullptr) continue;
      const MenuState& state = menu.current->state;
      for (const counters::QueueReading& row : state.rows) {
        if (row.descriptor == kNoRow) continue;
        QueueNamed(*router, menu, state.dictionary.Find(row.descriptor)->name);
      }
    }
  }
}

// The same core, fed from the journal. What it causes beyond the state is stored already.
absl::Status Book::Impl::Replay(const StoredJournal& row) {
  RouterBook& router = RouterFor(row.router);
  MenuBook& menu = router.menu(row.menu);
  if (row.journal_id <= menu.last_journal_id) return absl::OkStatus();
  MenuChange change;
  change.router = &router;
  change.menu = &menu;
  change.received_us = row.received_us;
  NS_ASSIGN_OR_RETURN(const OpenedJournal opened, OpenJournal(row.payload));
  NS_ASSIGN_OR_RETURN(const counters::SnapshotHeader header,
                      counters::DecodeJournalHeader(opened.payload));
  std::vector<EventRecord> ignored_events;
  ChooseDevice(header, change, ignored_events);
  if (opened.place != change.target().snapshots + 1) {
    return Unsound(absl::StrCat("it is number ", opened.place,
                                " of its device, and follows number ", change.target().snapshots,
                                ": rows are missing"));
  }
  MenuState& state = change.target().state;
  NS_ASSIGN_OR_RETURN(counters::JournalEntry entry,
                      counters::DecodeJournal(state.base(), row.router, row.menu, opened.payload));
  change.added = std::move(entry.added);
  if (!change.added.empty() && change.added.front().first != state.dictionary.next_index()) {
    return Unsound("it does not follow its state");
  }
  NS_ASSIGN_OR_RETURN(change.staged, accounting::Stage(state, InputOf(change, entry.snapshot)));
  StagedBatch ignored;
  JudgeTwins(change, entry.snapshot, {}, ignored_events);
  LeaveBehind(change, ignored);
  Expand(change.staged.effects, change.target(), change);
  StagedJournal journal;
  journal.journal_id = row.journal_id;
  InstallOne(change, journal);
  return absl::OkStatus();
}

}  // namespace netsentinel::accounting
