#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"

namespace netsentinel::accounting {
namespace {

constexpr int kMostBoundaryDays = 400;

bool InSite(const RouterBook& router, const base::SiteId& site) {
  return site.empty() || router.site->settings.id == site;
}

// Which queues the newest snapshots of configured routers had.
class LiveQueues {
 public:
  bool Has(const MenuBook& menu, std::uint32_t queue) {
    const auto [it, fresh] = live_.try_emplace(&menu);
    if (fresh) it->second = Of(menu);
    return it->second[queue];
  }

 private:
  static std::vector<bool> Of(const MenuBook& menu) {
    std::vector<bool> live(menu.queues.size());
    if (!menu.router->in_policy || menu.current == nullptr) return live;
    const MenuState& state = menu.current->state;
    for (const counters::QueueReading& row : state.rows) {
      if (row.descriptor == kNoRow) continue;
      const auto found = menu.queue_by_name.find(state.dictionary.Find(row.descriptor)->name);
      if (found != menu.queue_by_name.end()) live[found->second] = true;
    }
    return live;
  }

  absl::flat_hash_map<const MenuBook*, std::vector<bool>> live_;
};

// Rows stay with the site at which their bytes were counted, wherever the router is now.
bool OfSite(const SubscriberInfo& subscriber, const base::SiteId& site) {
  return site.empty() || subscriber.key.site == site;
}

}  // namespace

UsageRow Book::Impl::Figures(const MenuBook& menu, const Partition& partition, const DayRow& row,
                             bool with_open) const {
  UsageRow usage = partition.Figures(row, with_open);
  usage.queue = {menu.router->settings.id, menu.menu, menu.queues[row.queue].name};
  usage.subscriber = subscribers[row.subscriber].key;
  return usage;
}

std::vector<UsageRow> Book::Usage(const base::SiteId& site, absl::CivilDay first,
                                  absl::CivilDay last) const {
  std::vector<UsageRow> rows;
  for (const auto& [id, router] : impl_->routers) {
    for (const MenuBook& menu : router->menus) {
      auto it = menu.partitions.lower_bound(PartitionKey{first, 0});
      for (; it != menu.partitions.end() && it->first.first <= last; ++it) {
        for (const DayRow& row : it->second.rows()) {
          if (!OfSite(impl_->subscribers[row.subscriber], site)) continue;
          rows.push_back(impl_->Figures(menu, it->second, row));
        }
      }
    }
  }
  return rows;
}

std::vector<UsageRow> Book::SubscriberUsage(const SubscriberKey& subscriber, absl::CivilDay first,
                                            absl::CivilDay last) const {
  const auto found = impl_->subscriber_by_key.find(subscriber);
  if (found == impl_->subscriber_by_key.end()) return {};
  return impl_->RowsOf(found->second, first, last, true);
}

std::vector<Book::RowEvidence> Book::Evidence(const SubscriberKey& subscriber, absl::CivilDay first,
                                              absl::CivilDay last) const {
  std::vector<RowEvidence> result;
  const auto found = impl_->subscriber_by_key.find(subscriber);
  if (found == impl_->subscriber_by_key.end()) return result;
  for (const auto& [menu, queue] : impl_->subscribers[found->second].queues) {
    auto it = menu->partitions.lower_bound(PartitionKey{first, 0});
    for (; it != menu->partitions.end() && it->first.first <= last; ++it) {
      const DayRow* row = it->second.Find(queue, found->second);
      const UsageEvidence* evidence = row == nullptr ? nullptr : it->second.EvidenceOf(*row);
      if (evidence == nullptr) continue;
      result.push_back({{menu->router->settings.id, menu->menu, menu->queues[queue].name},
                        it->first.first,
                        it->first.second,
                        *evidence});
    }
  }
  return result;
}

std::vector<Book::NamedSubscriber> Book::SubscribersNamed(const SubscriberKey& wish,
                                                          std::size_t limit) const {
  std::vector<NamedSubscriber> named;
  LiveQueues live;
  for (std::uint32_t i = 0; i < impl_->subscribers.size(); ++i) {
    const SubscriberInfo& info = impl_->subscribers[i];
    if (info.key.name != wish.name) continue;
    if (!wish.site.empty() && info.key.site != wish.site) continue;
    if (!wish.router.empty() && info.key.router != wish.router) continue;
    // The queues are those that ever were the subscriber's.
    const bool active = std::any_of(info.queues.begin(), info.queues.end(), [&](const auto& entry) {
      const QueueInfo& queue = entry.first->queues[entry.second];
      return queue.subscriber == i && queue.counts && live.Has(*entry.first, entry.second);
    });
    // One who came and went since the last flush has rows in memory only.
    const auto has_rows = [&] {
      return !impl_->RowsOf(i, absl::CivilDay::min(), absl::CivilDay::max(), true).empty();
    };
    if (active || info.stored || has_rows()) named.push_back({info.key, active});
  }
  std::sort(named.begin(), named.end(),
            [](const NamedSubscriber& a, const NamedSubscriber& b) { return a.key < b.key; });
  if (named.size() > limit) named.resize(limit);
  return named;
}

std::vector<std::pair<SubscriberKey, UsageSum>> Book::SubscriberSums(const base::SiteId& site,
                                                                     absl::CivilDay first,
                                                                     absl::CivilDay last) const {
  std::vector<std::vector<UsageRow>> rows(impl_->subscribers.size());
  for (const auto& [id, router] : impl_->routers) {
    for (const MenuBook& menu : router->menus) {
      auto it = menu.partitions.lower_bound(PartitionKey{first, 0});
      for (; it != menu.partitions.end() && it->first.first <= last; ++it) {
        for (const DayRow& row : it->second.rows()) {
          if (!OfSite(impl_->subscribers[row.subscriber], site)) continue;
          UsageRow figures = it->second.Figures(row, true);
          figures.queue = {id, menu.menu, menu.queues[row.queue].name};
          rows[row.subscriber].push_back(std::move(figures));
        }
      }
    }
  }
  std::vector<std::pair<SubscriberKey, UsageSum>> sums;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].empty()) continue;
    sums.emplace_back(impl_->subscribers[i].key,
                      SumUsage(absl::MakeConstSpan(rows[i]), first, last));
  }
  return sums;
}

std::optional<absl::CivilDay> Book::WholeFrom() const {
  std::optional<absl::CivilDay> whole;
  const auto after = [&](absl::CivilDay day) { whole = std::max(whole.value_or(day), day); };
  // A router that was taken out leaves memory altogether this long after its last reading, which
  // may be a day earlier or later in its zone.
  if (impl_->told_us > 0) {
    after(
        absl::ToCivilDay(absl::FromUnixMicros(impl_->told_us - kOpenDaysUs), absl::UTCTimeZone()) +
        2);
  }
  for (const auto& [id, router] : impl_->routers) {
    if (router->open_from_us != kNeverUs) {
      after(Impl::OldestNeeded(impl_->quotas,
                               router->site->calendar.DayAt(router->open_from_us).day));
    }
    for (const MenuBook& menu : router->menus) {
      if (!menu.partitions.empty()) after(menu.partitions.begin()->first.first);
    }
  }
  return whole;
}

std::int64_t Book::AsOf(const base::SiteId& site) const {
  std::int64_t newest = 0;
  for (const auto& [id, router] : impl_->routers) {
    if (!InSite(*router, site)) continue;
    for (const MenuBook& menu : router->menus) {
      if (menu.current == nullptr || !menu.current->state.last.has_value()) continue;
      newest = std::max(newest, menu.current->state.last->attribution_us);
    }
  }
  return newest;
}

absl::StatusOr<Book::LocalDay> Book::DayAt(const base::SiteId& site, std::int64_t at_us) const {
  const auto found = impl_->sites.find(site);
  if (found == impl_->sites.end()) {
    return absl::NotFoundError(absl::StrCat("no site \"", site.value(), "\" is configured"));
  }
  const DaySpan day = found->second->calendar.DayAt(at_us);
  return LocalDay{day.day, day.begin_us, day.end_us};
}

absl::StatusOr<std::vector<std::int64_t>> Book::Boundaries(const base::RouterId& router,
                                                           std::int64_t from_us, int days) const {
  const RouterBook* book = impl_->FindRouter(router);
  if (book == nullptr || !book->in_policy) {
    return absl::NotFoundError(absl::StrCat("no router \"", router.value(), "\" is configured"));
  }
  const int span = std::clamp(days, 0, kMostBoundaryDays);
  return book->site->calendar.EdgesBetween(from_us, from_us + span * kDayUs,
                                           static_cast<std::size_t>(span + 1) * (kMaxCutTimes + 1));
}

std::vector<base::RouterId> Book::OpenRouters(const base::SiteId& site, absl::CivilDay day) const {
  std::vector<base::RouterId> open;
  for (const auto& [id, router] : impl_->routers) {
    if (!InSite(*router, site) || !router->in_policy) continue;
    if (router->open_from_us == kNeverUs ||
        router->site->calendar.DayAt(router->open_from_us).day <= day) {
      open.push_back(id);
    }
  }
  return open;
}

std::vector<MenuView> Book::Menus() const {
  std::vector<MenuView> views;
  for (const auto& [id, router] : impl_->routers) {
    for (const MenuBook& menu : router->menus) {
      if (menu.current == nullptr) continue;
      const MenuState& state = menu.current->state;
      MenuView view;
      view.router = id;
      view.menu = menu.menu;
      view.queues = state.live();
      view.open_holds = state.disputes.size();
      view.pending = state.pending.has_value();
      view.accounting_source = router->settings.account == menu.menu;
      if (menu.twin.silent) view.counts_as = menu.twin.of;
      if (state.last.has_value()) {
        view.device = state.last->device;
        view.last_snapshot_us = state.last->attribution_us;
        view.router_uptime_s = state.last->router_uptime_s;
      }
      views.push_back(std::move(view));
    }
  }
  return views;
}

}  // namespace netsentinel::accounting
