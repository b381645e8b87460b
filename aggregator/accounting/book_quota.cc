#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_set.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"

namespace netsentinel::accounting {

using base::TrafficBytes;

quota::Limit Book::Impl::LimitOf(std::uint32_t subscriber, std::uint32_t rule) const {
  const auto found = limits.find({subscriber, rule});
  if (found != limits.end()) return found->second;
  return {quotas[rule].limit_bytes, quotas[rule].unlimited};
}

std::vector<std::uint32_t> Book::Impl::FiredOf(const FiredKey& key) const {
  const auto found = fired.find(key);
  return found == fired.end() ? std::vector<std::uint32_t>() : found->second;
}

std::uint64_t Book::Impl::NextThreshold(std::uint32_t subscriber, std::uint32_t rule,
                                        absl::CivilDay period_start) const {
  return quota::NextThresholdBytes(quotas[rule], LimitOf(subscriber, rule),
                                   FiredOf({subscriber, rule, period_start}));
}

void Book::Impl::CountUse(std::uint32_t subscriber, absl::CivilDay day, const TrafficBytes& bytes) {
  for (std::uint32_t rule = 0; rule < quotas.size(); ++rule) {
    QuotaUse& use = subscribers[subscriber].uses[rule];
    const absl::CivilDay start = quota::PeriodStart(quotas[rule], day);
    if (use.started && start < use.period_start) continue;
    if (!use.started || start > use.period_start) {
      use = {start, true, {}, NextThreshold(subscriber, rule, start)};
    }
    use.counted += bytes;
  }
}

// Finds whom the batch may have brought over a threshold, by best figures, and looks closer there.
void Book::Impl::Judge(StagedBatch& batch) {
  absl::flat_hash_map<FiredKey, std::int64_t> candidates;
  for (const auto& change : batch.internals_->changes) {
    std::vector<std::vector<absl::CivilDay>> starts(change->spans.size());
    for (std::size_t i = 0; i < change->spans.size(); ++i) {
      for (const quota::Rule& rule : quotas) {
        starts[i].push_back(quota::PeriodStart(rule, change->spans[i].day));
      }
    }
    for (const RowChange& row : change->rows) {
      SubscriberInfo& info = subscribers[row.subscriber];
      if (info.scratch_serial != batch_serial) {
        info.scratch_serial = batch_serial;
        info.scratch = {};
      }
      info.scratch += row.bytes;
      for (std::uint32_t rule = 0; rule < quotas.size(); ++rule) {
        const QuotaUse& use = info.uses[rule];
        const absl::CivilDay start = starts[row.span][rule];
        const bool running = use.started && start == use.period_start;
        const TrafficBytes total = running ? use.counted + info.scratch : info.scratch;
        const bool late = use.started && start < use.period_start;
        const std::uint64_t threshold =
            running ? use.next_threshold : NextThreshold(row.subscriber, rule, start);
        if (threshold == quota::kNever) continue;
        if (!late && quota::Amount(quotas[rule].basis, total) < threshold) continue;
        candidates[{row.subscriber, rule, start}] = change->staged.header.attribution_us;
      }
    }
  }
  if (review_quotas) {
    batch.internals_->reviewed = true;
    for (std::uint32_t i = 0; i < subscribers.size(); ++i) {
      for (std::uint32_t rule = 0; rule < quotas.size(); ++rule) {
        const QuotaUse& use = subscribers[i].uses[rule];
        if (!use.started || use.next_threshold == quota::kNever) continue;
        if (quota::Amount(quotas[rule].basis, use.counted) < use.next_threshold) continue;
        candidates.try_emplace({i, rule, use.period_start}, reviewed_at_us);
      }
    }
  }
  std::vector<std::pair<FiredKey, std::int64_t>> sorted(candidates.begin(), candidates.end());
  std::sort(sorted.begin(), sorted.end());
  for (const auto& [key, at_us] : sorted) JudgeOne(key, at_us, batch);
}

void Book::Impl::JudgeOne(const FiredKey& key, std::int64_t at_us, StagedBatch& batch) {
  const quota::Rule& rule = quotas[key.rule];
  const absl::CivilDay last = quota::PeriodEnd(rule, key.period_start) - 1;
  // Only what is decided counts for a breach: the batch may decide what was open.
  std::vector<UsageRow> rows = RowsOf(key.subscriber, key.period_start, last, false);
  AddStagedRows(key.subscriber, *batch.internals_, rows);
  const UsageSum sum = SumUsage(absl::MakeConstSpan(rows), key.period_start, last);
  const quota::Limit limit = LimitOf(key.subscriber, key.rule);
  const SubscriberInfo& info = subscribers[key.subscriber];
  for (const std::uint32_t percent : quota::Crossed(rule, limit, sum.sure, FiredOf(key))) {
    Breach breach;
    breach.subscriber = info.key;
    breach.quota_id = rule.id;
    breach.period = rule.period;
    breach.period_start = key.period_start;
    const auto site = sites.find(info.key.site);
    if (site != sites.end()) breach.time_zone = site->second->calendar.newest().zone.name();
    breach.basis = rule.basis;
    breach.limit_bytes = limit.bytes;
    breach.threshold_percent = percent;
    breach.used = sum.sure;
    breach.crossed_at_us = at_us;
    breach.key_bytes = quota::BreachKeyBytes({info.key.site.value(), info.key.router.value(),
                                              info.key.name, rule.id, key.period_start, percent});
    batch.breaches.push_back(std::move(breach));
    batch.internals_->fired.push_back({key, percent});
  }
}

std::vector<UsageRow> Book::Impl::RowsOf(std::uint32_t subscriber, absl::CivilDay first,
                                         absl::CivilDay last, bool with_open) const {
  std::vector<UsageRow> rows;
  for (const auto& [menu, queue] : subscribers[subscriber].queues) {
    auto it = menu->partitions.lower_bound(PartitionKey{first, 0});
    for (; it != menu->partitions.end() && it->first.first <= last; ++it) {
      const DayRow* row = it->second.Find(queue, subscriber);
      if (row != nullptr) rows.push_back(Figures(*menu, it->second, *row, with_open));
    }
  }
  return rows;
}

// What the batch adds, on rows that may not exist yet.
void Book::Impl::AddStagedRows(std::uint32_t subscriber, const StagedInternals& staged,
                               std::vector<UsageRow>& rows) const {
  for (const auto& change : staged.changes) {
    const auto add = [&](const auto& part) {
      if (part.subscriber != subscriber) return;
      const DaySpan& span = change->spans[part.span];
      const QueueKey key{change->router->settings.id, change->menu->menu,
                         change->menu->queues[part.queue].name};
      auto row = std::find_if(rows.begin(), rows.end(), [&](const UsageRow& r) {
        return r.day == span.day && r.segment == span.segment && r.queue == key;
      });
      if (row == rows.end()) {
        UsageRow fresh;
        fresh.queue = key;
        fresh.subscriber = subscribers[subscriber].key;
        fresh.day = span.day;
        fresh.segment = span.segment;
        rows.push_back(std::move(fresh));
        row = rows.end() - 1;
      }
      ApplyToUsage(part, *row);
    };
    for (const RowChange& row : change->rows) {
      if (!row.only_if_row) add(row);
    }
    for (const DoubtChange& doubt : change->doubts) add(doubt);
  }
}

std::vector<quota::Standing> Book::Standings(const SubscriberKey& subscriber,
                                             absl::CivilDay today) const {
  std::vector<quota::Standing> standings;
  const auto found = impl_->subscriber_by_key.find(subscriber);
  if (found == impl_->subscriber_by_key.end()) return standings;
  for (std::uint32_t i = 0; i < impl_->quotas.size(); ++i) {
    const quota::Rule& rule = impl_->quotas[i];
    const quota::Limit limit = impl_->LimitOf(found->second, i);
    if (limit.unlimited) continue;
    const absl::CivilDay first = quota::PeriodStart(rule, today);
    const absl::CivilDay last = quota::PeriodEnd(rule, today) - 1;
    // What decides is what breaches are judged by: nothing of it waits for its explanation.
    const std::vector<UsageRow> decided = impl_->RowsOf(found->second, first, last, false);
    const std::vector<UsageRow> shown = impl_->RowsOf(found->second, first, last, true);
    const quota::Used used = {.sure = SumUsage(absl::MakeConstSpan(decided), first, last).sure,
                              .counted = SumUsage(absl::MakeConstSpan(shown), first, last).counted};
    const auto standing = quota::StandingOf(rule, limit, used, today);
    if (standing.has_value()) standings.push_back(*standing);
  }
  return standings;
}

std::vector<Book::HeldLimit> Book::Limits(const SubscriberKey& subscriber) const {
  std::vector<HeldLimit> limits;
  const auto found = impl_->subscriber_by_key.find(subscriber);
  for (std::uint32_t i = 0; i < impl_->quotas.size(); ++i) {
    const quota::Rule& rule = impl_->quotas[i];
    limits.push_back({rule, found == impl_->subscriber_by_key.end()
                                ? quota::Limit{rule.limit_bytes, rule.unlimited}
                                : impl_->LimitOf(found->second, i)});
  }
  return limits;
}

}  // namespace netsentinel::accounting
