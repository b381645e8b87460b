#include "aggregator/accounting/applier.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/display_name.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::MatchKind;
using counters::QueueReading;
using counters::SnapshotHeader;

constexpr std::uint64_t kMaxPacketBytes = 65'535;
constexpr int kMaxParentDepth = 32;

TrafficBytes BytesOf(const QueueReading& reading) { return {reading.upload, reading.download}; }

TrafficBytes Difference(const QueueReading& before, const QueueReading& now) {
  return {now.upload - before.upload, now.download - before.download};
}

// A packet sum that cannot have carried the bytes beside it is no evidence.
bool PacketsCarry(const QueueReading& reading) {
  const absl::uint128 bytes = absl::uint128(reading.upload) + reading.download;
  return bytes <= absl::uint128(reading.packets) * kMaxPacketBytes;
}

bool TooLargeToStore(const TrafficBytes& bytes) {
  return bytes.upload > base::kMaxStoredBytes || bytes.download > base::kMaxStoredBytes;
}

// `at`, moved into [from, to]; `to` when there is no such interval.
std::int64_t Between(std::int64_t from, std::int64_t at, std::int64_t to) {
  return std::min(std::max(from, at), to);
}

// True for an epoch whose begin is known, so that none of it went by unseen.
bool SeenFromItsStart(EpochReason reason) {
  return reason == EpochReason::kReboot || reason == EpochReason::kBorn ||
         reason == EpochReason::kReplaced;
}

}  // namespace

std::uint64_t LineBytes(std::uint64_t bps, std::int64_t us) {
  if (us <= 0) return 0;
  const absl::uint128 bytes = absl::uint128(bps) * static_cast<std::uint64_t>(us) / 8'000'000;
  if (absl::Uint128High64(bytes) != 0) return std::numeric_limits<std::uint64_t>::max();
  return absl::Uint128Low64(bytes);
}

// --- what is known of rows

const counters::QueueDescriptor& Applier::DescriptorOf(std::uint32_t row) const {
  const counters::QueueDescriptor* descriptor = state_.dictionary.Find(state_.rows[row].descriptor);
  NS_CHECK(descriptor != nullptr, "a queue whose descriptor was dropped");
  return *descriptor;
}

const SnapshotHeader& Applier::ReadHeader(std::uint32_t row) const {
  const auto found = state_.read_at.find(row);
  return found == state_.read_at.end() ? *state_.last : *found->second;
}

std::int64_t Applier::Existed(std::uint32_t row) const {
  const SnapshotHeader& before = ReadHeader(row);
  return counters::ElapsedUs(before, now_) + counters::SlackUs(before, now_);
}

bool Applier::PassesGate(const TrafficBytes& bytes, std::int64_t existed_us) const {
  const std::uint64_t most = LineBytes(context_.settings.line_rate_bps, existed_us);
  return bytes.upload <= most && bytes.download <= most && !TooLargeToStore(bytes);
}

std::uint64_t Applier::RateBps(std::uint32_t row, bool upload) const {
  if (upload && context_.menu == counters::Menu::kTree) return 0;
  for (int depth = 0; row != kNoRow && depth < kMaxParentDepth; ++depth) {
    const counters::QueueDescriptor& d = DescriptorOf(row);
    const std::uint64_t limit = upload ? d.max_limit_upload : d.max_limit_download;
    const std::uint64_t burst = upload ? d.burst_limit_upload : d.burst_limit_download;
    if (limit != 0) return std::max(limit, burst);
    row = state_.slots[row].parent;
  }
  return context_.settings.line_rate_bps;
}

bool Applier::CountsNothing(std::uint32_t row) const {
  if (context_.settings.parents != ParentsMode::kRoots) return false;
  return state_.slots[row].parent != kNoRow ||
         (row < parent_before_.size() && parent_before_[row] != kNoRow);
}

// --- writing down

void Applier::AddEvent(std::int64_t at_us, absl::string_view kind, absl::string_view queue,
                       absl::string_view detail) {
  if (effects_.events.size() >= kMaxEventsPerSnapshot) {
    ++effects_.events_left_out;
    return;
  }
  effects_.events.push_back({at_us, context_.router, context_.menu, std::string(queue),
                             std::string(kind), std::string(detail)});
}

void Applier::AddEpoch(std::uint32_t row, std::int64_t start_us, EpochReason reason) {
  const counters::QueueDescriptor& descriptor = DescriptorOf(row);
  effects_.epochs.push_back({QueueKey{context_.router, context_.menu, descriptor.name},
                             descriptor.row_id, start_us, reason});
  effects_.epoch_queues.push_back(state_.rows[row].descriptor);
}

void Applier::AddHoldRecord(std::uint32_t row, const Hold& hold, bool resolved) {
  effects_.holds.push_back({QueueKey{context_.router, context_.menu, DescriptorOf(row).name},
                            hold.held_us, BytesOf(hold.before), BytesOf(state_.rows[row]),
                            resolved});
}

void Applier::AddPart(std::uint32_t row, std::int64_t from_us, std::int64_t to_us,
                      TrafficBytes bytes, PartKind kind) {
  known_[row] = Known::kCounted;
  if (bytes.zero()) return;
  if (TooLargeToStore(bytes)) {
    AddEvent(to_us, "implausible", DescriptorOf(row).name,
             "the counter moved by more than 2^63-1 bytes; taken as a new baseline");
    AddRefused(row, to_us, bytes);
    return;
  }
  const std::int64_t since = kind == PartKind::kOnward     ? state_.slots[row].since_us
                             : kind == PartKind::kFromZero ? from_us
                                                           : to_us;
  parts_.push_back({row,
                    {state_.rows[row].descriptor, kind == PartKind::kImplausible, from_us, to_us,
                     std::min(since, to_us), bytes}});
}

void Applier::AddBlind(std::uint32_t row, std::int64_t from_us, std::int64_t to_us,
                       TrafficBytes extra) {
  if (CountsNothing(row) || (from_us >= to_us && extra.zero())) return;
  Blind blind;
  blind.descriptor = state_.rows[row].descriptor;
  blind.from_us = from_us;
  blind.to_us = to_us;
  blind.observed_since_us = std::min(state_.slots[row].since_us, from_us);
  blind.rate_upload_bps = RateBps(row, true);
  blind.rate_download_bps = RateBps(row, false);
  blind.extra = extra;
  effects_.blinds.push_back(blind);
}

void Applier::AddRefused(std::uint32_t row, std::int64_t at_us, TrafficBytes bytes) {
  if (CountsNothing(row) || bytes.zero()) return;
  AddBlind(row, at_us, at_us, bytes);
  effects_.blinds.back().partial = true;
}

bool Applier::CountFromZero(std::uint32_t row, const QueueReading& reading, const FromZero& rule) {
  const TrafficBytes bytes = BytesOf(reading);
  if (PassesGate(bytes, rule.existed_us)) {
    AddEpoch(row, rule.from_us, rule.reason);
    AddPart(row, rule.from_us, rule.to_us, bytes,
            SeenFromItsStart(rule.reason) ? PartKind::kFromZero : PartKind::kBlind);
    return true;
  }
  const std::string& name = DescriptorOf(row).name;
  if (rule.before != nullptr && counters::NoWitnessFell(*rule.before, reading)) {
    AddEvent(rule.to_us, "implausible", name,
             "the counter is too high to have started from zero; counted on from the reading "
             "before, as bytes that may be none. If the line is faster than line_rate, raise it");
    AddPart(row, rule.before_us, rule.to_us, Difference(*rule.before, reading),
            PartKind::kImplausible);
    return false;
  }
  AddEvent(rule.to_us, "implausible", name,
           "the counter is too high to have started from zero; taken as a new baseline. If the "
           "line is faster than line_rate, raise it");
  AddRefused(row, rule.to_us, bytes);
  AddEpoch(row, rule.from_us, rule.reason);
  known_[row] = Known::kBaseline;
  return true;
}

// --- lives

void Applier::StartHold(std::uint32_t row, const QueueReading& before, std::int64_t before_us,
                        const QueueReading& held, std::int64_t existed_us) {
  Hold hold{before, before_us, now_.attribution_us, existed_us};
  state_.rows[row] = held;
  AddHoldRecord(row, hold, false);
  state_.holds[row] = hold;
  known_[row] = Known::kCounted;
}

void Applier::ResolveAsReset(std::uint32_t row) {
  const auto found = state_.holds.find(row);
  if (found == state_.holds.end()) return;
  const Hold hold = found->second;
  AddHoldRecord(row, hold, true);
  state_.holds.erase(found);
  AddBlind(row, hold.before_us, hold.held_us, {});
  CountFromZero(row, state_.rows[row],
                {EpochReason::kReset, hold.before_us, hold.held_us, hold.existed_us, nullptr, 0});
  state_.slots[row].since_us = hold.held_us;
}

void Applier::ExplainHold(std::uint32_t row, const QueueReading& reading) {
  const Hold hold = state_.holds.at(row);
  const QueueReading held = state_.rows[row];
  const std::int64_t existed = Existed(row);
  if (counters::NoWitnessFell(hold.before, reading)) {
    AddHoldRecord(row, hold, true);
    state_.holds.erase(row);
    AddPart(row, hold.before_us, now_.attribution_us, Difference(hold.before, reading),
            PartKind::kOnward);
    const bool reset_was_possible =
        !counters::ByteCounterFell(held, reading) && PassesGate(Difference(held, reading), existed);
    if (reset_was_possible) {
      AddBlind(row, hold.held_us, hold.held_us, BytesOf(hold.before));
    }
    AddEvent(now_.attribution_us, "bad_reply", DescriptorOf(row).name,
             absl::StrCat("one reading fell to ", held.upload, "/", held.download,
                          " and the next went on from the one before"));
    return;
  }
  ResolveAsReset(row);
  if (counters::ByteCounterFell(held, reading)) {
    StartHold(row, held, hold.held_us, reading, existed);
    return;
  }
  AddPart(row, hold.held_us, now_.attribution_us, Difference(held, reading), PartKind::kOnward);
}

void Applier::ReadOnward(std::uint32_t row, const QueueReading& reading) {
  if (state_.holds.contains(row)) {
    ExplainHold(row, reading);
    return;
  }
  const QueueReading before = state_.rows[row];
  const std::int64_t from = ReadAt(row);
  if (counters::ByteCounterFell(before, reading)) {
    StartHold(row, before, from, reading, Existed(row));
    return;
  }
  const std::int64_t to = now_.attribution_us;
  if (reading.packets < before.packets) {
    const bool reset = PacketsCarry(reading) && PassesGate(BytesOf(reading), Existed(row));
    if (reset) {
      AddBlind(row, from, to, {});
      CountFromZero(row, reading, {EpochReason::kReset, from, to, Existed(row), nullptr, 0});
      state_.slots[row].since_us = to;
      return;
    }
    AddEvent(to, "packets_fell", DescriptorOf(row).name,
             "the packet counters fell while the byte counters did not; counted as no reset");
  }
  AddPart(row, from, to, Difference(before, reading), PartKind::kOnward);
}

void Applier::Recreate(std::uint32_t row, const QueueReading& reading) {
  ResolveAsReset(row);
  TakeStone(reading);
  const QueueReading before = state_.rows[row];
  const std::int64_t from = ReadAt(row);
  const std::int64_t to = now_.attribution_us;
  AddBlind(row, from, to, {});
  state_.rows[row] = reading;  // its epoch is the new queue's
  CountFromZero(row, reading, {EpochReason::kRecreated, from, to, Existed(row), &before, from});
  state_.slots[row].since_us = to;
}

void Applier::RestartWithBoot(std::uint32_t row, const QueueReading& reading) {
  ResolveAsReset(row);
  const QueueReading before = state_.rows[row];
  const std::int64_t before_us = ReadAt(row);
  const std::int64_t from = Between(before_us, boot_us_, now_.attribution_us);
  AddBlind(row, before_us, from, {});
  state_.rows[row] = reading;
  const std::int64_t up = static_cast<std::int64_t>(now_.router_uptime_s) * kSecondUs + kSecondUs +
                          (now_.end_us - now_.begin_us);
  const std::int64_t existed = std::min(up, Existed(row));
  if (CountFromZero(
          row, reading,
          {EpochReason::kReboot, from, now_.attribution_us, existed, &before, before_us})) {
    state_.slots[row].since_us = from;
  }
}

std::optional<Tombstone> Applier::TakeStone(const QueueReading& reading) {
  if (rebooted_ || state_.tombstones.empty()) return std::nullopt;
  if (!stones_by_id_.has_value()) {
    stones_by_id_.emplace();
    for (std::size_t i = 0; i < state_.tombstones.size(); ++i) {
      (*stones_by_id_)[state_.dictionary.Find(state_.tombstones[i].descriptor)->row_id] = i;
    }
  }
  const auto found = stones_by_id_->find(state_.dictionary.Find(reading.descriptor)->row_id);
  if (found == stones_by_id_->end()) return std::nullopt;
  const Tombstone stone = state_.tombstones[found->second];
  state_.tombstones[found->second].descriptor = kNoRow;  // taken away by TrimTombstones
  stones_by_id_->erase(found);
  unused_.push_back(stone.descriptor);
  return stone;
}

bool Applier::ComeBack(const QueueReading& reading) {
  const std::optional<Tombstone> taken = TakeStone(reading);
  if (!taken.has_value()) return false;
  const Tombstone& stone = *taken;
  const counters::QueueDescriptor& now = *state_.dictionary.Find(reading.descriptor);
  if (state_.dictionary.Find(stone.descriptor)->name != now.name) return false;
  const bool fresh = now_.attribution_us - stone.vanished_us <= kTombstoneUs;
  if (!fresh || !counters::NoWitnessFell(stone.reading, reading)) return false;
  const std::uint32_t row = NewRow(reading);
  state_.slots[row].since_us = now_.attribution_us;
  AddPart(row, stone.read_us, now_.attribution_us, Difference(stone.reading, reading),
          PartKind::kBlind);
  AddEvent(now_.attribution_us, "queue_back", now.name,
           "the queue is back with the counter it had; counted on from there");
  return true;
}

void Applier::Appear(const QueueReading& reading) {
  if (ComeBack(reading)) return;
  const std::uint32_t row = NewRow(reading);
  const std::int64_t to = now_.attribution_us;
  state_.slots[row].since_us = to;
  const SnapshotHeader* before = last_step_.has_value()    ? &*last_step_
                                 : state_.last.has_value() ? &*state_.last
                                                           : context_.replaces;
  const bool baseline = before == nullptr ||
                        (!first_ && before->settings_fingerprint != now_.settings_fingerprint) ||
                        (first_ && !rebooted_);
  if (baseline) {
    const bool replaces = first_ && before != nullptr;
    AddEpoch(row, to, replaces ? EpochReason::kReplaced : EpochReason::kFirstSight);
    if (replaces) AddBlind(row, before->attribution_us, to, {});
    known_[row] = Known::kBaseline;
    return;
  }
  std::int64_t from = before->attribution_us;
  std::int64_t existed = counters::ElapsedUs(*before, now_) + counters::SlackUs(*before, now_);
  if (rebooted_) {
    from = Between(from, boot_us_, to);
    existed = std::min(existed, static_cast<std::int64_t>(now_.router_uptime_s) * kSecondUs +
                                    kSecondUs + (now_.end_us - now_.begin_us));
  }
  const EpochReason reason = first_ ? EpochReason::kReplaced : EpochReason::kBorn;
  if (first_) {
    state_.slots[row].since_us = before->attribution_us;
    AddBlind(row, before->attribution_us, from, {});
  }
  state_.slots[row].since_us = from;
  CountFromZero(row, reading, {reason, from, to, existed, nullptr, 0});
  if (known_[row] == Known::kBaseline) state_.slots[row].since_us = to;
}

void Applier::Vanish(std::uint32_t row) {
  ResolveAsReset(row);
  const std::int64_t read = ReadAt(row);
  AddBlind(row, read, now_.attribution_us, {});
  if (rebooted_) {
    unused_.push_back(state_.rows[row].descriptor);
  } else {
    state_.tombstones.push_back(
        {state_.rows[row].descriptor, state_.rows[row], read, now_.attribution_us});
  }
  known_[row] = Known::kGone;
  freed_.push_back(row);
}

std::uint32_t Applier::NewRow(const QueueReading& reading) {
  std::uint32_t row = 0;
  if (state_.free_rows.empty()) {
    row = static_cast<std::uint32_t>(state_.rows.size());
    state_.rows.emplace_back();
    state_.slots.emplace_back();
    known_.push_back(Known::kUnread);
    parent_before_.push_back(kNoRow);
  } else {
    row = state_.free_rows.back();
    state_.free_rows.pop_back();
    state_.slots[row] = Slot{};
    parent_before_[row] = kNoRow;
  }
  state_.rows[row] = reading;
  known_[row] = Known::kCounted;
  writes_.emplace_back(row, reading);
  return row;
}

// --- whole snapshots and steps

void Applier::Begin(const SnapshotHeader& now) {
  now_ = now;
  first_ = !state_.last.has_value();
  const SnapshotHeader* before = first_ ? context_.replaces : &*state_.last;
  const auto up = static_cast<std::int64_t>(now.router_uptime_s) * kSecondUs;
  if (first_) {
    // Another device's uptime says nothing; one that started after the other's last reading can
    // have moved nothing before that.
    rebooted_ = before != nullptr && StartedAfter(*before, now);
  } else {
    rebooted_ = counters::RouterRebooted(*before, now);
  }
  boot_us_ = now.attribution_us - std::min(up, now.attribution_us);
  parts_.clear();
  freed_.clear();
  writes_.clear();
  known_.assign(state_.rows.size(), Known::kUnread);
  parent_before_.resize(state_.slots.size());
  for (std::size_t i = 0; i < state_.slots.size(); ++i) {
    parent_before_[i] = state_.slots[i].parent;
  }
  if (rebooted_ && !first_) {
    AddEvent(now.attribution_us, "reboot", "",
             absl::StrCat("the router started anew, up ", now.router_uptime_s, " s"));
    for (const Tombstone& stone : state_.tombstones) unused_.push_back(stone.descriptor);
    state_.tombstones.clear();
  }
}

void Applier::ApplyRows(const std::vector<QueueReading>& readings,
                        const counters::Matches& matches) {
  for (std::size_t i = 0; i < readings.size(); ++i) {
    const counters::Match match = matches.now[i];
    const QueueReading& reading = readings[i];
    if (match.kind == MatchKind::kNone) continue;
    const std::uint32_t row = match.before;
    const DescriptorIndex descriptor = state_.rows[row].descriptor;
    const std::string old_name =
        match.kind == MatchKind::kRenamed ? DescriptorOf(row).name : std::string();
    // From here on the row is described as the router describes it now.
    if (descriptor != reading.descriptor) {
      unused_.push_back(descriptor);
      if (match.kind != MatchKind::kRecreated && !rebooted_) {
        state_.rows[row].descriptor = reading.descriptor;
      }
    }
    if (rebooted_) {
      RestartWithBoot(row, reading);
    } else if (match.kind == MatchKind::kRecreated) {
      Recreate(row, reading);
    } else {
      ReadOnward(row, reading);
    }
    if (match.kind == MatchKind::kRenamed) {
      AddEvent(now_.attribution_us, "queue_renamed", DescriptorOf(row).name,
               absl::StrCat("was ", base::DisplayName(old_name)));
    }
    if (descriptor < state_.row_of.size()) state_.row_of[descriptor] = kNoRow;
    writes_.emplace_back(row, reading);
  }
  for (std::size_t i = 0; i < readings.size(); ++i) {
    if (matches.now[i].kind == MatchKind::kNone) Appear(readings[i]);
  }
}

void Applier::ApplyFull(const SnapshotHeader& now, const std::vector<QueueReading>& readings,
                        const absl::flat_hash_set<std::uint32_t>& keep) {
  Begin(now);
  const counters::Matches matches = MatchRows(readings, rebooted_);
  const auto rows_before = static_cast<std::uint32_t>(state_.rows.size());
  std::vector<std::uint32_t> missing;
  for (std::uint32_t row = 0; row < rows_before; ++row) {
    if (state_.rows[row].descriptor != kNoRow && matches.before[row] == counters::kNoMatch) {
      missing.push_back(row);
    }
  }
  ApplyRows(readings, matches);
  absl::flat_hash_map<std::uint32_t, std::shared_ptr<const SnapshotHeader>> unread;
  for (const std::uint32_t row : missing) {
    if (!keep.contains(row)) {
      Vanish(row);
    } else {
      unread[row] = std::make_shared<const SnapshotHeader>(ReadHeader(row));
    }
  }
  Finish();
  state_.read_at = std::move(unread);
  state_.last = now;
  last_step_.reset();
}

}  // namespace netsentinel::accounting
