#include "common/counters/matching.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace netsentinel::counters {
namespace {

constexpr std::int64_t kSecondUs = 1'000'000;

void Pair(Matches& matches, std::size_t before, std::size_t now, MatchKind kind) {
  matches.now[now] = {static_cast<std::uint32_t>(before), kind};
  matches.before[before] = static_cast<std::uint32_t>(now);
}

bool MayBeRenamed(const MatchRow& before, const MatchRow& now) {
  const QueueDescriptor& a = *before.descriptor;
  const QueueDescriptor& b = *now.descriptor;
  return !a.dynamic && !b.dynamic && !before.held && NoWitnessFell(before.reading, now.reading);
}

void MatchNames(absl::Span<const MatchRow> before, absl::Span<const MatchRow> now, MatchKind kind,
                Matches& matches) {
  absl::flat_hash_map<absl::string_view, std::size_t> by_name;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].descriptor != nullptr && matches.before[i] == kNoMatch) {
      by_name.try_emplace(before[i].descriptor->name, i);
    }
  }
  if (by_name.empty()) return;
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i].descriptor == nullptr || matches.now[i].kind != MatchKind::kNone) continue;
    const auto found = by_name.find(now[i].descriptor->name);
    if (found == by_name.end()) continue;
    Pair(matches, found->second, i, kind);
    by_name.erase(found);
  }
}

Matches Unmatched(std::size_t before, std::size_t now) {
  Matches matches;
  matches.now.resize(now);
  matches.before.assign(before, kNoMatch);
  return matches;
}

}  // namespace

Matches MatchWithinBoot(absl::Span<const MatchRow> before, absl::Span<const MatchRow> now) {
  Matches matches = Unmatched(before.size(), now.size());
  absl::flat_hash_map<std::uint64_t, std::size_t> by_id;
  by_id.reserve(before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].descriptor != nullptr) by_id.try_emplace(before[i].descriptor->row_id, i);
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i].descriptor == nullptr) continue;
    const auto found = by_id.find(now[i].descriptor->row_id);
    if (found == by_id.end() || matches.before[found->second] != kNoMatch) continue;
    if (before[found->second].descriptor->name == now[i].descriptor->name) {
      Pair(matches, found->second, i, MatchKind::kContinues);
    }
  }
  for (std::size_t i = 0; i < now.size(); ++i) {
    if (now[i].descriptor == nullptr || matches.now[i].kind != MatchKind::kNone) continue;
    const auto found = by_id.find(now[i].descriptor->row_id);
    if (found == by_id.end() || matches.before[found->second] != kNoMatch) continue;
    if (MayBeRenamed(before[found->second], now[i])) {
      Pair(matches, found->second, i, MatchKind::kRenamed);
    }
  }
  MatchNames(before, now, MatchKind::kRecreated, matches);
  return matches;
}

Matches MatchAcrossBoots(absl::Span<const MatchRow> before, absl::Span<const MatchRow> now) {
  Matches matches = Unmatched(before.size(), now.size());
  MatchNames(before, now, MatchKind::kContinues, matches);
  return matches;
}

std::int64_t ElapsedUs(const SnapshotHeader& before, const SnapshotHeader& now) {
  const bool one_host = !now.host_boot_id.empty() && before.host_boot_id == now.host_boot_id;
  if (!one_host) return std::max<std::int64_t>(now.attribution_us - before.attribution_us, 0);
  const std::int64_t paused = std::max<std::int64_t>(now.host_paused_us - before.host_paused_us, 0);
  return std::max<std::int64_t>(now.end_us - before.end_us + paused, 0);
}

std::int64_t SlackUs(const SnapshotHeader& before, const SnapshotHeader& now) {
  const std::int64_t requests = std::max<std::int64_t>(before.end_us - before.begin_us, 0) +
                                std::max<std::int64_t>(now.end_us - now.begin_us, 0);
  return 3 * kSecondUs + requests + ElapsedUs(before, now) / 5000;
}

Lineage LineageOf(const SnapshotHeader& before, const SnapshotHeader& now) {
  const bool one_host = !now.host_boot_id.empty() && before.host_boot_id == now.host_boot_id;
  if (one_host && before.session_id == now.session_id) return {.same = true};
  const std::int64_t slack = SlackUs(before, now);
  const std::int64_t elapsed = ElapsedUs(before, now);
  const auto uptime_before = static_cast<std::int64_t>(before.router_uptime_s) * kSecondUs;
  const auto uptime = static_cast<std::int64_t>(now.router_uptime_s) * kSecondUs;
  const bool boot_inside = uptime <= elapsed + slack;
  const std::int64_t drift = uptime - (uptime_before + elapsed);
  if (drift > slack) return {.same = !one_host || !now.pause_decided, .timeline = true};
  if (drift >= -slack) return {.same = true, .restart = boot_inside};
  if (boot_inside) return {.restart = true};
  // Where stamps alone tell the time, they may say too much or too little of it. In one run the
  // uptime never falls.
  return {.same = !one_host && uptime >= uptime_before, .restart = !one_host, .timeline = true};
}

}  // namespace netsentinel::counters
