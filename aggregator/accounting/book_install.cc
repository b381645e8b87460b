#include <algorithm>
#include <utility>

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"

namespace netsentinel::accounting {

void Book::Install(StagedBatch&& staged) {
  for (const auto& change : staged.internals_->changes) {
    impl_->InstallOne(*change, staged.journal[change->journal]);
  }
  for (const FiredMark& mark : staged.internals_->fired) {
    impl_->fired[mark.key].push_back(mark.threshold_percent);
    QuotaUse& use = impl_->subscribers[mark.key.subscriber].uses[mark.key.rule];
    if (use.started && use.period_start == mark.key.period_start) {
      use.next_threshold =
          impl_->NextThreshold(mark.key.subscriber, mark.key.rule, mark.key.period_start);
    }
  }
  if (staged.internals_->reviewed) impl_->review_quotas = false;
  impl_->ForgetLate(*staged.internals_);
}

void Book::Impl::InstallOne(MenuChange& change, const StagedJournal& journal) {
  MenuBook& menu = *change.menu;
  if (change.left_behind != nullptr) {
    menu.current->state = std::move(*change.left_behind);
    menu.current->stored = false;
  }
  if (change.new_device != nullptr) {
    ++menu.next_ordinal;
    ++next_serial;
    menu.devices.push_back(std::move(change.new_device));
    change.device = menu.devices.back().get();
  }
  DeviceState& device = *change.device;
  menu.current = &device;
  if (!change.adopted_key.empty()) device.device_key = change.adopted_key;
  IndexDevice(menu, device.device_key);
  menu.twin = change.twin;
  const bool renumbered = change.staged.renumbered;
  accounting::Install(device.state, std::move(change.staged));
  device.stored = false;
  ++device.snapshots;
  BoundDevices(menu);
  if (renumbered) {
    // Whatever was known by the old numbers is found anew.
    device.serial = next_serial++;
    device.queue_of.clear();
    device.stored_next_index = 0;
  } else {
    NoteNumbers(change, device);
  }

  // Also one that caused nothing yet, such as an idle queue with a new name.
  for (const auto& [descriptor, added] : change.added) {
    QueueNamed(*change.router, menu, added.name);
  }
  ApplyRows(change);
  ShowOpen(menu);
  menu.last_journal_id = std::max(menu.last_journal_id, journal.journal_id);
  ++menu.journal_rows;
  CloseDays(*change.router, change.received_us);
}

void Book::Impl::NoteNumbers(const MenuChange& change, DeviceState& device) {
  for (const auto& [stream, state] : change.translations) {
    if (change.dictionary == nullptr) break;  // replayed
    change.dictionary->translated_[stream] = state;
  }
  for (const auto& [descriptor, queue] : change.queue_of) {
    if (descriptor >= device.queue_of.size()) {
      device.queue_of.resize(device.state.dictionary.next_index(), kNoRow);
    }
    device.queue_of[descriptor] = queue;
  }
}

void Book::Impl::ApplyRows(const MenuChange& change) {
  std::vector<Partition*> partitions;
  partitions.reserve(change.spans.size());
  for (const DaySpan& span : change.spans) partitions.push_back(&PartitionFor(*change.menu, span));
  for (const RowChange& row : change.rows) {
    partitions[row.span]->Apply(row);
    CountUse(row.subscriber, change.spans[row.span].day, row.bytes);
  }
  for (const DoubtChange& doubt : change.doubts) {
    partitions[doubt.span]->Apply(doubt);
    if (doubt.why != kNoRow) partitions[doubt.span]->Explain(doubt, change.steps[doubt.why]);
  }
}

void Book::Impl::ShowOpen(MenuBook& menu) {
  for (auto& [key, partition] : menu.partitions) {
    if (partition.has_open()) partition.ClearOpen();
  }
  if (menu.current == nullptr || menu.current->state.disputes.empty()) return;
  MenuChange change;
  change.router = menu.router;
  change.menu = &menu;
  change.device = menu.current;
  for (const Doubt& doubt : OpenDoubts(menu.current->state, PlaceOf(*menu.router, menu))) {
    ExpandDoubt(doubt, QueueOf(*menu.current, doubt.descriptor, change), change);
  }
  for (const RowChange& row : change.rows) {
    PartitionFor(menu, change.spans[row.span]).ApplyOpen(row);
  }
  for (const DoubtChange& doubt : change.doubts) {
    PartitionFor(menu, change.spans[doubt.span]).ApplyOpen(doubt);
  }
}

// A router that shows a new serial number with each reply must not fill the memory.
void Book::Impl::BoundDevices(MenuBook& menu) {
  while (menu.devices.size() > kMaxDevicesPerMenu) {
    auto oldest = menu.devices.end();
    for (auto it = menu.devices.begin(); it != menu.devices.end(); ++it) {
      if (it->get() == menu.current) continue;
      const bool older =
          oldest == menu.devices.end() || (*it)->state.newest_us() < (*oldest)->state.newest_us();
      if (older) oldest = it;
    }
    UnindexDevice(menu, (*oldest)->device_key);
    forgotten.emplace_back(&menu, std::move(*oldest));
    menu.devices.erase(oldest);
  }
}

Partition& Book::Impl::PartitionFor(MenuBook& menu, const DaySpan& span) {
  const auto [it, fresh] =
      menu.partitions.try_emplace(PartitionKey{span.day, span.segment}, Partition(span));
  if (!fresh) it->second.Widen(span);
  return it->second;
}

bool Book::Impl::Counts(const RouterBook& router, const MenuBook& menu) const {
  return menu.menu == router.settings.account || mapper.Names(menu.menu, router.settings);
}

// Closes every day that all menus that count have read past, with no drop left to explain.
void Book::Impl::CloseDays(RouterBook& router, std::int64_t received_us) {
  std::int64_t progress = std::numeric_limits<std::int64_t>::max();
  std::int64_t oldest = progress;
  bool any = false;
  for (const MenuBook& menu : router.menus) {
    if (menu.current == nullptr || !Counts(router, menu)) continue;
    const MenuState& state = menu.current->state;
    const std::int64_t applied = state.last.has_value() ? state.last->attribution_us : kNeverUs;
    progress = std::min(progress, applied);
    for (const auto& [row, dispute] : state.disputes) {
      progress = std::min(progress, dispute.from_us());
    }
    for (const auto& [row, header] : state.read_at) {
      progress = std::min(progress, header->attribution_us);
    }
    // A queue that replies lack may be back at once, with the bytes of the time between.
    for (auto stone = state.tombstones.rbegin(); stone != state.tombstones.rend(); ++stone) {
      if (applied - stone->vanished_us > kMissingUs) break;
      progress = std::min(progress, stone->read_us);
    }
    if (state.last.has_value()) oldest = std::min(oldest, applied);
    any = true;
  }
  if (!any || progress == kNeverUs) return;
  if (router.open_from_us == kNeverUs) {
    router.open_from_us = router.site->calendar.DayAt(oldest).begin_us;
  }
  // By stamps that nothing vouches for no day ends.
  if (received_us == 0) return;
  constexpr int kMostDays = 400;
  for (int i = 0; i < kMostDays; ++i) {
    const DaySpan day = router.site->calendar.DayAt(router.open_from_us);
    if (day.end_us > progress) break;
    FinishRows(router, day);
    router.closed.push_back({router.settings.id, day.day, false, received_us});
    router.open_from_us = day.end_us;
  }
}

// Queues that stayed idle to the day's end were watched all the same.
void Book::Impl::FinishRows(RouterBook& router, const DaySpan& day) {
  for (MenuBook& menu : router.menus) {
    if (menu.current == nullptr || !menu.current->state.last.has_value()) continue;
    const MenuState& state = menu.current->state;
    for (auto& [key, partition] : menu.partitions) {
      if (key.first != day.day) continue;
      for (std::size_t row = 0; row < state.rows.size(); ++row) {
        const counters::QueueDescriptor* descriptor =
            state.dictionary.Find(state.rows[row].descriptor);
        if (descriptor == nullptr) continue;
        const auto queue = menu.queue_by_name.find(descriptor->name);
        if (queue == menu.queue_by_name.end()) continue;
        const std::int64_t until = std::min(day.end_us, state.last->attribution_us);
        partition.Watch(queue->second, menu.queues[queue->second].subscriber,
                        {state.slots[row].since_us, until, until == state.last->attribution_us});
      }
    }
  }
}

}  // namespace netsentinel::accounting
