#include "aggregator/accounting/name_budget.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/counters/limits.h"

namespace netsentinel::accounting {

absl::Status NameBudget::Check(absl::CivilDay day, std::size_t queues, const NameCount& fresh) {
  if (fresh.names == 0) return absl::OkStatus();
  if (day != day_) {
    day_ = day;
    at_day_begin_ = known_;
    most_queues_ = 0;
  }
  queues = std::max(queues, most_queues_);
  const counters::NameAllowance allowed = counters::NewNamesPerDay(queues);
  const counters::NameAllowance shown{.names = known_.names - at_day_begin_.names + fresh.names,
                                      .bytes = known_.bytes - at_day_begin_.bytes + fresh.bytes};
  if (shown.names > allowed.names || shown.bytes > allowed.bytes) {
    return absl::ResourceExhaustedError(counters::TooManyNewNames(shown, queues));
  }
  const std::uint64_t kept = kRouterNameBytes + kRouterNameBytesPerQueue * queues;
  if (known_.bytes + fresh.bytes <= kept) {
    most_queues_ = queues;
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "the names of all queues that the router ever showed have ", known_.bytes + fresh.bytes,
      " bytes, the limit for a router of ", queues, " queues is ", kept,
      ": no new name of it is taken; find out on the router what makes names without end, then "
      "give the router another id"));
}

absl::Status CheckSiteNames(absl::string_view site, std::uint64_t known_bytes,
                            const NameCount& fresh) {
  if (known_bytes + fresh.bytes <= kSiteNameBytes) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "the names of all queues that routers of site \"", site, "\" ever showed have ",
      known_bytes + fresh.bytes, " bytes, the limit is ", kSiteNameBytes,
      ": no new name is taken there; divide the site, or find the routers that make names without "
      "end"));
}

}  // namespace netsentinel::accounting
