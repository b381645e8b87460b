// Where a World's snapshots come from when they are not given ready, and what time it is.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "common/counters/snapshot_codec.h"
#include "tests/oracle/driver/words.h"
#include "tests/oracle/driver/world.h"

namespace netsentinel::oracle {
namespace {

using counters::Menu;
using counters::Snapshot;

constexpr std::int64_t kSecondUs = 1'000'000;
// Looks at the clocks between two commands: seldom enough for a gap of days, and often enough that
// nobody who is asked is out of date.
constexpr std::int64_t kMostLooks = 300;
constexpr std::int64_t kLongestLookUs = 50 * kSecondUs;
constexpr char kBoot[] = "boot-";

}  // namespace

// session ROUTER · bytes ROUTER HEX · hangup ROUTER · ask ROUTER MENU...
absl::Status World::Line(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 2));
  RouterLine& line = lines_[Text(words[1])];
  if (words[0] == "session") return line.Connect(), absl::OkStatus();
  if (words[0] == "hangup") return line.HangUp(), absl::OkStatus();
  if (words[0] == "ask") {
    std::vector<Menu> menus;
    for (const absl::string_view word : words.subspan(2)) menus.push_back(MenuOf(word));
    return line.Ask(menus);
  }
  NS_RETURN_IF_ERROR(Need(words, 3));
  line.Feed(absl::HexStringToBytes(words[2]));
  return absl::OkStatus();
}

// take ROUTER MENU HOST BEGIN END SESSION STAMP SERIAL BOUNDARY SKEW PAUSED DECIDED
absl::Status World::Take(Words words, std::string& out) {
  NS_RETURN_IF_ERROR(Need(words, 13));
  Snapshot snapshot;
  snapshot.router = base::RouterId(Text(words[1]));
  RouterLine& line = lines_[Text(words[1])];
  const Menu menu = MenuOf(words[2]);
  if (const absl::Status status = line.Take(menu, snapshot); !status.ok()) {
    absl::StrAppend(&out, "lost ", status.message(), "\n");
    return absl::OkStatus();
  }
  counters::SnapshotHeader& h = snapshot.header;
  h.host_boot_id = Text(words[3]);
  h.begin_us = Number<std::int64_t>(words[4]);
  h.end_us = Number<std::int64_t>(words[5]);
  h.session_id = Number<std::uint64_t>(words[6]);
  h.attribution_us = Number<std::int64_t>(words[7]);
  h.clock = counters::AttributionClock::kAggregator;
  h.device.serial_number = Text(words[8]);
  h.at_boundary = words[9] == "1";
  h.boundary_skew_ms = Number<std::uint32_t>(words[10]);
  h.host_paused_us = Number<std::int64_t>(words[11]);
  h.pause_decided = words[12] == "1";
  spool_.push_back(
      {snapshot.router, menu, counters::EncodeSelfContained(snapshot, line.table(menu))});
  out += "taken\n";
  return absl::OkStatus();
}

// clock TRUE_US OFF_US WHO: true time goes on to TRUE_US with the wall clock OFF_US ahead of it,
// and who can be asked is heard: 1 a collector elsewhere, 2 one on this host, 4 a database.
absl::Status World::Clock(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 4));
  const auto until_us = Number<std::int64_t>(words[1]);
  off_us_ = Number<std::int64_t>(words[2]);
  who_ = Number<int>(words[3]);
  if (time_ == nullptr) {
    true_us_ = until_us;
    booted_us_ = until_us - 1000 * kSecondUs;
    BeginTime();
  }
  const std::int64_t step =
      std::clamp((until_us - true_us_) / kMostLooks, kSecondUs, kLongestLookUs);
  do {
    true_us_ = std::min(true_us_ + step, std::max(until_us, true_us_));
    LookAtClocks();
  } while (true_us_ < until_us);
  return absl::OkStatus();
}

// A new aggregator: what was agreed in this boot of the host is stored.
void World::BeginTime() {
  time_ = std::make_unique<ingest::AgreedTime>(absl::StrCat(kBoot, booted_us_));
  std::vector<ingest::TimeAnchor> stored;
  for (const auto& [boot, bytes] : anchors_) {
    absl::StatusOr<ingest::TimeAnchor> anchor = ingest::DecodeAnchor(boot, bytes);
    if (anchor.ok()) stored.push_back(*std::move(anchor));
  }
  time_->Begin(true_us_ + off_us_, true_us_ - booted_us_, stored);
}

void World::LookAtClocks() {
  const std::int64_t boot_us = true_us_ - booted_us_;
  if ((who_ & 1) != 0) time_->HearCollector(base::CollectorId("far"), false, true_us_, boot_us);
  if ((who_ & 2) != 0) time_->HearCollector(base::CollectorId("near"), true, true_us_, boot_us);
  if ((who_ & 4) != 0) time_->HearDatabase(true_us_, boot_us);
  if ((who_ & 8) != 0) time_->HearDatabase(true_us_ + off_us_, boot_us);
  time_->Look(true_us_ + off_us_, boot_us);
  if (!time_->agreed()) return;
  const ingest::TimeAnchor anchor = time_->Anchor(boot_us);
  anchors_[anchor.boot_id] = ingest::EncodeAnchor(anchor);
}

// reboot TRUE_US OFF_US: the aggregator's host starts anew, with a clock that is off.
absl::Status World::Reboot(Words words) {
  NS_RETURN_IF_ERROR(Need(words, 3));
  if (time_ == nullptr) return absl::InvalidArgumentError("no clock yet");
  true_us_ = std::max(true_us_, Number<std::int64_t>(words[1]));
  off_us_ = Number<std::int64_t>(words[2]);
  booted_us_ = true_us_ - kSecondUs;
  BeginTime();
  return Restart(time_->At(true_us_ - booted_us_));
}

// A receipt's instant: a number, or `agreed`: 0 while no time is agreed.
std::int64_t World::Receipt(absl::string_view word) const {
  if (word != "agreed" || time_ == nullptr) return Number<std::int64_t>(word);
  return time_->agreed() ? time_->At(true_us_ - booted_us_) : 0;
}

}  // namespace netsentinel::oracle
