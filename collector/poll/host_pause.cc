#include "collector/poll/host_pause.h"

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace netsentinel::poll {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;
// RouterOS tells its uptime in whole seconds.
constexpr std::int64_t kUptimeStepUs = kSecondUs;
// Less than this is noise; it adds up until it is more.
constexpr std::int64_t kNoticeUs = kSecondUs;
constexpr std::int64_t kToleranceUs = kSecondUs / 2;
constexpr std::int64_t kWallToleranceUs = kSecondUs;
constexpr std::int64_t kDriftParts = 5000;      // 200 ppm between a router and this host
constexpr std::int64_t kWallDriftParts = 2000;  // 500 ppm, the most that NTP slews
// What another device's steadiness may hide.
constexpr std::int64_t kHiddenUs = 3 * kSecondUs;
// Whoever was read within this long is expected to be read again soon.
constexpr std::int64_t kFreshUs = 120 * kSecondUs;
// A wall clock is put right within this after a pause, or by something else.
constexpr std::int64_t kRememberUs = 900 * kSecondUs;
constexpr std::size_t kRemembered = 16;
// Without serial numbers two entries whose devices started at one instant may be one device.
constexpr std::int64_t kOneBootUs = 5 * kSecondUs;

template <typename T>
void Remember(std::vector<T>& list, T item) {
  list.push_back(std::move(item));
  if (list.size() > kRemembered) list.erase(list.begin());
}

std::string Seconds(std::int64_t us) {
  return absl::FormatDuration(absl::Seconds((us + kSecondUs / 2) / kSecondUs));
}

bool Overlap(std::int64_t from_a, std::int64_t to_a, std::int64_t from_b, std::int64_t to_b) {
  return from_a < to_b && from_b < to_a;
}

}  // namespace

PauseJudgement HostPauses::Observe(const UptimeReading& reading) {
  LookAtTheWall(reading);
  const auto [entry, fresh] = streams_.try_emplace({reading.router, reading.menu});
  Stream& stream = entry->second;
  const std::int64_t uptime_us = static_cast<std::int64_t>(reading.uptime_s) * kSecondUs;
  stream.newest_lead = {uptime_us - reading.end_us - stream.paused_us,
                        uptime_us + kUptimeStepUs - reading.begin_us - stream.paused_us};
  const Stream before = stream;
  stream.router = reading.router;
  stream.device_key = reading.device_key;
  stream.begin_us = reading.begin_us;
  stream.end_us = reading.end_us;
  stream.wall_lead_us = reading.wall_us - reading.end_us;
  stream.ahead.reset();
  const bool other_device = before.device_key != reading.device_key;
  if (fresh || other_device) {
    StartOver(stream);
    return {.host_paused_us = stream.paused_us};
  }
  const std::int64_t drift =
      std::max<std::int64_t>(reading.end_us - before.end_us, 0) / kDriftParts;
  const Range expected = {before.lead.low - drift, before.lead.high + drift};
  const Range& now = stream.newest_lead;
  if (now.high < expected.low) {
    // It started anew. How long that took may hold a pause that others have shown.
    const std::int64_t paused = PausesWithin(before.begin_us, reading.end_us);
    StartOver(stream);
    return {.host_paused_us = Credit(stream, paused).host_paused_us};
  }
  if (now.low - expected.high <= kNoticeUs) {
    stream.lead = expected;
    if (now.low <= expected.high) {
      stream.lead = {std::max(expected.low, now.low), std::min(expected.high, now.high)};
    }
    return {.host_paused_us = stream.paused_us, .decided = true};
  }
  stream.ahead = Ahead{.router = reading.router,
                       .device_key = reading.device_key,
                       .lead = before.lead,
                       .by = {now.low - expected.high, now.high - expected.low},
                       .from_us = before.begin_us,
                       .to_us = reading.end_us,
                       .wall_lead_us = before.wall_lead_us};
  return Judge(stream);
}

PauseJudgement HostPauses::Judge(Stream& stream) {
  const Ahead ahead = *stream.ahead;
  if (const std::optional<std::int64_t> known = Known(ahead); known.has_value()) {
    return Credit(stream, *known);
  }
  if (WallAgrees(ahead, stream.wall_lead_us, stream.end_us)) {
    const std::int64_t length =
        std::clamp(stream.wall_lead_us - ahead.wall_lead_us, ahead.by.low, ahead.by.high);
    Found(ahead, {length - kToleranceUs, length + kToleranceUs});
    return Credit(stream, length);
  }
  if (const std::optional<Range> shared = Shared(ahead); shared.has_value()) {
    Found(ahead, *shared);
    return Credit(stream, std::clamp(shared->middle(), ahead.by.low, ahead.by.high));
  }
  if (Contradicted(ahead)) {
    StartOver(stream);
    tell_({PauseNote::Kind::kRouterAhead, ahead.router, ahead.by.middle(),
           absl::StrCat("the router's uptime jumped ahead by ", Seconds(ahead.by.middle()),
                        " and no other router's did: a restored image, a clone or another machine"
                        " answers there; check which")});
    return {.host_paused_us = stream.paused_us, .decided = true};
  }
  if (MayStillTell(ahead)) return {.host_paused_us = stream.paused_us, .waiting = true};
  return GiveUp(stream);
}

PauseJudgement HostPauses::Ask(const base::RouterId& router, counters::Menu menu) {
  const auto found = streams_.find({router, menu});
  if (found == streams_.end()) return {};
  Stream& stream = found->second;
  return stream.ahead.has_value() ? Judge(stream)
                                  : PauseJudgement{.host_paused_us = stream.paused_us};
}

PauseJudgement HostPauses::GiveUp(const base::RouterId& router, counters::Menu menu) {
  const auto found = streams_.find({router, menu});
  if (found == streams_.end()) return {};
  Stream& stream = found->second;
  return stream.ahead.has_value() ? GiveUp(stream)
                                  : PauseJudgement{.host_paused_us = stream.paused_us};
}

PauseJudgement HostPauses::GiveUp(Stream& stream) {
  const Ahead ahead = *stream.ahead;
  Remember(unexplained_, ahead);
  StartOver(stream);
  tell_({PauseNote::Kind::kUndecided, ahead.router, ahead.by.middle(),
         absl::StrCat("the router's uptime jumped ahead by ", Seconds(ahead.by.middle()),
                      " and nothing tells whether this host stood still or another machine answers"
                      " there: usage of that time may be too low and is marked so")});
  return {.host_paused_us = stream.paused_us};
}

void HostPauses::Forget(const base::RouterId& router) {
  std::erase_if(streams_, [&router](const auto& entry) { return entry.first.first == router; });
}

bool HostPauses::SameDevice(const Ahead& ahead, const base::RouterId& router,
                            const std::string& device_key, const Range& lead) {
  if (ahead.router == router) return true;
  if (!ahead.device_key.empty() && !device_key.empty()) return ahead.device_key == device_key;
  return std::abs(ahead.lead.middle() - lead.middle()) <= kOneBootUs;
}

bool HostPauses::Alike(const Range& a, const Range& b) {
  return a.low - kToleranceUs <= b.high && b.low - kToleranceUs <= a.high;
}

bool HostPauses::WallAgrees(const Ahead& ahead, std::int64_t wall_lead_us, std::int64_t end_us) {
  const std::int64_t tolerance = kWallToleranceUs + (end_us - ahead.from_us) / kWallDriftParts;
  const std::int64_t wall = wall_lead_us - ahead.wall_lead_us;
  return wall > kNoticeUs && wall >= ahead.by.low - tolerance && wall <= ahead.by.high + tolerance;
}

std::optional<std::int64_t> HostPauses::Known(const Ahead& ahead) const {
  Range all;
  std::optional<Range> fits;
  for (const Pause& pause : pauses_) {
    if (!Overlap(pause.from_us, pause.to_us, ahead.from_us, ahead.to_us)) continue;
    all.low += pause.length.low;
    all.high += pause.length.high;
    if (Alike(pause.length, ahead.by)) fits = pause.length;
  }
  if (all.high > 0 && Alike(all, ahead.by)) fits = all;
  if (!fits.has_value()) return std::nullopt;
  return std::clamp(fits->middle(), ahead.by.low, ahead.by.high);
}

std::optional<HostPauses::Range> HostPauses::Shared(const Ahead& ahead) const {
  const auto shared = [&ahead](const Ahead& other) -> std::optional<Range> {
    if (SameDevice(ahead, other.router, other.device_key, other.lead) ||
        !Overlap(ahead.from_us, ahead.to_us, other.from_us, other.to_us) ||
        !Alike(ahead.by, other.by)) {
      return std::nullopt;
    }
    const Range both = {std::max(ahead.by.low, other.by.low),
                        std::min(ahead.by.high, other.by.high)};
    return both.low <= both.high ? both : Range{both.high, both.low};
  };
  for (const auto& [key, stream] : streams_) {
    if (!stream.ahead.has_value()) continue;
    if (const auto both = shared(*stream.ahead); both.has_value()) return both;
  }
  for (const Ahead& other : unexplained_) {
    if (const auto both = shared(other); both.has_value()) return both;
  }
  return std::nullopt;
}

bool HostPauses::Contradicted(const Ahead& ahead) const {
  return std::any_of(streams_.begin(), streams_.end(), [&](const auto& entry) {
    const Stream& other = entry.second;
    const std::int64_t hidden =
        kHiddenUs + (other.end_us - other.begin_us) + (other.end_us - ahead.from_us) / kDriftParts;
    return !other.ahead.has_value() && other.steady_since_us <= ahead.from_us &&
           other.begin_us >= ahead.to_us && ahead.by.low > hidden &&
           !SameDevice(ahead, other.router, other.device_key, other.lead);
  });
}

bool HostPauses::MayStillTell(const Ahead& ahead) const {
  return std::any_of(streams_.begin(), streams_.end(), [&](const auto& entry) {
    const Stream& other = entry.second;
    return !other.ahead.has_value() && other.steady_since_us <= ahead.from_us &&
           other.end_us + kFreshUs > ahead.to_us && other.begin_us < ahead.to_us &&
           !SameDevice(ahead, other.router, other.device_key, other.lead);
  });
}

std::int64_t HostPauses::PausesWithin(std::int64_t from_us, std::int64_t to_us) const {
  std::int64_t sum = 0;
  for (const Pause& pause : pauses_) {
    if (pause.from_us >= from_us && pause.to_us <= to_us) sum += pause.length.middle();
  }
  return sum;
}

void HostPauses::Found(const Ahead& ahead, Range length) {
  Pause pause{.length = length, .from_us = ahead.from_us, .to_us = ahead.to_us};
  for (const Ahead& other : unexplained_) {
    if (Overlap(pause.from_us, pause.to_us, other.from_us, other.to_us) &&
        Alike(length, other.by)) {
      pause.from_us = std::max(pause.from_us, other.from_us);
      pause.to_us = std::min(pause.to_us, other.to_us);
    }
  }
  Remember(pauses_, pause);
  tell_({PauseNote::Kind::kHostPaused, ahead.router, length.middle(),
         absl::StrCat("this host stood still for about ", Seconds(length.middle()),
                      " without its own clock noticing, as under a hypervisor's pause or migration:"
                      " it is allowed for, no router restarted")});
}

PauseJudgement HostPauses::Credit(Stream& stream, std::int64_t us) {
  stream.paused_us += us;
  stream.newest_lead.low -= us;
  stream.newest_lead.high -= us;
  StartOver(stream);
  return {.host_paused_us = stream.paused_us, .decided = true};
}

void HostPauses::StartOver(Stream& stream) {
  stream.ahead.reset();
  stream.lead = stream.newest_lead;
  stream.steady_since_us = stream.end_us;
}

void HostPauses::LookAtTheWall(const UptimeReading& reading) {
  std::erase_if(unexplained_, [&reading](const Ahead& ahead) {
    return ahead.to_us + kRememberUs < reading.end_us;
  });
  std::erase_if(pauses_, [&reading](const Pause& pause) {
    return pause.to_us + 100 * kRememberUs < reading.end_us;
  });
  const auto late =
      std::find_if(unexplained_.begin(), unexplained_.end(), [&reading](const Ahead& ahead) {
        return WallAgrees(ahead, reading.wall_us - reading.end_us, reading.end_us);
      });
  if (late == unexplained_.end()) return;
  const Ahead ahead = *late;
  unexplained_.erase(late);
  Found(ahead, ahead.by);
}

}  // namespace netsentinel::poll
