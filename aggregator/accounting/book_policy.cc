#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"
#include "common/base/status_macros.h"

namespace netsentinel::accounting {
namespace {

absl::Status CheckTimeOfDay(const SiteSettings& site, absl::Duration time, absl::string_view what) {
  const bool whole = time == absl::Seconds(absl::ToInt64Seconds(time));
  if (time < absl::ZeroDuration() || time >= absl::Hours(24) || !whole) {
    return absl::InvalidArgumentError(absl::StrCat("site \"", site.id.value(), "\": ", what,
                                                   " must be a time of day in whole seconds"));
  }
  return absl::OkStatus();
}

absl::Status CheckSite(const SiteSettings& site) {
  NS_RETURN_IF_ERROR(CheckTimeOfDay(site, site.day_start, "day_start"));
  if (site.cuts.size() > kMaxCutTimes) {
    return absl::InvalidArgumentError(
        absl::StrCat("site \"", site.id.value(), "\": at most ", kMaxCutTimes, " cut times"));
  }
  for (std::size_t i = 0; i < site.cuts.size(); ++i) {
    NS_RETURN_IF_ERROR(CheckTimeOfDay(site, site.cuts[i], "a cut time"));
    if (site.cuts[i] == site.day_start || (i > 0 && site.cuts[i] <= site.cuts[i - 1])) {
      return absl::InvalidArgumentError(absl::StrCat(
          "site \"", site.id.value(), "\": cut times must ascend and differ from day_start"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPolicy(const Policy& policy) {
  std::set<base::SiteId> sites;
  for (const SiteSettings& site : policy.sites) {
    NS_RETURN_IF_ERROR(CheckSite(site));
    if (!sites.insert(site.id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("site \"", site.id.value(), "\" is there twice"));
    }
  }
  std::set<base::RouterId> routers;
  for (const RouterSettings& router : policy.routers) {
    const auto bad = [&](absl::string_view what) {
      return absl::InvalidArgumentError(absl::StrCat("router \"", router.id.value(), "\" ", what));
    };
    if (!routers.insert(router.id).second) return bad("is there twice");
    if (!sites.contains(router.site)) {
      return bad(absl::StrCat("is at site \"", router.site.value(), "\", which is not configured"));
    }
    if (router.line_rate_bps == 0) return bad("has a line_rate of 0");
    if (router.poll_interval <= absl::ZeroDuration()) return bad("has no poll interval");
  }
  std::set<std::string> quotas;
  for (const quota::Rule& rule : policy.quotas) {
    NS_RETURN_IF_ERROR(quota::Validate(rule));
    if (!quotas.insert(rule.id).second) {
      return absl::InvalidArgumentError(absl::StrCat("quota \"", rule.id, "\" is there twice"));
    }
  }
  for (const QuotaOverride& own : policy.overrides) {
    if (own.limit.bytes > base::kMaxStoredBytes) {
      return absl::InvalidArgumentError("a quota override is above 2^63-1 bytes");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status Book::SetPolicy(const Policy& policy, std::int64_t now_us) {
  return impl_->SetPolicy(policy, now_us);
}

absl::Status Book::Impl::SetPolicy(const Policy& policy, std::int64_t now_us) {
  NS_RETURN_IF_ERROR(CheckPolicy(policy));
  NS_ASSIGN_OR_RETURN(Mapper compiled, Mapper::Compile(policy.mapping));
  mapper = std::move(compiled);

  for (auto& [id, site] : sites) site->in_policy = false;
  for (const SiteSettings& settings : policy.sites) {
    const TimeRule rule{settings.zone, settings.day_start, settings.cuts};
    const bool known = sites.contains(settings.id);
    SiteBook& site = SiteFor(settings.id);
    if (known) {
      site.calendar.Change(rule, now_us);
    } else {
      site.calendar = Calendar(rule);
    }
    site.settings = settings;
    site.in_policy = true;
  }
  for (auto& [id, router] : routers) router->in_policy = false;
  for (const RouterSettings& settings : policy.routers) {
    RouterBook& router = RouterFor(settings.id);
    const base::SiteId before = router.settings.site;
    router.settings = settings;
    router.in_policy = true;
    if (before == settings.site) continue;
    MoveRouter(router, before, now_us);
  }
  Remap();
  NameLiveQueues();

  // A rule that stays keeps what it has fired, though its place in the list may change.
  std::vector<quota::Rule> old = std::exchange(quotas, policy.quotas);
  absl::flat_hash_map<FiredKey, std::vector<std::uint32_t>> still_fired;
  for (auto& [key, thresholds] : fired) {
    const auto now = std::find_if(quotas.begin(), quotas.end(), [&](const quota::Rule& rule) {
      return rule.id == old[key.rule].id;
    });
    if (now == quotas.end()) continue;
    FiredKey moved = key;
    moved.rule = static_cast<std::uint32_t>(now - quotas.begin());
    still_fired[moved] = std::move(thresholds);
  }
  fired = std::move(still_fired);
  limits.clear();
  for (const QuotaOverride& own : policy.overrides) {
    for (std::uint32_t rule = 0; rule < quotas.size(); ++rule) {
      if (quotas[rule].id != own.quota_id) continue;
      limits[{SubscriberNamed(own.subscriber), rule}] = own.limit;
    }
  }
  RecountQuotas();
  NoteShortHistory(old, now_us);
  review_quotas = true;
  reviewed_at_us = now_us;
  book_stored = false;
  return absl::OkStatus();
}

// At its new site a day may still go on that was over at the old one: it takes rows again, so it
// is closed no longer. What is still open at the old site ends here, without its end when the
// router has been silent.
void Book::Impl::MoveRouter(RouterBook& router, const base::SiteId& from, std::int64_t now_us) {
  SiteBook& left = SiteFor(from);
  router.site = &SiteFor(router.settings.site);
  if (router.open_from_us == kNeverUs) return;
  const absl::CivilDay first = left.calendar.DayAt(router.open_from_us).day;
  const std::int64_t silent_us = now_us - NewestReading(router);
  if (silent_us > 2 * absl::ToInt64Microseconds(router.settings.poll_interval)) {
    MarkPartial(router, from, first, absl::CivilDay::max());
  }
  const absl::CivilDay open = router.site->calendar.DayAt(router.open_from_us).day;
  std::erase_if(router.closed, [&](const ClosedDay& closed) { return closed.day >= open; });
  router.reopened = true;
  if (open >= first) return;
  late_events.push_back(
      {now_us, router.settings.id, counters::Menu::kSimple, "", "day_reopened",
       absl::StrCat(absl::FormatCivilTime(open), " goes on at site \"",
                    router.settings.site.value(), "\", to which the router moved; at site \"",
                    from.value(), "\" it is over")});
}

void Book::Impl::Remap() {
  for (auto& [id, router] : routers) {
    for (MenuBook& menu : router->menus) {
      for (std::uint32_t queue = 0; queue < menu.queues.size(); ++queue) {
        Resolve(*router, menu, queue);
      }
    }
  }
}

// Best figures of every subscriber in the newest period of each quota, from the rows.
void Book::Impl::RecountQuotas() {
  for (SubscriberInfo& info : subscribers) {
    info.uses.clear();
    info.uses.resize(quotas.size());
  }
  for (auto& [id, router] : routers) {
    for (MenuBook& menu : router->menus) {
      for (auto& [key, partition] : menu.partitions) {
        for (const DayRow& row : partition.rows()) CountUse(row.subscriber, key.first, row.counted);
      }
    }
  }
}

// Days that no rule asked for have left memory: a rule that asks for them now is told so.
void Book::Impl::NoteShortHistory(const std::vector<quota::Rule>& old, std::int64_t now_us) {
  std::optional<absl::CivilDay> oldest;
  for (const auto& [id, router] : routers) {
    for (const MenuBook& menu : router->menus) {
      if (menu.partitions.empty()) continue;
      const absl::CivilDay day = menu.partitions.begin()->first.first;
      if (!oldest.has_value() || day < *oldest) oldest = day;
    }
  }
  if (!oldest.has_value()) return;
  const absl::CivilDay today = absl::ToCivilDay(absl::FromUnixMicros(now_us), absl::UTCTimeZone());
  const absl::CivilDay kept = OldestNeeded(old, today);
  for (const quota::Rule& rule : quotas) {
    const absl::CivilDay start = quota::PeriodStart(rule, today);
    if (start >= kept || start >= *oldest) continue;
    late_events.push_back(
        {now_us, base::RouterId(), counters::Menu::kSimple, "", "quota_history_short",
         absl::StrCat("quota \"", rule.id, "\" counts its present period, which began on ",
                      absl::FormatCivilTime(start), ", from ", absl::FormatCivilTime(*oldest),
                      " on: older days had left memory when it came; the next period is whole")});
  }
}

SiteBook& Book::Impl::SiteFor(const base::SiteId& id) {
  std::unique_ptr<SiteBook>& site = sites[id];
  if (site == nullptr) {
    site = std::make_unique<SiteBook>();
    site->settings.id = id;
    site->in_policy = false;
  }
  return *site;
}

RouterBook& Book::Impl::RouterFor(const base::RouterId& id) {
  std::unique_ptr<RouterBook>& router = routers[id];
  if (router == nullptr) {
    router = std::make_unique<RouterBook>();
    router->settings.id = id;
    router->in_policy = false;
    router->site = &SiteFor(base::SiteId());
    router->menus[0].menu = counters::Menu::kSimple;
    router->menus[1].menu = counters::Menu::kTree;
    for (MenuBook& menu : router->menus) menu.router = router.get();
  }
  return *router;
}

}  // namespace netsentinel::accounting
