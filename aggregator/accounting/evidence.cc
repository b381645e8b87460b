#include "aggregator/accounting/evidence.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "absl/numeric/int128.h"

#include "common/counters/matching.h"

namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using counters::QueueReading;
using counters::SnapshotHeader;

constexpr std::uint64_t kMaxPacketBytes = 65'535;
constexpr std::int64_t kBucketUs = 10'000'000;
constexpr std::uint64_t kSmallFallBytes = 64 * 1024;
constexpr std::uint64_t kSmallFallPart = 1000;

// Places of the ordered list by which one course is counted; docs/accounting.md.
enum Rank : int {
  kUndisputed = 0,
  kRankRestart = 1,
  kRankSmallStep = 2,
  kRankLikelyReset = 3,
  kRankWentOn = 4,
  kRankPossibleRestart = 5,
  kRankBadReading = 6,
  kRankMadeAnew = 7,
  kRankTimeline = 8,
  kRankOtherStep = 9,
};
constexpr int kRanks = 10;
constexpr std::size_t kMostSeen = kMostDisputed + 1;

bool TooLargeToStore(const TrafficBytes& bytes) {
  return bytes.upload > base::kMaxStoredBytes || bytes.download > base::kMaxStoredBytes;
}

// A packet sum that cannot have carried the bytes beside it is no evidence.
bool PacketsCarry(const QueueReading& reading) {
  const absl::uint128 bytes = absl::uint128(reading.upload) + reading.download;
  return bytes <= absl::uint128(reading.packets) * kMaxPacketBytes;
}

struct Option {
  Explanation explanation = Explanation::kWentOn;
  TrafficBytes bytes;
  TrafficBytes unseen;
  int rank = kUndisputed;
};

// What is counted so far: bad readings and bytes decide between courses of one rank.
struct Course {
  bool possible = false;
  int bad = 0;
  int ranks = 0;  // of all its steps
  absl::uint128 bytes = 0;
  // The last step, to follow the course back.
  std::size_t from = 0;
  int from_rank = 0;
  Option step;

  bool BetterThan(const Course& other) const {
    if (!other.possible) return possible;
    if (!possible) return false;
    if (bad != other.bad) return bad < other.bad;
    if (ranks != other.ranks) return ranks < other.ranks;
    return bytes > other.bytes;
  }
};

struct Node {
  bool reached = false;
  TrafficBytes sure;
  TrafficBytes visible;
  TrafficBytes upper;
  std::array<Course, kRanks> best;  // by the worst rank among the course's steps
};

// The courses through the readings of one dispute: each leads from one good reading to a later one,
// and those it leaves out were bad.
class Courses {
 public:
  explicit Courses(const JudgeInput& input) : in_(input), last_(input.seen.size() - 1) {}

  Verdict Run() {
    nodes_[0].reached = true;
    nodes_[0].best[kUndisputed].possible = true;
    for (std::size_t j = 1; j <= last_; ++j) {
      for (std::size_t i = newest_good_; i < j; ++i) {
        if (AllBadBetween(i, j)) Extend(i, j);
      }
      const bool first_was_bad = in_.first_may_be_bad || (j == 1 && EarlierWasBad());
      if (first_was_bad && newest_good_ == 0 && AllBadBetween(0, j)) {
        const int rank = in_.first_may_be_bad ? kRankTimeline : kRankBadReading;
        Try(0, j, {Explanation::kBadReading, {}, Ceiling(0, j), rank});
      }
      if (in_.seen[j].good && j < last_) newest_good_ = j;
    }
    verdict_.settled = GoesOnFromSound(last_);
    if (verdict_.settled) {
      Conclude(last_, {}, 0);
      return std::move(verdict_);
    }
    if (ThreeBeyond()) return CeilingWasWrong();
    if (in_.seen[last_].good) newest_good_ = last_;
    for (std::size_t i = newest_good_; i <= last_; ++i) {
      if (!nodes_[i].reached || !AllBadBetween(i, last_ + 1)) continue;
      const bool ends = i == last_;
      Conclude(i, ends ? TrafficBytes{} : Ceiling(i, last_), static_cast<int>(last_ - i));
    }
    if (last_ >= 1) {
      verdict_.stakes[static_cast<int>(Explanation::kBadReading)].possible = true;
    }
    return std::move(verdict_);
  }

 private:
  // A limit holds over a stretch only if every reading in it shows the same.
  TrafficBytes Ceiling(std::size_t i, std::size_t j) const {
    RowLimits held = in_.seen[i].limits;
    for (std::size_t k = i + 1; k <= j; ++k) {
      const RowLimits& limits = in_.seen[k].limits;
      if (limits.parent != held.parent) held = {};
      for (const auto direction : {&Rate::upload, &Rate::download}) {
        if (limits.own.*direction != held.own.*direction) held.own.*direction = 0;
        if (limits.outer.*direction != held.outer.*direction) held.outer.*direction = 0;
      }
    }
    const Rate rate = RateBetween(held, held, in_.line);
    return CeilingBytes(rate, ReachUs(*in_.seen[i].header, *in_.seen[j].header));
  }
  const QueueReading& At(std::size_t i) const { return in_.seen[i].reading; }

  // Readings that a course leaves out were bad: none of them goes on plainly from the last good
  // one.
  bool AllBadBetween(std::size_t i, std::size_t j) const {
    for (std::size_t k = i + 1; k < j; ++k) {
      if (WitnessFell(At(i), At(k))) continue;
      const TrafficBytes moved = Difference(At(i), At(k));
      if (Fits(moved, Ceiling(i, k)) && !TooLargeToStore(moved)) return false;
    }
    return true;
  }

  // The very first reading showed nothing, and so much cannot have passed since.
  bool EarlierWasBad() const {
    return in_.first_is_first && ShowsNothing(At(0)) && !WitnessFell(At(0), At(1)) &&
           !Fits(Difference(At(0), At(1)), Ceiling(0, 1));
  }

  bool LikeTheRate(const QueueReading& held, std::size_t i, std::size_t j) const {
    if (in_.rate.us == 0 || in_.rate.bytes == 0) return false;
    const absl::uint128 sum = absl::uint128(held.upload) + held.download;
    if (sum == 0) return false;
    const auto elapsed =
        static_cast<std::uint64_t>(LongestElapsedUs(*in_.seen[i].header, *in_.seen[j].header));
    // Sums are below 2^65 and times below 2^58, so that the products are no more than 2^125.
    const absl::uint128 here = sum * in_.rate.us;
    const absl::uint128 usual = absl::uint128(in_.rate.bytes) * elapsed;
    return here <= usual * 4 && usual <= here * 4;
  }

  // Tries every explanation of the step between two good readings.
  void Extend(std::size_t i, std::size_t j) {
    if (!nodes_[i].reached) return;
    const QueueReading& before = At(i);
    const QueueReading& now = At(j);
    const TrafficBytes most = Ceiling(i, j);
    const bool fell = WitnessFell(before, now);
    const bool byte_fell = counters::ByteCounterFell(before, now);
    const TrafficBytes from_zero = BytesOf(now);
    const bool zero_fits = Fits(from_zero, most);
    bool beyond = false;
    bool restart = false;
    bool timeline = false;
    bool renamed = false;
    for (std::size_t k = i + 1; k <= j; ++k) {
      restart = restart || in_.seen[k].may_restart;
      timeline = timeline || in_.seen[k].may_timeline;
      renamed = renamed || in_.seen[k].renamed;
    }
    if (!byte_fell) {
      const TrafficBytes moved = Difference(before, now);
      beyond = !Fits(moved, most) || TooLargeToStore(moved);
      // Where only the packet sum fell and no reset fits, the sum is what was wrong.
      if (!beyond && (!fell || !zero_fits)) {
        const bool disputed = fell || in_.tool_resets || restart || timeline || renamed;
        Try(i, j, {Explanation::kWentOn, moved, {}, disputed ? kRankWentOn : kUndisputed});
      }
    }
    const bool sign = fell || beyond || renamed || in_.tool_resets;
    if (sign && zero_fits) {
      const bool likely = (fell || beyond) && LikeTheRate(now, i, j);
      const Explanation what = renamed && !fell ? Explanation::kMadeAnew : Explanation::kReset;
      Try(i, j,
          {what, from_zero, Less(most, from_zero),
           likely && !renamed ? kRankLikelyReset : kRankMadeAnew});
    }
    // What shows nothing at all did not step back a little.
    if (byte_fell && !from_zero.zero()) {
      const bool little = FellLittle(before, now);
      if (little || !zero_fits) {
        Try(i, j, {Explanation::kSteppedBack, {}, most, little ? kRankSmallStep : kRankOtherStep});
      }
    }
    if (restart && zero_fits) {
      Try(i, j,
          {Explanation::kRestart, from_zero, Less(most, from_zero),
           fell ? kRankRestart : kRankPossibleRestart});
    }
    if (timeline) Try(i, j, {Explanation::kTimeline, {}, most, kRankTimeline});
  }

  void Try(std::size_t i, std::size_t j, const Option& option) {
    if (j == last_) NoteStake(option);
    Take(i, j, option);
  }

  void NoteStake(const Option& option) {
    Stake& stake = verdict_.stakes[static_cast<int>(option.explanation)];
    stake.bytes = Most(stake.bytes, option.bytes);
    stake.possible = true;
  }

  void Take(std::size_t i, std::size_t j, const Option& option) {
    const Node& from = nodes_[i];
    Node& to = nodes_[j];
    const TrafficBytes sure = from.sure + option.bytes;
    to.sure = to.reached ? Least(to.sure, sure) : sure;
    to.visible = Most(to.visible, from.visible + option.bytes);
    to.upper = Most(to.upper, from.upper + option.bytes + option.unseen);
    to.reached = true;
    const int left_out = static_cast<int>(j - i - 1);
    const int step_rank = left_out > 0 ? std::max<int>(option.rank, kRankBadReading) : option.rank;
    for (int rank = 0; rank < kRanks; ++rank) {
      const Course& before = from.best[static_cast<std::size_t>(rank)];
      if (!before.possible) continue;
      Course course;
      course.possible = true;
      course.bad = before.bad + left_out;
      course.ranks = before.ranks + option.rank;
      course.bytes = before.bytes + option.bytes.upload + option.bytes.download;
      course.from = i;
      course.from_rank = rank;
      course.step = option;
      Course& best = to.best[static_cast<std::size_t>(std::max(rank, step_rank))];
      if (course.BetterThan(best)) best = course;
    }
  }

  // The newest reading goes on from one that a course reaches: it is good.
  bool GoesOnFromSound(std::size_t j) const {
    // Zeros after zeros are no evidence of going on; where nothing came before, they are nothing.
    if (ShowsNothing(At(j)) && !(j == 1 && ShowsNothing(At(0)))) return false;
    for (std::size_t i = newest_good_; i < j; ++i) {
      if (!nodes_[i].reached || WitnessFell(At(i), At(j)) || !AllBadBetween(i, j)) continue;
      if (Fits(Difference(At(i), At(j)), Ceiling(i, j))) return true;
    }
    return false;
  }

  // The last three readings are beyond what every course allows, and go on from one another.
  bool ThreeBeyond() const {
    if (last_ < 3) return false;
    for (std::size_t j = last_ - 2; j <= last_; ++j) {
      if (nodes_[j].reached) return false;
      if (j == last_ - 2) continue;
      if (WitnessFell(At(j - 1), At(j))) return false;
    }
    return !WitnessFell(At(Sound()), At(last_));
  }

  std::size_t Sound() const {
    std::size_t sound = 0;
    for (std::size_t i = 0; i <= last_; ++i) {
      if (nodes_[i].reached) sound = i;
    }
    return sound;
  }

  Verdict CeilingWasWrong() {
    const std::size_t sound = Sound();
    const TrafficBytes moved = Difference(At(sound), At(last_));
    for (std::size_t i = newest_good_; i < last_; ++i) {
      if (nodes_[i].reached) Conclude(i, Ceiling(i, last_), static_cast<int>(last_ - i));
    }
    verdict_.settled = true;
    verdict_.ceiling_wrong = true;
    verdict_.counted.push_back({sound, last_, Explanation::kCeilingWrong, moved});
    Figures& figures = verdict_.figures;
    figures.sure = {};
    figures.counted += moved;
    figures.visible = Most(figures.visible, figures.counted);
    figures.upper = Most(figures.upper, figures.counted);
    Stake& stake = verdict_.stakes[static_cast<int>(Explanation::kCeilingWrong)];
    stake.possible = true;
    stake.bytes = moved;
    return std::move(verdict_);
  }

  // Takes in the courses that end at the reading; `unseen` passed after it, `bad` readings follow.
  void Conclude(std::size_t i, const TrafficBytes& unseen, int bad) {
    const Node& node = nodes_[i];
    Figures& figures = verdict_.figures;
    figures.sure = concluded_ ? Least(figures.sure, node.sure) : node.sure;
    figures.visible = Most(figures.visible, node.visible);
    figures.upper = Most(figures.upper, node.upper + unseen);
    concluded_ = true;
    for (int rank = 0; rank < kRanks; ++rank) {
      Course course = node.best[static_cast<std::size_t>(rank)];
      if (!course.possible) continue;
      course.bad += bad;
      const int worst = bad > 0 ? std::max<int>(rank, kRankBadReading) : rank;
      const bool better = !counted_.has_value() || worst < counted_rank_ ||
                          (worst == counted_rank_ && course.BetterThan(*counted_));
      if (!better) continue;
      counted_ = course;
      counted_rank_ = worst;
      FollowBack(i, rank);
    }
  }

  void FollowBack(std::size_t end, int rank) {
    std::vector<CountedStep>& steps = verdict_.counted;
    steps.clear();
    TrafficBytes total;
    while (end != 0) {
      const Course& course = nodes_[end].best[static_cast<std::size_t>(rank)];
      steps.push_back({course.from, end, course.step.explanation, course.step.bytes});
      total += course.step.bytes;
      end = course.from;
      rank = course.from_rank;
    }
    std::reverse(steps.begin(), steps.end());
    verdict_.figures.counted = total;
  }

  const JudgeInput& in_;
  std::size_t last_;
  std::size_t newest_good_ = 0;  // before the newest reading: decided, so every course passes it
  std::array<Node, kMostSeen> nodes_;
  Verdict verdict_;
  bool concluded_ = false;
  std::optional<Course> counted_;
  int counted_rank_ = 0;
};

}  // namespace

const char* ExplanationName(Explanation explanation) {
  switch (explanation) {
    case Explanation::kWentOn:
      return "went on";
    case Explanation::kReset:
      return "reset";
    case Explanation::kRestart:
      return "router restarted";
    case Explanation::kMadeAnew:
      return "made anew";
    case Explanation::kMissing:
      return "missing from a reply";
    case Explanation::kBadReading:
      return "bad reading";
    case Explanation::kSteppedBack:
      return "stepped back";
    case Explanation::kTimeline:
      return "another timeline";
    case Explanation::kCeilingWrong:
      return "above the ceiling";
    case Explanation::kRefused:
      return "refused";
    case Explanation::kUnread:
      return "not read to its end";
  }
  return "unknown";
}

Figures& Figures::operator+=(const Figures& other) {
  sure += other.sure;
  counted += other.counted;
  visible += other.visible;
  upper += other.upper;
  return *this;
}

TrafficBytes Less(const TrafficBytes& a, const TrafficBytes& b) {
  return {a.upload - std::min(a.upload, b.upload), a.download - std::min(a.download, b.download)};
}

TrafficBytes Least(const TrafficBytes& a, const TrafficBytes& b) {
  return {std::min(a.upload, b.upload), std::min(a.download, b.download)};
}

TrafficBytes Most(const TrafficBytes& a, const TrafficBytes& b) {
  return {std::max(a.upload, b.upload), std::max(a.download, b.download)};
}

Verdict Judge(const JudgeInput& input) { return Courses(input).Run(); }

bool StepIsPlain(const Observation& before, const Observation& now, const Rate& line) {
  if (WitnessFell(before.reading, now.reading)) return false;
  if (ShowsNothing(now.reading)) return ShowsNothing(before.reading);
  const TrafficBytes moved = Difference(before.reading, now.reading);
  if (moved.zero()) return true;
  return Fits(moved, CeilingBetween(before, now, line)) && !TooLargeToStore(moved);
}

std::int64_t LongestElapsedUs(const SnapshotHeader& before, const SnapshotHeader& now) {
  const std::int64_t elapsed = counters::ElapsedUs(before, now);
  const std::int64_t up = (static_cast<std::int64_t>(now.router_uptime_s) -
                           static_cast<std::int64_t>(before.router_uptime_s)) *
                          1'000'000;
  return up - elapsed > counters::SlackUs(before, now) ? up : elapsed;
}

std::int64_t ReachUs(const SnapshotHeader& before, const SnapshotHeader& now) {
  const std::int64_t requests = std::max<std::int64_t>(before.end_us - before.begin_us, 0) +
                                std::max<std::int64_t>(now.end_us - now.begin_us, 0);
  const std::int64_t elapsed = LongestElapsedUs(before, now);
  // On one host the later request lies inside the elapsed time.
  const bool one_host = !now.host_boot_id.empty() && before.host_boot_id == now.host_boot_id;
  const std::int64_t earlier = std::max<std::int64_t>(before.end_us - before.begin_us, 0);
  return elapsed + (one_host ? earlier : requests) + 3'000'000 + elapsed / 5000;
}

std::uint64_t CeilingBytes(std::uint64_t bps, std::int64_t reach_us) {
  const auto us = static_cast<std::uint64_t>(std::max<std::int64_t>(reach_us, 0) + kBucketUs);
  const absl::uint128 bytes = absl::uint128(bps) * us / 8'000'000 * 102 / 100;
  return bytes > base::kMaxStoredBytes ? base::kMaxStoredBytes : absl::Uint128Low64(bytes);
}

TrafficBytes CeilingBytes(const Rate& rate, std::int64_t reach_us) {
  return {CeilingBytes(rate.upload, reach_us), CeilingBytes(rate.download, reach_us)};
}

Rate RateBetween(const RowLimits& before, const RowLimits& now, const Rate& line) {
  if (before.parent != now.parent) return line;
  const auto one = [](std::uint64_t own_a, std::uint64_t own_b, std::uint64_t outer_a,
                      std::uint64_t outer_b, std::uint64_t most) {
    if (own_a != 0 && own_a == own_b) return own_a;
    return outer_a != 0 && outer_a == outer_b ? outer_a : most;
  };
  return {
      one(before.own.upload, now.own.upload, before.outer.upload, now.outer.upload, line.upload),
      one(before.own.download, now.own.download, before.outer.download, now.outer.download,
          line.download)};
}

TrafficBytes CeilingBetween(const Observation& before, const Observation& now, const Rate& line) {
  return CeilingBytes(RateBetween(before.limits, now.limits, line),
                      ReachUs(*before.header, *now.header));
}

bool WitnessFell(const QueueReading& before, const QueueReading& now) {
  if (counters::ByteCounterFell(before, now)) return true;
  return now.packets < before.packets && PacketsCarry(now);
}

bool ShowsNothing(const QueueReading& reading) {
  return reading.upload == 0 && reading.download == 0 && reading.packets == 0;
}

bool FellLittle(const QueueReading& before, const QueueReading& now) {
  const auto little = [](std::uint64_t from, std::uint64_t to) {
    return to >= from || from - to <= std::max(kSmallFallBytes, from / kSmallFallPart);
  };
  return little(before.upload, now.upload) && little(before.download, now.download);
}

}  // namespace netsentinel::accounting
