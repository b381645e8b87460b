#include "aggregator/ingest/agreed_time.h"

#include <algorithm>
#include <cstdlib>
#include <ranges>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "common/base/crc32c.h"
#include "common/base/varint.h"

namespace netsentinel::ingest {
namespace {

// A step is agreed to by whoever stands nearer to the new time than to the old, and no further off
// than this.
constexpr std::int64_t kNearUs = 30'000'000;
constexpr char kVersion = 2;
constexpr char kVersionWithoutDatabase = 1;

std::int64_t Median(std::vector<std::int64_t>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string Amount(std::int64_t us) {
  return absl::FormatDuration(absl::Seconds(std::abs(us) / 1'000'000));
}

}  // namespace

std::optional<std::int64_t> AgreedTime::Witnesses::FurthestFrom(std::int64_t offset_us) const {
  if (offsets.empty()) return std::nullopt;
  return *std::ranges::max_element(
      offsets, {}, [offset_us](std::int64_t one) { return std::abs(one - offset_us); });
}

bool AgreedTime::Witnesses::AnyWithin(std::int64_t offset_us, std::int64_t most_us) const {
  return std::ranges::any_of(
      offsets, [&](std::int64_t one) { return std::abs(one - offset_us) <= most_us; });
}

std::int64_t AgreedTime::Standing::For(std::int64_t value, std::int64_t boot_us) {
  if (!value_us.has_value() || std::abs(*value_us - value) > kFollowUs) {
    value_us = value;
    since_us = boot_us;
  }
  return boot_us - since_us;
}

void AgreedTime::Begin(std::int64_t wall_us, std::int64_t boot_us,
                       const std::vector<TimeAnchor>& stored) {
  offset_us_ = wall_us - boot_us;
  agreed_ = true;
  std::int64_t newest_us = 0;
  for (const TimeAnchor& anchor : stored) {
    newest_us = std::max(newest_us, anchor.noted_us);
    if (anchor.boot_id != boot_id_) continue;
    // It was agreed once in this boot; a step since then is judged like any other.
    offset_us_ = anchor.offset_us;
    database_steady_us_ = anchor.database_us;
    borne_out_ = true;
  }
  HearStored(newest_us, wall_us, boot_us);
}

void AgreedTime::HearStored(std::int64_t newest_us, std::int64_t wall_us, std::int64_t boot_us) {
  if (newest_us != 0 && agreed_ && !borne_out_ && !confirmed_) {
    if (std::abs(wall_us - newest_us) > kDoubtUs) {
      agreed_ = false;
      store_contradicts_ = true;
      off_by_us_ = wall_us - newest_us;
      candidate_ = {};
    } else {
      borne_out_ = true;
    }
  }
  Look(wall_us, boot_us);
}

void AgreedTime::HearDatabase(std::int64_t database_us, std::int64_t boot_us) {
  database_ = Heard{database_us - boot_us, boot_us, false};
}

void AgreedTime::HearCollector(const base::CollectorId& collector, bool of_this_host,
                               std::int64_t collector_us, std::int64_t boot_us) {
  if (collectors_.size() >= kMostCollectors && !collectors_.contains(collector)) {
    std::erase_if(collectors_, [boot_us](const auto& entry) {
      return entry.second.boot_us + kFreshUs < boot_us;
    });
    if (collectors_.size() >= kMostCollectors) return;
  }
  collectors_[collector] = {collector_us - boot_us, boot_us, of_this_host};
}

AgreedTime::Witnesses AgreedTime::Ask(std::int64_t boot_us) const {
  Witnesses found;
  std::vector<std::int64_t> others;
  std::vector<std::int64_t> own;
  for (const auto& [id, heard] : collectors_) {
    if (heard.boot_us + kFreshUs < boot_us) continue;
    (heard.of_this_host ? own : others).push_back(heard.offset_us);
  }
  const bool database = database_.has_value() && database_->boot_us + kFreshUs >= boot_us;
  if (database && !database_shares_clock_) found.offsets.push_back(database_->offset_us);
  if (!others.empty()) found.offsets.push_back(Median(others));
  found.independent = !found.offsets.empty();
  if (found.independent) return found;
  if (database) own.push_back(database_->offset_us);
  if (!own.empty()) found.offsets.push_back(Median(own));
  return found;
}

void AgreedTime::Look(std::int64_t wall_us, std::int64_t boot_us) {
  const std::int64_t offset = wall_us - boot_us;
  LookAtDatabase(offset - offset_us_);
  if (!agreed_) return LookAtDoubt(offset, boot_us);
  if (std::abs(offset - offset_us_) > kFollowUs) return LookAtStep(offset, boot_us);
  offset_us_ = offset;
  off_by_us_ = 0;
  if (!confirmed_) return LookAtBegin(offset, boot_us);
  candidate_ = {};
}

// A clock of its own does not move when ours is set.
void AgreedTime::LookAtDatabase(std::int64_t step_us) {
  if (!database_.has_value()) return;
  if (std::abs(step_us) <= kFollowUs) {
    if (agreed_) database_steady_us_ = database_->offset_us;
    return;
  }
  if (!database_steady_us_.has_value()) return;
  const std::int64_t moved = database_->offset_us - *database_steady_us_;
  if (std::abs(moved - step_us) <= kFollowUs) database_shares_clock_ = true;
}

// Nobody has been asked yet whether this clock was right to begin with.
void AgreedTime::LookAtBegin(std::int64_t offset_us, std::int64_t boot_us) {
  const Witnesses witnesses = Ask(boot_us);
  if (witnesses.offsets.empty()) {
    candidate_ = {};
    return;
  }
  const std::int64_t furthest = *witnesses.FurthestFrom(offset_us);
  const bool contradicted = borne_out_ ? !witnesses.AnyWithin(offset_us, kDoubtUs)
                                       : std::abs(furthest - offset_us) > kDoubtUs;
  if (!contradicted) {
    contradiction_ = {};
    // What is supported here is the begin itself, for as long as a step has to be.
    confirmed_ = candidate_.For(offset_us, boot_us) >= LongEnough(witnesses);
    return;
  }
  candidate_ = {};
  const bool stood = contradiction_.For(furthest, boot_us) >= LongEnough(witnesses);
  if (borne_out_ && !stood) return;
  agreed_ = false;
  doubt_may_pass_ = !stood;
  LookAtDoubt(offset_us, boot_us);
}

void AgreedTime::LookAtStep(std::int64_t offset_us, std::int64_t boot_us) {
  const std::int64_t step = offset_us - offset_us_;
  const std::int64_t near = std::min(kNearUs, std::abs(step) / 2);
  const Witnesses witnesses = Ask(boot_us);
  off_by_us_ = step;
  const bool supported = witnesses.offsets.empty() || (witnesses.AnyWithin(offset_us, near) &&
                                                       !witnesses.AnyWithin(offset_us_, near));
  if (!supported) {
    candidate_ = {};
    return;
  }
  if (candidate_.For(offset_us, boot_us) < LongEnough(witnesses)) return;
  offset_us_ = offset_us;
  confirmed_ = !witnesses.offsets.empty();
  off_by_us_ = 0;
  candidate_ = {};
}

void AgreedTime::LookAtDoubt(std::int64_t offset_us, std::int64_t boot_us) {
  const Witnesses witnesses = Ask(boot_us);
  const std::optional<std::int64_t> furthest = witnesses.FurthestFrom(offset_us);
  if (!furthest.has_value()) {
    if (!contradiction_.value_us.has_value()) offset_us_ = offset_us;
  } else if (std::abs(*furthest - offset_us) > kDoubtUs) {
    off_by_us_ = offset_us - *furthest;
    candidate_ = {};
    const bool stood = contradiction_.For(*furthest, boot_us) >= LongEnough(witnesses);
    if (stood) doubt_may_pass_ = false;
    if (stood || store_contradicts_) offset_us_ = *furthest;
    return;
  } else {
    contradiction_ = {};
    offset_us_ = offset_us;
  }
  if (!doubt_may_pass_ && candidate_.For(offset_us, boot_us) < LongEnough(witnesses)) return;
  offset_us_ = offset_us;
  agreed_ = true;
  confirmed_ = furthest.has_value() && !doubt_may_pass_;
  doubt_may_pass_ = false;
  store_contradicts_ = false;
  off_by_us_ = 0;
  candidate_ = {};
  contradiction_ = {};
}

std::string AgreedTime::trouble() const {
  if (agreed_ && off_by_us_ == 0) return "";
  const std::string off = absl::StrCat(Amount(off_by_us_), off_by_us_ > 0 ? " ahead" : " behind");
  if (agreed_) {
    return absl::StrCat("this host's clock was set and is ", off,
                        " of the time: figures go on by the old time until the database or the"
                        " collectors agree with it for a minute; check NTP here");
  }
  return absl::StrCat("this host's clock is ", off,
                      " of what is stored or of the collectors: readings count for the time that"
                      " collectors say, no day closes and nothing is purged until the clocks agree"
                      " for a minute; set whichever is wrong");
}

absl::Time AgreedClock::WallNow() const {
  base::MutexLock lock(mutex_);
  if (!begun_) return system_.WallNow();
  return absl::FromUnixMicros(time_.At(absl::ToInt64Microseconds(system_.BootNow())));
}

void AgreedClock::Begin(const std::vector<TimeAnchor>& stored) {
  base::MutexLock lock(mutex_);
  if (std::exchange(begun_, true)) return;
  time_.Begin(absl::ToUnixMicros(system_.WallNow()), absl::ToInt64Microseconds(system_.BootNow()),
              stored);
}

void AgreedClock::HearStored(std::int64_t newest_us) {
  base::MutexLock lock(mutex_);
  time_.HearStored(newest_us, absl::ToUnixMicros(system_.WallNow()),
                   absl::ToInt64Microseconds(system_.BootNow()));
}

void AgreedClock::HearDatabase(std::int64_t database_us) {
  base::MutexLock lock(mutex_);
  time_.HearDatabase(database_us, absl::ToInt64Microseconds(system_.BootNow()));
}

void AgreedClock::HearCollector(const base::CollectorId& collector, const std::string& host_boot_id,
                                std::int64_t collector_us) {
  if (collector_us <= 0) return;
  base::MutexLock lock(mutex_);
  time_.HearCollector(collector, host_boot_id == boot_id_, collector_us,
                      absl::ToInt64Microseconds(system_.BootNow()));
}

void AgreedClock::Look() {
  base::MutexLock lock(mutex_);
  if (!begun_) return;
  time_.Look(absl::ToUnixMicros(system_.WallNow()), absl::ToInt64Microseconds(system_.BootNow()));
}

bool AgreedClock::agreed() const {
  base::MutexLock lock(mutex_);
  return begun_ && time_.agreed();
}

std::int64_t AgreedClock::ReceiptUs() const {
  base::MutexLock lock(mutex_);
  if (!begun_ || !time_.agreed()) return 0;
  return std::max<std::int64_t>(time_.At(absl::ToInt64Microseconds(system_.BootNow())), 0);
}

std::string AgreedClock::trouble() const {
  base::MutexLock lock(mutex_);
  return begun_ ? time_.trouble() : "";
}

std::optional<TimeAnchor> AgreedClock::Anchor() const {
  base::MutexLock lock(mutex_);
  if (!begun_ || !time_.agreed()) return std::nullopt;
  return time_.Anchor(absl::ToInt64Microseconds(system_.BootNow()));
}

std::string EncodeAnchor(const TimeAnchor& anchor) {
  std::string out(1, kVersion);
  base::AppendVarint(out, base::ZigZag(anchor.offset_us));
  base::AppendVarint(out, base::ZigZag(anchor.noted_us));
  base::AppendVarint(out, anchor.database_us.has_value() ? 1 : 0);
  if (anchor.database_us.has_value()) {
    base::AppendVarint(out, base::ZigZag(*anchor.database_us));
  }
  const std::uint32_t sum = base::Crc32c(out);
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((sum >> (8 * i)) & 0xFF));
  return out;
}

absl::StatusOr<TimeAnchor> DecodeAnchor(const std::string& boot_id, absl::string_view bytes) {
  const auto damaged = [&boot_id] {
    return absl::DataLossError(absl::StrCat("damaged time anchor of boot ", boot_id));
  };
  if (bytes.size() < 7) return damaged();
  const char version = bytes.front();
  if (version != kVersion && version != kVersionWithoutDatabase) return damaged();
  const absl::string_view body = bytes.substr(0, bytes.size() - 4);
  std::uint32_t sum = 0;
  for (int i = 0; i < 4; ++i) {
    const char byte = bytes[body.size() + static_cast<std::size_t>(i)];
    sum |= static_cast<std::uint32_t>(static_cast<unsigned char>(byte)) << (8 * i);
  }
  if (sum != base::Crc32c(body)) return damaged();
  base::ByteReader in(body.substr(1));
  const auto offset = in.Varint();
  const auto noted = in.Varint();
  if (!offset.has_value() || !noted.has_value()) return damaged();
  TimeAnchor anchor{boot_id, base::UnZigZag(*offset), base::UnZigZag(*noted), std::nullopt};
  const std::uint64_t with_database = version == kVersion ? in.Varint().value_or(2) : 0;
  if (with_database == 1) {
    const auto database = in.Varint();
    if (!database.has_value()) return damaged();
    anchor.database_us = base::UnZigZag(*database);
  }
  if (with_database > 1 || !in.done()) return damaged();
  return anchor;
}

}  // namespace netsentinel::ingest
