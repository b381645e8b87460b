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
  // Where a database elsewhere stood then, over the same CLOCK_BOOTTIME: one that later moves by as
  // much as our wall clock and with it has the same clock.
  std::optional<std::int64_t> database_us;

  bool operator==(const TimeAnchor&) const = default;
};

// What the aggregator takes for the time: the wall clock as it once stood over CLOCK_BOOTTIME, so
// that no step of the wall clock moves it by itself.
//
// Witnesses are the clock of a database on another host and the median of the collectors on other
// hosts; only where there are neither, the median of the collectors of this very host. A database
// that makes a step together with our wall clock has the same clock (another container of this
// host) and is asked like a collector of this host from then on.
//
// A step of more than kFollowUs is followed when a witness has stood near the new time, and none
// near the old, for kAgreeForUs without a break; where nobody on another host can be asked, for
// kAloneForUs.
//
// After a start nobody has confirmed the clock yet. One that this boot's anchor or the newest that
// is stored bears out loses its standing only when every witness has contradicted it (kDoubtUs) for
// kAgreeForUs; one that nothing bears out at the first contradiction, and gets it back when the
// contradiction ends before it has stood so long; one that what is stored contradicts has none to
// begin with. Without standing (agreed() is false) the time is the host's clock, or the anchor,
// until a witness has stood for kAgreeForUs; where the store contradicts the host, the witness's at
// once. All instants in microseconds; `wall` and `boot` are read together. Pure; one thread.
class AgreedTime {
 public:
  static constexpr std::int64_t kFollowUs = 1'000'000;
  static constexpr std::int64_t kDoubtUs = 300'000'000;
  static constexpr std::int64_t kAgreeForUs = 60'000'000;
  static constexpr std::int64_t kAloneForUs = 600'000'000;
  // A collector that has been silent for longer is not asked, nor is a database.
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
  // Every second or so. O(collectors) while a step or the begin is judged, O(1) otherwise.
  void Look(std::int64_t wall_us, std::int64_t boot_us);

  // Whether At is what everything may be judged by.
  bool agreed() const { return agreed_; }
  std::int64_t At(std::int64_t boot_us) const { return boot_us + offset_us_; }
  TimeAnchor Anchor(std::int64_t boot_us) const {
    return {boot_id_, offset_us_, At(boot_us), database_steady_us_};
  }
  // Empty, or for the operator: what is wrong with the clock and what to do.
  std::string trouble() const;

 private:
  struct Heard {
    std::int64_t offset_us = 0;
    std::int64_t boot_us = 0;
    bool of_this_host = false;
  };
  // Where those who can be asked now stand over CLOCK_BOOTTIME; either all of other hosts or none.
  struct Witnesses {
    std::vector<std::int64_t> offsets;
    bool independent = false;
    // The one that is furthest off `offset_us`.
    std::optional<std::int64_t> FurthestFrom(std::int64_t offset_us) const;
    bool AnyWithin(std::int64_t offset_us, std::int64_t most_us) const;
  };
  // For how long a value has been the same, give or take kFollowUs.
  struct Standing {
    std::optional<std::int64_t> value_us;
    std::int64_t since_us = 0;
    // Begins anew where `value_us` is another one.
    std::int64_t For(std::int64_t value_us, std::int64_t boot_us);
  };

  Witnesses Ask(std::int64_t boot_us) const;
  void LookAtDatabase(std::int64_t step_us);
  void LookAtBegin(std::int64_t offset_us, std::int64_t boot_us);
  void LookAtStep(std::int64_t offset_us, std::int64_t boot_us);
  void LookAtDoubt(std::int64_t offset_us, std::int64_t boot_us);
  static std::int64_t LongEnough(const Witnesses& witnesses) {
    return witnesses.independent ? kAgreeForUs : kAloneForUs;
  }

  const std::string boot_id_;
  bool agreed_ = false;
  bool confirmed_ = false;  // somebody else's clock has agreed since the begin
  bool borne_out_ = false;  // by this boot's anchor, or by what is stored
  bool store_contradicts_ = false;
  bool doubt_may_pass_ = false;  // the contradiction has not stood long enough to be believed
  std::int64_t offset_us_ = 0;
  std::int64_t off_by_us_ = 0;
  Standing candidate_;      // the wall clock's offset, while it is supported
  Standing contradiction_;  // the offset of the witness that contradicts
  std::optional<Heard> database_;
  std::optional<std::int64_t> database_steady_us_;  // its offset while our wall clock made no step
  bool database_shares_clock_ = false;
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
