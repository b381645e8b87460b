#include "aggregator/ingest/reading_board.h"

#include <algorithm>

namespace netsentinel::ingest {
namespace {

std::int32_t Number(absl::CivilDay day) {
  return static_cast<std::int32_t>(day - absl::CivilDay(1970, 1, 1));
}

}  // namespace

void ReadingBoard::Reset(const std::vector<store::FirstReading>& firsts,
                         const std::vector<store::ReadDay>& days, absl::CivilDay known_from) {
  base::MutexLock lock(mutex_);
  sites_.clear();
  known_from_ = known_from;
  Take(firsts, days);
}

void ReadingBoard::Replace(ReadingBoard&& fresh) {
  std::map<base::SiteId, Site> sites;
  std::optional<absl::CivilDay> known_from;
  {
    base::MutexLock lock(fresh.mutex_);
    sites = std::move(fresh.sites_);
    known_from = fresh.known_from_;
  }
  base::MutexLock lock(mutex_);
  sites_ = std::move(sites);
  known_from_ = known_from;
}

void ReadingBoard::Add(const std::vector<store::FirstReading>& firsts,
                       const std::vector<store::ReadDay>& days) {
  if (firsts.empty() && days.empty()) return;
  base::MutexLock lock(mutex_);
  Take(firsts, days);
}

void ReadingBoard::Take(const std::vector<store::FirstReading>& firsts,
                        const std::vector<store::ReadDay>& days) {
  if (!known_from_.has_value()) return;
  for (const store::FirstReading& first : firsts) {
    sites_[first.site][first.router].first_us = first.at_us;
  }
  absl::CivilDay from = *known_from_;
  for (const store::ReadDay& read : days) {
    if (read.day < *known_from_) continue;
    std::vector<std::int32_t>& known = sites_[read.site][read.router].days;
    const std::int32_t day = Number(read.day);
    const auto at = std::lower_bound(known.begin(), known.end(), day);
    if (at == known.end() || *at != day) known.insert(at, day);
    from = std::max(from, read.day - kDays);
  }
  if (from == *known_from_) return;
  known_from_ = from;
  for (auto& [id, site] : sites_) {
    for (auto& [router, known] : site) {
      known.days.erase(known.days.begin(),
                       std::lower_bound(known.days.begin(), known.days.end(), Number(from)));
    }
  }
}

std::optional<store::SiteReadings> ReadingBoard::Readings(const base::SiteId& site,
                                                          absl::CivilDay first,
                                                          absl::CivilDay last) const {
  base::MutexLock lock(mutex_);
  if (!known_from_.has_value() || first < *known_from_) return std::nullopt;
  store::SiteReadings readings;
  const auto found = sites_.find(site);
  if (found == sites_.end()) return readings;
  for (const auto& [router, known] : found->second) {
    if (known.first_us.has_value()) readings.firsts.push_back({site, router, *known.first_us});
    const auto at = std::lower_bound(known.days.begin(), known.days.end(), Number(first));
    if (at != known.days.end() && *at <= Number(last)) readings.read_in_span.push_back(router);
  }
  return readings;
}

}  // namespace netsentinel::ingest
