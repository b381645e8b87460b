#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/aggregator/accounting/book_driver.h"

namespace netsentinel::accounting {

// A router that moves true bytes, and the collector that reads it, driven by one seed. It knows
// nothing of the rules: it tallies what each counter moved, what of it a reading still showed, and
// what was gone before a reading could.
class RouterSim {
 public:
  struct Options {
    bool drops = false;     // now and then a reply in which one queue reads zero
    bool parents = false;   // queue "all" holds the others' traffic and some of its own
    bool recreate = false;  // queues are removed and made anew
    // Queues appear, vanish, come back and are renamed, the parent among them. What was shown of
    // them is not tallied.
    bool lives = false;
    bool chatter = false;  // idle queues pass packets without bytes
    bool limits = false;   // queues have a limit, and keep to it
    bool halves = false;   // replies that lack some queues, with more queues to lack
    bool renames = false;
    bool swaps = false;  // a second device takes the first one's place, and gives it back
    bool tree = false;   // one counter a queue
    // Every midnight is polled; neither drops nor half menus there, and the collector's clock is
    // right.
    bool boundaries = false;
    bool steady_clock = false;
  };
  // What no queue passes, in bit/s each way, when there are limits.
  static constexpr std::uint64_t kLimitBps = 720'000;

  RouterSim(std::uint64_t seed, Options options) : rng_(seed), options_(options) {
    Box box;
    if (options_.parents) box.queues.push_back({next_id_++, "all"});
    const int count = 1 + static_cast<int>(Pick(4)) + (options_.halves ? 4 : 0);
    for (int i = 0; i < count; ++i) {
      box.queues.push_back({next_id_++, absl::StrCat("q", i)});
      if (options_.parents) box.queues.back().parent = "all";
    }
    box.uptime_us = static_cast<std::int64_t>(Pick(5'000'000)) * 1'000'000;
    boxes_.push_back(std::move(box));
  }

  // One interval and the reply at its end; false when the poll was missed.
  bool Step(BookDriver& driver, counters::Snapshot& snapshot) {
    std::int64_t length = Chance(2) ? 3'600 * static_cast<std::int64_t>(1 + Pick(20))
                                    : 20 + static_cast<std::int64_t>(Pick(30));
    const std::int64_t to_midnight = 86'400 - now_s_ % 86'400;
    at_boundary_ = options_.boundaries && length >= to_midnight;
    if (at_boundary_) length = to_midnight;
    const bool swapped = options_.swaps && !first_ && !unexplained_ && length > 16 && Chance(3);
    const bool reboots = !first_ && Chance(5) && !swapped && length > 16;
    // Traffic until the reboot is lost with the counters, what comes after shows. Two reboots
    // within a few seconds cannot be told from one another by anybody.
    std::int64_t up_for =
        reboots ? 15 + static_cast<std::int64_t>(Pick(static_cast<std::uint64_t>(length - 15)))
                : length;
    if (reboots) {
      Move(length - up_for);
      StartAnew();
      ++reboots_;
    }
    if (swapped) up_for = Swap(length);
    if (!reboots && !swapped && options_.recreate && !first_ && Chance(4)) Recreate();
    if (options_.renames && !first_ && Chance(4)) Rename();
    if (options_.lives && !first_) Live(reboots || swapped);
    Move(up_for);
    now_s_ += length;
    boottime_us_ += length * 1'000'000;
    for (Box& other : boxes_) other.uptime_us += length * 1'000'000;
    box().uptime_us += (up_for - length) * 1'000'000;
    if (Chance(3)) ++session_;  // the collector was restarted
    // Its host was: then only the aggregator's time tells how long that took, so it must be right
    // on both sides.
    const bool host_restarts = Chance(1) && !last_stamp_was_wrong_;
    host_restarted_ = host_restarted_ || host_restarts;
    if (host_restarts) {
      ++host_;
      ++session_;
      boottime_us_ = 60'000'000;
    }
    if (Chance(10) && !first_ && !at_boundary_) return false;  // nobody polled
    Reply(driver, snapshot);
    first_ = false;
    return true;
  }

  // Bytes of the queue that some reading showed, from its first one on: what must be counted.
  // Parents' own.
  std::map<std::string, base::TrafficBytes> shown() const { return shown_; }
  // The same by day, counted from the first.
  const std::map<std::pair<int, std::string>, base::TrafficBytes>& shown_by_day() const {
    return shown_by_day_;
  }
  // Bytes that a queue moved after its first reading and that were gone before another.
  const std::map<std::string, base::TrafficBytes>& unseen() const { return unseen_; }
  std::int64_t now_s() const { return now_s_; }
  std::int64_t now_us() const { return BookDriver::kStartUs + now_s_ * 1'000'000; }
  // True once a drop was served that no later reading has explained yet, or a reply that lacked
  // queues and that the next one decides.
  bool unexplained() const { return unexplained_ || omitting_; }
  int reboots() const { return reboots_; }

 private:
  struct Queue {
    std::uint64_t id = 0;
    std::string name;
    std::string parent = {};
    base::TrafficBytes counter = {};
    std::uint64_t packets = 0;
    base::TrafficBytes shown = {};  // of the counter, by the last true reading
    bool known = false;
    bool omitted = false;   // in the last reply
    bool new_name = false;  // that no reply has shown
    base::TrafficBytes not_shown() const {
      return {counter.upload - shown.upload, counter.download - shown.download};
    }
    void Restart() {
      counter = {};
      packets = 0;
      shown = {};
    }
  };
  struct Box {
    std::vector<Queue> queues = {};
    std::int64_t uptime_us = 0;
    std::string serial = "SN1";
  };
  Box& box() { return boxes_[active_]; }

  std::uint64_t Pick(std::uint64_t below) {
    return below == 0 ? 0 : std::uniform_int_distribution<std::uint64_t>(0, below - 1)(rng_);
  }
  bool Chance(std::uint64_t percent) { return Pick(100) < percent; }

  void Move(std::int64_t seconds) {
    if (seconds <= 0) return;
    base::TrafficBytes children;
    for (Queue& q : box().queues) {
      if (q.name == "all") continue;
      if (Chance(30)) {
        if (options_.chatter && Chance(50)) ++q.packets;
        continue;
      }
      base::TrafficBytes bytes = {Pick(2'000) * static_cast<std::uint64_t>(seconds),
                                  Pick(90'000) * static_cast<std::uint64_t>(seconds)};
      if (options_.tree) bytes.upload = 0;
      Count(q, bytes);
      children += bytes;
    }
    for (Queue& q : box().queues) {
      if (q.name != "all") continue;
      const base::TrafficBytes own = {Pick(500) * static_cast<std::uint64_t>(seconds),
                                      Pick(10'000)};
      Count(q, children + own);
    }
  }
  static void Count(Queue& q, const base::TrafficBytes& bytes) {
    q.counter += bytes;
    q.packets += bytes.total() / 700 + (bytes.zero() ? 0 : 1);
  }

  void Lose(Queue& q) {
    if (q.known) unseen_[q.name] += q.not_shown();
    q.Restart();
  }
  void StartAnew() {
    for (Queue& q : box().queues) Lose(q);
    box().uptime_us = 0;
    ++session_;
  }

  // The other device stands here from the begin of the interval. How long of it it has been up.
  std::int64_t Swap(std::int64_t length) {
    const std::int64_t started =
        15 + static_cast<std::int64_t>(Pick(static_cast<std::uint64_t>(length - 15)));
    ++session_;
    if (boxes_.size() == 1) {
      Box fresh;
      fresh.serial = "SN2";
      const bool young = Chance(50);
      for (const Queue& q : boxes_[0].queues) {
        Queue made{next_id_++, q.name};
        // What it moved elsewhere is nobody's business here.
        if (!young) made.counter = made.shown = {Pick(1'000'000), Pick(1'000'000'000)};
        made.packets = made.counter.total() / 700 + 1;
        if (young) made.packets = 0;
        made.known = young;
        fresh.queues.push_back(std::move(made));
      }
      fresh.uptime_us = young ? 0 : 8'640'000'000'000;
      boxes_.push_back(std::move(fresh));
      active_ = 1;
      return young ? started : length;
    }
    active_ = 1 - active_;
    if (Chance(50)) return length;
    for (Queue& q : box().queues) Lose(q);
    box().uptime_us = 0;
    return started;
  }

  void Recreate() {
    Queue& q = box().queues[Pick(box().queues.size())];
    if (q.name == "all") return;
    Lose(q);
    q.id = next_id_++;
  }

  void Live(bool restarted) {
    std::vector<Queue>& queues = box().queues;
    if (restarted) removed_.clear();
    if (Chance(5) && queues.size() < 7) {
      if (!removed_.empty() && Chance(40)) {
        queues.push_back(removed_.back());
        removed_.pop_back();
      } else {
        queues.push_back({next_id_++, FreeName()});
        if (options_.parents && queues.back().name != "all") queues.back().parent = "all";
      }
    }
    if (Chance(5) && queues.size() > 1) {
      const auto gone = queues.begin() + static_cast<std::ptrdiff_t>(Pick(queues.size()));
      if (removed_.empty()) removed_.push_back(*gone);
      queues.erase(gone);
    }
    if (Chance(3)) {
      Queue& q = queues[Pick(queues.size())];
      if (q.name != "all") q.name = FreeName();
    }
    if (Chance(2) && options_.parents) {
      Queue& q = queues[Pick(queues.size())];
      if (q.name != "all") q.parent = q.parent.empty() ? "all" : "";
    }
  }
  // A name that no queue has, here or among the removed; one used before when there is.
  std::string FreeName() {
    const std::vector<Queue>& queues = box().queues;
    for (int i = 0;; ++i) {
      std::string name = i == 0 && options_.parents ? "all" : absl::StrCat("q", i);
      const auto has = [&name](const Queue& q) { return q.name == name; };
      if (std::none_of(queues.begin(), queues.end(), has) &&
          std::none_of(removed_.begin(), removed_.end(), has)) {
        return name;
      }
    }
  }

  // A queue that the last reply lacked, or that a drop has not explained, is another story.
  void Rename() {
    Queue& q = box().queues[Pick(box().queues.size())];
    if (q.name == "all" || q.omitted || unexplained_) return;
    q.new_name = true;
    q.name = absl::StrCat(q.name.substr(0, q.name.find('r')), "r", ++renames_);
  }

  bool Omits() { return omitting_ && Chance(50); }

  void Reply(BookDriver& driver, counters::Snapshot& snapshot) {
    std::vector<Row> rows;
    std::vector<Queue>& queues = box().queues;
    // A device's first reply has all its queues: one that it shows later looks born.
    const bool all_known =
        std::all_of(queues.begin(), queues.end(), [](const Queue& q) { return q.known; });
    const bool plain = first_ || unexplained_ || at_boundary_ || !all_known;
    const std::size_t dropped = options_.drops && !plain && Chance(4) ? Pick(queues.size()) : ~0ULL;
    omitting_ = options_.halves && !plain && dropped == ~0ULL && Chance(8);
    unexplained_ = false;
    const int day = static_cast<int>((now_s_ - 1) / 86'400);
    const std::uint64_t limit = options_.limits ? kLimitBps : 0;
    for (std::size_t i = 0; i < queues.size(); ++i) {
      Queue& q = queues[i];
      // A queue that is lacking or zero just when it has a new name cannot be told from another,
      // nor one that is zero when it is back.
      const bool may_drop = !q.new_name && !q.omitted;
      q.omitted = !q.new_name && Omits();
      if (q.omitted) continue;
      q.new_name = false;
      if (i == dropped && may_drop && q.known && (q.shown.upload > 0 || q.shown.download > 0)) {
        rows.push_back({q.id, q.name, 0, 0, 0, q.parent, false, limit});
        unexplained_ = true;
        continue;
      }
      rows.push_back(
          {q.id, q.name, q.counter.upload, q.counter.download, q.packets, q.parent, false, limit});
      if (q.known) {
        shown_[q.name] += q.not_shown();
        shown_by_day_[{day, q.name}] += q.not_shown();
      } else if (boxes_.size() > 1) {
        unseen_[q.name] += q.not_shown();  // since it stands here
      }
      q.known = true;
      q.shown = q.counter;
    }
    driver.session = session_;
    driver.serial = box().serial;
    driver.host_boot = absl::StrCat("host-", host_);
    snapshot = driver.Make(rows, now_s_, static_cast<std::uint64_t>(box().uptime_us / 1'000'000));
    snapshot.header.end_us = boottime_us_;
    snapshot.header.begin_us = boottime_us_ - 1000;
    snapshot.header.at_boundary = at_boundary_;
    StepClock(snapshot);
  }

  // The collector's clock steps, up to two hours either way, until it has met the aggregator's
  // time again.
  void StepClock(counters::Snapshot& snapshot) {
    if (options_.boundaries || options_.steady_clock) return;
    if (Chance(3)) clock_error_us_ = (static_cast<std::int64_t>(Pick(14'400)) - 7'200) * 1'000'000;
    if (host_restarted_) clock_error_us_ = 0;
    host_restarted_ = false;
    snapshot.header.attribution_us += clock_error_us_;
    last_stamp_was_wrong_ = clock_error_us_ != 0;
    if (Chance(50)) clock_error_us_ = 0;
  }

  std::mt19937_64 rng_;
  Options options_;
  std::vector<Box> boxes_;
  std::size_t active_ = 0;
  std::vector<Queue> removed_;  // that may come back as they were
  std::uint64_t next_id_ = 1;
  std::uint64_t session_ = 1;
  int host_ = 1;
  int reboots_ = 0;
  int renames_ = 0;
  std::int64_t now_s_ = 100;
  std::int64_t boottime_us_ = 1'000'000'000;
  std::int64_t clock_error_us_ = 0;
  bool first_ = true;
  bool at_boundary_ = false;
  bool omitting_ = false;
  bool host_restarted_ = false;
  bool last_stamp_was_wrong_ = false;
  bool unexplained_ = false;
  std::map<std::string, base::TrafficBytes> shown_;
  std::map<std::pair<int, std::string>, base::TrafficBytes> shown_by_day_;
  std::map<std::string, base::TrafficBytes> unseen_;
};

}  // namespace netsentinel::accounting
