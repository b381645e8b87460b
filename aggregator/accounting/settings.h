#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

#include "aggregator/accounting/records.h"
#include "aggregator/quota/quota.h"
#include "common/base/ids.h"
#include "common/counters/snapshot.h"

// What the policy says about accounting. Plain values; the caller reads them from configuration.
namespace netsentinel::accounting {

// Limits of a policy; docs/accounting.md.
inline constexpr std::size_t kMaxMappingRules = 256;
inline constexpr std::size_t kMaxPatternBytes = 512;
inline constexpr std::size_t kMaxCutTimes = 6;

// How the bytes of a parent queue count.
enum class ParentsMode : std::uint8_t {
  kResidue = 1,  // what the children did not move
  kRoots = 2,    // only queues without a parent count
};

// Which of the subscriber's directions a queue's counters are.
enum class Direction : std::uint8_t {
  kBoth = 0,      // upload is upload, download is download
  kDownload = 1,  // a tree queue's counter is download; of a simple queue only download counts
  kUpload = 2,    // a tree queue's counter is upload; of a simple queue only upload counts
};

// Says whose the bytes of the queues it names are. The first rule that matches a queue decides.
struct MappingRule {
  counters::Menu menu = counters::Menu::kSimple;
  base::SiteId site;      // empty: every site
  base::RouterId router;  // empty: every router
  // ECMAScript expression over the raw bytes of the name; must match all of it.
  std::string name_pattern;
  // The subscriber's name; $1 … $9 stand for groups, $$ for a dollar sign.
  std::string subscriber;
  Direction direction = Direction::kBoth;
  // Equal names on several routers of the site are one subscriber.
  bool join_routers = false;

  bool operator==(const MappingRule&) const = default;
};

// A place with one time zone.
struct SiteSettings {
  base::SiteId id;
  absl::TimeZone zone = absl::UTCTimeZone();
  absl::Duration day_start = absl::ZeroDuration();  // local time of day, whole seconds, < 24 h
  // Further local times of day at which usage rows are cut; ascending, not day_start.
  std::vector<absl::Duration> cuts;
};

struct RouterSettings {
  base::RouterId id;
  base::SiteId site;
  counters::Menu account = counters::Menu::kSimple;
  ParentsMode parents = ParentsMode::kResidue;
  std::uint64_t line_rate_bps = 10'000'000'000;
  // How often it is polled; a blind interval of at most two of these grades a day as bounded.
  absl::Duration poll_interval = absl::Seconds(30);
};

struct QuotaOverride {
  SubscriberKey subscriber;
  std::string quota_id;
  quota::Limit limit;
};

struct Policy {
  std::vector<SiteSettings> sites;
  std::vector<RouterSettings> routers;
  std::vector<MappingRule> mapping;  // the first that matches decides
  std::vector<quota::Rule> quotas;
  std::vector<QuotaOverride> overrides;
};

}  // namespace netsentinel::accounting
