#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"

namespace netsentinel::ingest {

// Where the wall clock stood over CLOCK_BOOTTIME in one boot of one host; kept in the store.
struct TimeAnchor {
  std::string boot_id;
  std::int64_t offset_us = 0;
  std::int64_t noted_us = 0;  // agreed time when it was noted

  bool operator==(const TimeAnchor&) const = default;
};

// What the aggregator takes for the time: the wall clock as it once stood over CLOCK_BOOTTIME, so
// that no step of the wall clock moves it by itself. A step of more than kFollowUs is followed when
// the database's clock, or the median of the collectors', has stood nearer to the new time than to
// the old for kAgreeFor without a break; where only collectors of this very host can be asked, or
// nobody, for kAloneFor. A new boot whose clock is more than kDoubtUs off the newest that is
// stored, or off what collectors say, begins without an agreed time. All instants in microseconds;
// `wall` and `boot` are read together. Pure; one thread.
class AgreedTime {
 public:
  static constexpr std::int64_t kFollowUs = 1'000'000;
  static constexpr std::int64_t kDoubtUs = 300'000'000;
  static constexpr std::int64_t kAgreeForUs = 60'000'000;
  static constexpr std::int64_t kAloneForUs = 600'000'000;
  // A collector that has been silent for longer is not asked.
  static constexpr std::int64_t kFreshUs = 120'000'000;
  static constexpr std::size_t kMostCollectors = 20'000;

  explicit AgreedTime(std::string boot_id) : boot_id_(std::move(boot_id)) {}

  // What is stored when an aggregator takes over: the anchors of all boots.
  void Begin(std::int64_t wall_us, std::int64_t boot_us, const std::vector<TimeAnchor>& stored);
  // The newest instant that is known to have been, read back after Begin; 0: none.
  void HearStored(std::int64_t newest_us, std::int64_t wall_us, std::int64_t boot_us);
  // The clock of a database on another host; what a collector's said when its message came.
  void HearDatabase(std::int64_t database_us, std::int64_t boot_us);
  void HearCollector(const base::CollectorId& collector, bool of_this_host,
                     std::int64_t collector_us, std::int64_t boot_us);
  // Every second or so; and whenever something was heard.
  void Look(std::int64_t wall_us, std::int64_t boot_us);

  // Whether At is what everything may be judged by.
  bool agreed() const { return agreed_; }
  std::int64_t At(std::int64_t boot_us) const { return boot_us + offset_us_; }
  TimeAnchor Anchor(std::int64_t boot_us) const { return {boot_id_, offset_us_, At(boot_us)}; }
  // Empty, or for the operator: what is wrong with the clock and what to do.
  std::string trouble() const;

 private:
  struct Witness {
    std::int64_t offset_us = 0;
    bool independent = false;  // not of this host
  };
  struct Heard {
    std::int64_t offset_us = 0;
    std::int64_t boot_us = 0;
    bool of_this_host = false;
  };

  std::optional<Witness> Ask(std::int64_t boot_us) const;
  void LookAtStep(std::int64_t offset_us, std::int64_t boot_us);
  void LookAtDoubt(std::int64_t offset_us, std::int64_t boot_us);
  // True once the offset has been the same, and supported, for long enough.
  bool Settled(std::int64_t offset_us, std::int64_t boot_us, bool supported, bool independent);

  const std::string boot_id_;
  bool agreed_ = false;
  bool confirmed_ = false;  // somebody else's clock has agreed since the begin
  bool anchored_ = false;   // by what was agreed earlier in this boot
  std::int64_t offset_us_ = 0;
  std::optional<std::int64_t> candidate_us_;
  std::int64_t candidate_since_us_ = 0;
  std::int64_t off_by_us_ = 0;
  std::optional<Heard> database_;
  std::map<base::CollectorId, Heard> collectors_;
};

// The agreed time as a clock, for everything in the aggregator that speaks of days. Thread-safe.
// Before Begin it is the system's clock, and not agreed.
class AgreedClock final : public base::Clock {
 public:
  AgreedClock(const base::Clock& system, std::string boot_id)
      : system_(system), boot_id_(boot_id), time_(std::move(boot_id)) {}

  absl::Time WallNow() const override;
  absl::Duration MonotonicNow() const override { return system_.MonotonicNow(); }
  absl::Duration BootNow() const override { return system_.BootNow(); }

  // Once; what comes later is ignored.
  void Begin(const std::vector<TimeAnchor>& stored);
  void HearStored(std::int64_t newest_us);
  void HearDatabase(std::int64_t database_us);
  // `host_boot_id` is the collector's; `collector_us` 0: it did not say.
  void HearCollector(const base::CollectorId& collector, const std::string& host_boot_id,
                     std::int64_t collector_us);
  void Look();
  bool agreed() const;
  // The time to stamp what arrives now with; 0 while it is not agreed.
  std::int64_t ReceiptUs() const;
  std::string trouble() const;
  // What is to be stored: nothing before the time is agreed.
  std::optional<TimeAnchor> Anchor() const;

 private:
  const base::Clock& system_;
  const std::string boot_id_;
  mutable base::Mutex mutex_;
  AgreedTime time_ ABSL_GUARDED_BY(mutex_);
  bool begun_ ABSL_GUARDED_BY(mutex_) = false;
};

// Anchors stand beside the checkpoints under this and their boot's id.
inline constexpr absl::string_view kAnchorKey = "t/";
// An anchor's bytes in the store: docs/journal-format.md. kDataLoss when they are none.
std::string EncodeAnchor(const TimeAnchor& anchor);
absl::StatusOr<TimeAnchor> DecodeAnchor(const std::string& boot_id, absl::string_view bytes);

}  // namespace netsentinel::ingest
