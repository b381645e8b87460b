#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"
#include "aggregator/accounting/checkpoint.h"
#include "common/base/check.h"

namespace netsentinel::accounting {
namespace {

std::uint32_t PartsOf(std::size_t count) {
  return static_cast<std::uint32_t>((count + kQueuesPerPart - 1) / kQueuesPerPart);
}

}  // namespace

std::string DeviceKey(const MenuBook& menu, std::uint32_t ordinal) {
  return absl::StrCat("s/", menu.router->settings.id.value(), "/", counters::MenuName(menu.menu),
                      "/", ordinal);
}

std::string PartitionName(const MenuBook& menu, const PartitionKey& key) {
  return absl::StrCat("d/", menu.router->settings.id.value(), "/", counters::MenuName(menu.menu),
                      "/", absl::FormatCivilTime(key.first), "/", key.second);
}

std::string RouterKey(const RouterBook& router) {
  return absl::StrCat("r/", router.settings.id.value());
}

StagedFlush Book::StageFlush(std::int64_t now_us, const FlushOptions& options) {
  NS_CHECK(!impl_->in_flight.active, "one flush at a time");
  StagedFlush flush;
  impl_->in_flight = {};
  impl_->in_flight.active = true;
  impl_->told_us = std::max(impl_->told_us, now_us);
  for (auto& [id, router] : impl_->routers) {
    impl_->CloseOldDays(*router, now_us, flush);
    impl_->FlushRows(*router, flush);
    std::uint64_t journal_rows = 0;
    for (const MenuBook& menu : router->menus) journal_rows += menu.journal_rows;
    // A closed day is never replayed into: it goes with the checkpoint that has it closed.
    const bool due = journal_rows >= std::max<std::uint64_t>(options.min_journal_rows, 1);
    const bool changed = !router->closed.empty() || router->reopened;
    if (due || changed) impl_->CheckpointRouter(*router, flush);
    impl_->DropOldPartitions(*router);
    impl_->DropRetired(*router, now_us);
  }
  for (const auto& [menu, device] : impl_->forgotten) impl_->DropDevice(*menu, *device);
  impl_->forgotten.clear();
  if (!impl_->book_stored) impl_->CheckpointBook(flush);
  flush.dropped_checkpoints = std::exchange(impl_->to_drop, {});
  impl_->in_flight.dropped = flush.dropped_checkpoints;
  flush.next_queue_id = impl_->next_queue_id;
  flush.next_subscriber_id = impl_->next_subscriber_id;
  return flush;
}

void Book::InstallFlush(StagedFlush&& flush) {
  impl_->in_flight = {};
  flush = {};
}

void Book::FlushFailed(StagedFlush&& flush) {
  Impl::InFlight& in_flight = impl_->in_flight;
  for (const auto& [menu, place] : in_flight.rows) {
    const auto found = menu->partitions.find(place.first);
    if (found != menu->partitions.end()) found->second.rows()[place.second].dirty = true;
  }
  for (const auto& [menu, place] : in_flight.evidence) {
    const auto found = menu->partitions.find(place.first);
    if (found != menu->partitions.end()) found->second.rows()[place.second].evidence_dirty = true;
  }
  for (const auto& [menu, queue] : in_flight.queues) menu->queues[queue].stored = false;
  for (const std::uint32_t subscriber : in_flight.subscribers) {
    impl_->subscribers[subscriber].stored = false;
  }
  for (RouterBook* router : in_flight.routers) {
    for (MenuBook& menu : router->menus) {
      menu.journal_rows = std::max<std::uint64_t>(menu.journal_rows, 1);
      for (auto& [key, partition] : menu.partitions) partition.stored = false;
      for (const auto& device : menu.devices) {
        device->stored = false;
        device->stored_next_index = 0;  // write the whole dictionary again
      }
    }
  }
  for (RouterBook* router : in_flight.reopened) router->reopened = true;
  for (auto& [router, closed] : in_flight.closed) {
    router->closed.insert(router->closed.begin(), closed.begin(), closed.end());
  }
  impl_->to_drop.insert(impl_->to_drop.end(), in_flight.dropped.begin(), in_flight.dropped.end());
  impl_->late_events.insert(impl_->late_events.end(), flush.events.begin(), flush.events.end());
  impl_->book_stored = false;
  in_flight = {};
  flush = {};
}

void Book::Impl::NumberNames(MenuBook& menu, const DayRow& row, StagedFlush& flush) {
  QueueInfo& queue = menu.queues[row.queue];
  if (!queue.stored) {
    queue.stored = true;
    in_flight.queues.emplace_back(&menu, row.queue);
    flush.queues.push_back({queue.id, {menu.router->settings.id, menu.menu, queue.name}});
  }
  SubscriberInfo& subscriber = subscribers[row.subscriber];
  if (!subscriber.stored) {
    subscriber.stored = true;
    in_flight.subscribers.push_back(row.subscriber);
    flush.subscribers.push_back({subscriber.id, subscriber.key});
  }
}

void Book::Impl::FlushRows(RouterBook& router, StagedFlush& flush) {
  for (MenuBook& menu : router.menus) {
    for (auto& [key, partition] : menu.partitions) {
      std::vector<DayRow>& rows = partition.rows();
      for (std::uint32_t i = 0; i < rows.size(); ++i) {
        if (!rows[i].dirty) continue;
        rows[i].dirty = false;
        in_flight.rows.push_back({&menu, {key, i}});
        NumberNames(menu, rows[i], flush);
        const std::uint64_t queue_id = menu.queues[rows[i].queue].id;
        const std::uint64_t subscriber_id = subscribers[rows[i].subscriber].id;
        flush.usage.push_back({queue_id, subscriber_id, Figures(menu, partition, rows[i])});
        if (!rows[i].evidence_dirty) continue;
        rows[i].evidence_dirty = false;
        in_flight.evidence.push_back({&menu, {key, i}});
        if (const UsageEvidence* evidence = partition.EvidenceOf(rows[i]); evidence != nullptr) {
          flush.evidence.push_back({queue_id, subscriber_id, key.first, key.second, *evidence});
        }
      }
    }
  }
}

// States, rows of the days in memory and the router's own record belong together: what is between
// them and the journal that is left is replayed.
void Book::Impl::CheckpointRouter(RouterBook& router, StagedFlush& flush) {
  in_flight.routers.push_back(&router);
  StoredRouter stored;
  stored.open_from_us = router.open_from_us;
  stored.site = router.settings.site.value();
  stored.rules = StoredRouter::Rules{router.settings.account, router.settings.parents,
                                     router.settings.line_rate_bps,
                                     absl::ToInt64Microseconds(router.settings.poll_interval)};
  for (std::size_t i = 0; i < router.menus.size(); ++i) {
    MenuBook& menu = router.menus[i];
    stored.menus[i].next_ordinal = menu.next_ordinal;
    stored.menus[i].current = menu.current == nullptr ? 0 : menu.current->ordinal + 1;
    stored.menus[i].journal_id = menu.last_journal_id;
    stored.menus[i].twin = menu.twin;
    for (const auto& device : menu.devices) {
      if (!device->stored) CheckpointDevice(menu, *device, flush);
    }
    for (auto& [key, partition] : menu.partitions) {
      if (!partition.stored) CheckpointPartition(menu, partition, flush);
    }
    if (menu.journal_rows > 0 && menu.last_journal_id > 0) {
      flush.trims.push_back({router.settings.id, menu.menu, menu.last_journal_id});
    }
    menu.journal_rows = 0;
  }
  flush.checkpoints.push_back({RouterKey(router), 0, EncodeRouter(stored)});
  if (std::exchange(router.reopened, false)) {
    in_flight.reopened.push_back(&router);
    flush.reopened_days.push_back(
        {router.settings.id, router.site->calendar.DayAt(router.open_from_us).day});
  }
  flush.closed_days.insert(flush.closed_days.end(), router.closed.begin(), router.closed.end());
  in_flight.closed.emplace_back(&router, std::exchange(router.closed, {}));
}

void Book::Impl::CheckpointDevice(const MenuBook& menu, DeviceState& device, StagedFlush& flush) {
  const std::string key = DeviceKey(menu, device.ordinal);
  const MenuState& state = device.state;
  const auto add = [&](BlobKind kind, std::uint32_t number, std::string payload) {
    flush.checkpoints.push_back({key, PartNumber(kind, number), std::move(payload)});
  };
  const auto drop = [&](BlobKind kind, std::uint32_t number) {
    to_drop.emplace_back(key, PartNumber(kind, number));
  };
  StateHead head;
  head.device_key = device.device_key;
  head.rows = static_cast<std::uint32_t>(state.rows.size());
  head.snapshots = device.snapshots;
  add(BlobKind::kHead, 0, EncodeStateHead(head, state));

  const auto write = [&](BlobKind kind, std::size_t count, std::uint32_t& written, auto encode) {
    const std::uint32_t parts = PartsOf(count);
    for (std::uint32_t i = 0; i < parts; ++i) add(kind, i, encode(state, i));
    for (std::uint32_t i = parts; i < written; ++i) drop(kind, i);
    written = parts;
  };
  write(BlobKind::kRows, state.rows.size(), device.stored_row_parts, EncodeStateRows);
  write(BlobKind::kPending, state.pending.has_value() ? state.pending->readings.size() : 0,
        device.stored_pending_parts, EncodeStatePending);
  const std::size_t stones = state.tombstones.size();
  write(BlobKind::kTombstones, stones - std::min<std::size_t>(stones, kQueuesPerPart),
        device.stored_tombstone_parts, EncodeStateTombstones);
  write(BlobKind::kDisputes, state.disputes.size(), device.stored_dispute_parts,
        EncodeStateDisputes);

  // Dictionary parts change only by growing; parts in which nothing lives are dropped.
  const std::uint32_t dictionary_parts = PartsOf(state.dictionary.next_index());
  for (std::uint32_t i = 0; i < dictionary_parts; ++i) {
    const bool grown = (i + 1) * kQueuesPerPart > device.stored_next_index;
    const bool written = device.stored_dictionary_parts.contains(i);
    if (!grown && !written) continue;
    bool lives = false;
    for (DescriptorIndex d = i * kQueuesPerPart; d < (i + 1) * kQueuesPerPart && !lives; ++d) {
      lives = state.dictionary.Find(d) != nullptr;
    }
    if (!lives) {
      if (device.stored_dictionary_parts.erase(i) > 0) drop(BlobKind::kDictionary, i);
    } else if (grown || !written) {
      add(BlobKind::kDictionary, i, EncodeStateDictionary(state, i));
      device.stored_dictionary_parts.insert(i);
    }
  }
  std::set<std::uint32_t>& written = device.stored_dictionary_parts;
  while (!written.empty() && *written.rbegin() >= dictionary_parts) {
    drop(BlobKind::kDictionary, *written.rbegin());
    written.erase(std::prev(written.end()));
  }
  device.stored_next_index = state.dictionary.next_index();
  device.stored = true;
}

void Book::Impl::CheckpointPartition(MenuBook& menu, Partition& partition, StagedFlush& flush) {
  const std::string key = PartitionName(menu, {partition.span().day, partition.span().segment});
  const std::vector<DayRow>& rows = partition.rows();
  const std::uint32_t parts = PartsOf(rows.size());
  for (std::uint32_t part = 0; part < parts; ++part) {
    std::vector<StoredRow> stored;
    const std::size_t begin = std::size_t{part} * kQueuesPerPart;
    const std::size_t end = std::min<std::size_t>(begin + kQueuesPerPart, rows.size());
    for (std::size_t i = begin; i < end; ++i) {
      NumberNames(menu, rows[i], flush);
      const UsageEvidence* evidence = partition.EvidenceOf(rows[i]);
      stored.push_back({menu.queues[rows[i].queue].id, subscribers[rows[i].subscriber].id, rows[i],
                        partition.ExtraOf(rows[i]),
                        evidence == nullptr ? UsageEvidence{} : *evidence});
    }
    flush.checkpoints.push_back({key, part, EncodeRows(partition.span(), stored)});
  }
  partition.stored_parts = parts;
  partition.stored = true;
}

void Book::Impl::CheckpointBook(StagedFlush& flush) {
  std::vector<StoredCalendar> calendars;
  calendars.reserve(sites.size());
  for (const auto& [id, site] : sites) {
    calendars.push_back({id.value(), site->calendar.versions()});
  }
  flush.checkpoints.push_back({"b", 0, EncodeCalendars(calendars)});
  book_stored = true;
}

}  // namespace netsentinel::accounting
