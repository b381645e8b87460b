#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/time/civil_time.h"

#include "aggregator/store/store.h"
#include "common/base/mutex.h"

namespace netsentinel::ingest {

// When routers were read, of the last days: what the store has, for whoever asks while that does
// not answer. Written by the engine, thread-safe.
class ReadingBoard {
 public:
  // So many days before the newest one are held: all that the Book may have to answer for, a month
  // and the days that stay open before it.
  static constexpr int kDays = 70;

  // All that the store has: since when, and the days from `known_from` on.
  void Reset(const std::vector<store::FirstReading>& firsts,
             const std::vector<store::ReadDay>& days, absl::CivilDay known_from);
  // The same with all that another one has.
  void Replace(ReadingBoard&& fresh);
  // What a commit has added.
  void Add(const std::vector<store::FirstReading>& firsts, const std::vector<store::ReadDay>& days);
  // As Store::Readings; nothing for a span that begins before what is held.
  std::optional<store::SiteReadings> Readings(const base::SiteId& site, absl::CivilDay first,
                                              absl::CivilDay last) const;

 private:
  struct Router {
    std::optional<std::int64_t> first_us;
    std::vector<std::int32_t> days;  // since 1970, ascending
  };
  using Site = std::map<base::RouterId, Router>;
  void Take(const std::vector<store::FirstReading>& firsts, const std::vector<store::ReadDay>& days)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable base::Mutex mutex_;
  std::optional<absl::CivilDay> known_from_ ABSL_GUARDED_BY(mutex_);
  std::map<base::SiteId, Site> sites_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::ingest
