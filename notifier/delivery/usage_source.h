#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "notifier/delivery/schedule.h"
#include "notifier/report/model.h"

namespace netsentinel::delivery {

struct Site {
  std::string id;
  absl::TimeZone zone;
  LocalTime day_start;
  // The local day that is running, ISO date.
  std::string current_day;
  // Why no report can be made of it, for people; empty: one can.
  std::string fault = {};
};

// Where figures come from. Thread-safe; every call returns within a deadline of its own.
class UsageSource {
 public:
  virtual ~UsageSource() = default;
  virtual absl::StatusOr<std::vector<Site>> ListSites() = 0;
  // The ranking of a site's local day, as many rows as the source gives; shares are for the caller
  // to set.
  virtual absl::StatusOr<report::DayRanking> GetRanking(const std::string& site_id,
                                                        const std::string& day) = 0;
};

}  // namespace netsentinel::delivery
