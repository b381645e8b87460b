#include "aggregator/ingest/reading_board.h"

#include <algorithm>

namespace netsentinel::ingest {

void ReadingBoard::Reset(const std::vector<store::FirstReading>& firsts,
                         const std::vector<store::ReadDay>& days, absl::CivilDay known_from) {
  base::MutexLock lock(mutex_);
  sites_.clear();
  known_from_ = known_from;
  Take(firsts, days);
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
    sites_[first.site].firsts[first.router] = first.at_us;
  }
  absl::CivilDay from = *known_from_;
  for (const store::ReadDay& read : days) {
    if (read.day < *known_from_) continue;
    sites_[read.site].days[read.day].insert(read.router);
    from = std::max(from, read.day - kDays);
  }
  if (from == *known_from_) return;
  known_from_ = from;
  for (auto& [id, site] : sites_) site.days.erase(site.days.begin(), site.days.lower_bound(from));
}

std::optional<store::SiteReadings> ReadingBoard::Readings(const base::SiteId& site,
                                                          absl::CivilDay first,
                                                          absl::CivilDay last) const {
  base::MutexLock lock(mutex_);
  if (!known_from_.has_value() || first < *known_from_) return std::nullopt;
  store::SiteReadings readings;
  const auto found = sites_.find(site);
  if (found == sites_.end()) return readings;
  for (const auto& [router, at_us] : found->second.firsts) {
    readings.firsts.push_back({site, router, at_us});
  }
  std::set<base::RouterId> read;
  for (auto day = found->second.days.lower_bound(first);
       day != found->second.days.end() && day->first <= last; ++day) {
    read.insert(day->second.begin(), day->second.end());
  }
  readings.read_in_span.assign(read.begin(), read.end());
  return readings;
}

}  // namespace netsentinel::ingest
