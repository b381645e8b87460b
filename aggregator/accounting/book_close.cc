// Days that end without a reading past them, and what leaves memory.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"
#include "aggregator/accounting/checkpoint.h"

namespace netsentinel::accounting {
namespace {

// Days behind the current one that reports ask for.
constexpr int kReportDays = 2;

}  // namespace

std::int64_t NewestReading(const RouterBook& router) {
  std::int64_t newest = 0;
  for (const MenuBook& menu : router.menus) {
    if (menu.current != nullptr) newest = std::max(newest, menu.current->state.newest_us());
  }
  return newest;
}

// Days that nobody finished within 35 days, and days of a router that was taken out, are closed
// with what they have. A router that was taken out has no days after its last reading.
void Book::Impl::CloseOldDays(RouterBook& router, std::int64_t now_us, StagedFlush& flush) {
  if (router.open_from_us == kNeverUs) return;
  const std::int64_t newest = NewestReading(router);
  for (;;) {
    const DaySpan day = router.site->calendar.DayAt(router.open_from_us);
    const bool too_old = day.end_us + kOpenDaysUs <= now_us;
    const bool retired = !router.in_policy && day.end_us <= now_us;
    if (!too_old && !retired) return;
    if (!router.in_policy && newest <= day.begin_us) return;
    if (!router.in_policy) ResolveRetired(router, now_us, flush);
    MarkPartial(router, router.settings.site, day.day, day.day);
    router.closed.push_back({router.settings.id, day.day, true, now_us});
    router.open_from_us = day.end_us;
    flush.events.push_back(
        {now_us, router.settings.id, counters::Menu::kSimple, "", "day_closed_partial",
         absl::StrCat(absl::FormatCivilTime(day.day),
                      too_old ? " was closed 35 days after its end without a later reading"
                              : " was closed because the router was taken out")});
  }
}

// What the router left open is counted before its day closes. It sends nothing meanwhile, so no
// journal row can tell differences to a state that only a flush under way has made.
void Book::Impl::ResolveRetired(RouterBook& router, std::int64_t now_us, StagedFlush& flush) {
  for (MenuBook& menu : router.menus) {
    if (menu.current == nullptr) continue;
    DeviceState& device = *menu.current;
    if (device.state.disputes.empty() && !device.state.pending.has_value()) continue;
    auto resolved = std::make_unique<MenuState>(device.state);
    Effects effects;
    ResolveOpen(*resolved, PlaceOf(router, menu), effects);
    MenuChange change;
    change.router = &router;
    change.menu = &menu;
    change.device = &device;
    Expand(effects, device, change);
    device.state = std::move(*resolved);
    device.stored = false;
    ApplyRows(change);
    ShowOpen(menu);
    late_epochs.insert(late_epochs.end(), effects.epochs.begin(), effects.epochs.end());
    late_holds.insert(late_holds.end(), effects.holds.begin(), effects.holds.end());
    flush.events.insert(flush.events.end(), effects.events.begin(), effects.events.end());
    review_quotas = true;
    reviewed_at_us = now_us;
  }
}

void Book::Impl::TakeLate(StagedBatch& batch) {
  batch.epochs.insert(batch.epochs.end(), late_epochs.begin(), late_epochs.end());
  batch.holds.insert(batch.holds.end(), late_holds.begin(), late_holds.end());
  batch.events.insert(batch.events.end(), late_events.begin(), late_events.end());
  batch.internals_->late_epochs = late_epochs.size();
  batch.internals_->late_holds = late_holds.size();
  batch.internals_->late_events = late_events.size();
}

void Book::Impl::ForgetLate(const StagedInternals& internals) {
  const auto forget = [](auto& records, std::size_t count) {
    records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count));
  };
  forget(late_epochs, internals.late_epochs);
  forget(late_holds, internals.late_holds);
  forget(late_events, internals.late_events);
}

// Rows of another site, at which the router was before, have had their day there.
void Book::Impl::MarkPartial(RouterBook& router, const base::SiteId& site, absl::CivilDay first,
                             absl::CivilDay last) {
  for (MenuBook& menu : router.menus) {
    for (auto& [key, partition] : menu.partitions) {
      if (key.first < first || key.first > last) continue;
      partition.RaiseGrades(Grade::kPartial, [&](std::uint32_t subscriber) {
        return subscribers[subscriber].key.site == site;
      });
    }
  }
}

absl::CivilDay Book::Impl::OldestNeeded(const std::vector<quota::Rule>& rules,
                                        absl::CivilDay today) {
  absl::CivilDay oldest = today - kReportDays;
  for (const quota::Rule& rule : rules) {
    oldest = std::min(oldest, quota::PeriodStart(rule, today));
  }
  return oldest;
}

void Book::Impl::DropOldPartitions(RouterBook& router) {
  if (router.open_from_us == kNeverUs) return;
  const absl::CivilDay oldest =
      OldestNeeded(quotas, router.site->calendar.DayAt(router.open_from_us).day);
  for (MenuBook& menu : router.menus) {
    while (!menu.partitions.empty()) {
      const auto first = menu.partitions.begin();
      // What is part of the flush under way may have to be written again.
      if (first->first.first >= oldest || !first->second.stored) break;
      const bool in_this_flush = std::any_of(
          in_flight.rows.begin(), in_flight.rows.end(),
          [&](const auto& row) { return row.first == &menu && row.second.first == first->first; });
      if (in_this_flush) break;
      DropPartition(menu, first);
    }
  }
}

void Book::Impl::DropPartition(MenuBook& menu, Partitions::iterator partition) {
  for (std::uint32_t part = 0; part < partition->second.stored_parts; ++part) {
    to_drop.emplace_back(PartitionName(menu, partition->first), part);
  }
  menu.partitions.erase(partition);
}

// A router that was taken out is forgotten, names apart, 35 days after its last reading.
void Book::Impl::DropRetired(RouterBook& router, std::int64_t now_us) {
  if (router.in_policy || router.open_from_us == kNeverUs || !router.closed.empty()) return;
  if (NewestReading(router) + kOpenDaysUs > now_us) return;
  // What is part of the flush under way may have to be written again.
  const auto flushed = [&](const RouterBook* other) { return other == &router; };
  if (std::any_of(in_flight.routers.begin(), in_flight.routers.end(), flushed)) return;
  for (const auto& [menu, row] : in_flight.rows) {
    if (menu->router == &router) return;
  }
  for (MenuBook& menu : router.menus) {
    for (const auto& device : menu.devices) {
      UnindexDevice(menu, device->device_key);
      DropDevice(menu, *device);
    }
    menu.devices.clear();
    menu.current = nullptr;
    while (!menu.partitions.empty()) DropPartition(menu, menu.partitions.begin());
  }
  to_drop.emplace_back(RouterKey(router), 0);
  router.open_from_us = kNeverUs;
}

void Book::Impl::DropDevice(const MenuBook& menu, const DeviceState& device) {
  const std::string key = DeviceKey(menu, device.ordinal);
  to_drop.emplace_back(key, PartNumber(BlobKind::kHead, 0));
  for (std::uint32_t i = 0; i < device.stored_row_parts; ++i) {
    to_drop.emplace_back(key, PartNumber(BlobKind::kRows, i));
  }
  for (std::uint32_t i = 0; i < device.stored_pending_parts; ++i) {
    to_drop.emplace_back(key, PartNumber(BlobKind::kPending, i));
  }
  for (std::uint32_t i = 0; i < device.stored_tombstone_parts; ++i) {
    to_drop.emplace_back(key, PartNumber(BlobKind::kTombstones, i));
  }
  for (std::uint32_t i = 0; i < device.stored_dispute_parts; ++i) {
    to_drop.emplace_back(key, PartNumber(BlobKind::kDisputes, i));
  }
  for (const std::uint32_t i : device.stored_dictionary_parts) {
    to_drop.emplace_back(key, PartNumber(BlobKind::kDictionary, i));
  }
}

}  // namespace netsentinel::accounting
