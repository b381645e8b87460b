#include "aggregator/ingest/agreed_time.h"

#include <algorithm>
#include <cstdlib>
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
constexpr char kVersion = 1;

std::int64_t Median(std::vector<std::int64_t>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

std::string Amount(std::int64_t us) {
  return absl::FormatDuration(absl::Seconds(std::abs(us) / 1'000'000));
}

}  // namespace

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
    anchored_ = true;
  }
  HearStored(newest_us, wall_us, boot_us);
}

void AgreedTime::HearStored(std::int64_t newest_us, std::int64_t wall_us, std::int64_t boot_us) {
  if (newest_us != 0 && agreed_ && !anchored_ && !confirmed_ &&
      std::abs(wall_us - newest_us) > kDoubtUs) {
    agreed_ = false;
    off_by_us_ = wall_us - newest_us;
    candidate_us_.reset();
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

std::optional<AgreedTime::Witness> AgreedTime::Ask(std::int64_t boot_us) const {
  if (database_.has_value() && database_->boot_us + kFreshUs >= boot_us) {
    return Witness{database_->offset_us, true};
  }
  std::vector<std::int64_t> others;
  std::vector<std::int64_t> own;
  for (const auto& [id, heard] : collectors_) {
    if (heard.boot_us + kFreshUs < boot_us) continue;
    (heard.of_this_host ? own : others).push_back(heard.offset_us);
  }
  if (!others.empty()) return Witness{Median(others), true};
  if (!own.empty()) return Witness{Median(own), false};
  return std::nullopt;
}

void AgreedTime::Look(std::int64_t wall_us, std::int64_t boot_us) {
  const std::int64_t offset = wall_us - boot_us;
  if (agreed_) {
    LookAtStep(offset, boot_us);
  } else {
    LookAtDoubt(offset, boot_us);
  }
}

bool AgreedTime::Settled(std::int64_t offset_us, std::int64_t boot_us, bool supported,
                         bool independent) {
  if (!candidate_us_.has_value() || std::abs(*candidate_us_ - offset_us) > kFollowUs ||
      !supported) {
    candidate_us_ = offset_us;
    candidate_since_us_ = boot_us;
    return false;
  }
  return boot_us - candidate_since_us_ >= (independent ? kAgreeForUs : kAloneForUs);
}

void AgreedTime::LookAtStep(std::int64_t offset_us, std::int64_t boot_us) {
  const std::optional<Witness> witness = Ask(boot_us);
  const std::int64_t step = offset_us - offset_us_;
  if (std::abs(step) <= kFollowUs) {
    offset_us_ = offset_us;
    off_by_us_ = 0;
    if (confirmed_ || !witness.has_value()) {
      candidate_us_.reset();
      return;
    }
    // Nobody has been asked yet whether this clock was right to begin with.
    off_by_us_ = offset_us_ - witness->offset_us;
    if (std::abs(off_by_us_) > kDoubtUs) {
      agreed_ = false;
      candidate_us_.reset();
      return LookAtDoubt(offset_us, boot_us);
    }
    off_by_us_ = 0;
    if (!Settled(offset_us, boot_us, true, witness->independent)) return;
    confirmed_ = true;
    candidate_us_.reset();
    return;
  }
  off_by_us_ = step;
  bool supported = true;
  if (witness.has_value()) {
    const std::int64_t away = std::abs(witness->offset_us - offset_us);
    supported = away <= std::min(kNearUs, std::abs(step) / 2);
  }
  if (!Settled(offset_us, boot_us, supported, witness.has_value() && witness->independent)) return;
  offset_us_ = offset_us;
  confirmed_ = witness.has_value();
  off_by_us_ = 0;
  candidate_us_.reset();
}

void AgreedTime::LookAtDoubt(std::int64_t offset_us, std::int64_t boot_us) {
  const std::optional<Witness> witness = Ask(boot_us);
  // The best guess there is, for what must be said at once.
  offset_us_ = witness.has_value() ? witness->offset_us : offset_us;
  bool supported = true;
  if (witness.has_value()) {
    off_by_us_ = offset_us - witness->offset_us;
    supported = std::abs(off_by_us_) <= kDoubtUs;
  }
  if (!Settled(offset_us, boot_us, supported, witness.has_value() && witness->independent)) return;
  offset_us_ = offset_us;
  agreed_ = true;
  confirmed_ = witness.has_value();
  off_by_us_ = 0;
  candidate_us_.reset();
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
  const std::uint32_t sum = base::Crc32c(out);
  for (int i = 0; i < 4; ++i) out.push_back(static_cast<char>((sum >> (8 * i)) & 0xFF));
  return out;
}

absl::StatusOr<TimeAnchor> DecodeAnchor(const std::string& boot_id, absl::string_view bytes) {
  const auto damaged = [&boot_id] {
    return absl::DataLossError(absl::StrCat("damaged time anchor of boot ", boot_id));
  };
  if (bytes.size() < 7 || bytes.front() != kVersion) return damaged();
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
  if (!offset.has_value() || !noted.has_value() || !in.done()) return damaged();
  return TimeAnchor{boot_id, base::UnZigZag(*offset), base::UnZigZag(*noted)};
}

}  // namespace netsentinel::ingest
