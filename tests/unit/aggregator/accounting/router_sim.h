#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/aggregator/accounting/book_driver.h"

namespace netsentinel::accounting {

// A router that moves true bytes, and the collector that reads it, driven by one seed. It knows
// nothing of the rules: it tallies what each counter moved and what of it a reading still showed.
class RouterSim {
 public:
  struct Options {
    bool drops = false;     // now and then a reply in which one queue reads zero
    bool parents = false;   // queue "all" holds the others' traffic and some of its own
    bool recreate = false;  // queues are removed and made anew
    // Queues appear, vanish, come back and are renamed, the parent among them. What was shown of
    // them is not tallied.
    bool lives = false;
  };

  RouterSim(std::uint64_t seed, Options options) : rng_(seed), options_(options) {
    if (options_.parents) queues_.push_back({next_id_++, "all"});
    const int count = 1 + static_cast<int>(Pick(4));
    for (int i = 0; i < count; ++i) {
      queues_.push_back({next_id_++, absl::StrCat("q", i)});
      if (options_.parents) queues_.back().parent = "all";
    }
    uptime_us_ = static_cast<std::int64_t>(Pick(5'000'000)) * 1'000'000;
  }

  // One interval and the reply at its end; false when the poll was missed.
  bool Step(BookDriver& driver, counters::Snapshot& snapshot) {
    const std::int64_t length = Chance(2) ? 3'600 * static_cast<std::int64_t>(1 + Pick(20))
                                          : 20 + static_cast<std::int64_t>(Pick(30));
    const bool reboots = !first_ && Chance(5);
    // Traffic until the reboot is lost with the counters, what comes after shows. Two reboots
    // within a few seconds cannot be told from one another by anybody.
    const std::int64_t up_for =
        reboots ? 15 + static_cast<std::int64_t>(Pick(static_cast<std::uint64_t>(length - 15)))
                : length;
    if (reboots) {
      Move(length - up_for);
      for (Queue& q : queues_) q.Restart();
      uptime_us_ = 0;
      ++session_;
      ++reboots_;
    }
    if (!reboots && options_.recreate && !first_ && Chance(4)) Recreate();
    if (options_.lives && !first_) Live(reboots);
    Move(up_for);
    now_s_ += length;
    boottime_us_ += length * 1'000'000;
    uptime_us_ += up_for * 1'000'000;
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
    if (Chance(10) && !first_) return false;  // nobody polled
    Reply(driver, snapshot);
    first_ = false;
    return true;
  }

  // Bytes of the queue that some reading showed, from its first one on: what must be counted.
  // Parents' own.
  std::map<std::string, base::TrafficBytes> shown() const { return shown_; }
  std::int64_t now_s() const { return now_s_; }
  std::int64_t now_us() const { return BookDriver::kStartUs + now_s_ * 1'000'000; }
  // True once a drop was served that no later reading has explained yet.
  bool unexplained() const { return unexplained_; }
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
    void Restart() {
      counter = {};
      packets = 0;
      shown = {};
    }
  };

  std::uint64_t Pick(std::uint64_t below) {
    return below == 0 ? 0 : std::uniform_int_distribution<std::uint64_t>(0, below - 1)(rng_);
  }
  bool Chance(std::uint64_t percent) { return Pick(100) < percent; }

  void Move(std::int64_t seconds) {
    if (seconds <= 0) return;
    base::TrafficBytes children;
    for (Queue& q : queues_) {
      if (q.name == "all" || Chance(30)) continue;
      const base::TrafficBytes bytes = {Pick(2'000) * static_cast<std::uint64_t>(seconds),
                                        Pick(90'000) * static_cast<std::uint64_t>(seconds)};
      Count(q, bytes);
      children += bytes;
    }
    for (Queue& q : queues_) {
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

  void Recreate() {
    Queue& q = queues_[Pick(queues_.size())];
    if (q.name == "all") return;
    q.Restart();
    q.id = next_id_++;
  }

  void Live(bool reboots) {
    if (reboots) removed_.clear();
    if (Chance(5) && queues_.size() < 7) {
      if (!removed_.empty() && Chance(40)) {
        queues_.push_back(removed_.back());
        removed_.pop_back();
      } else {
        queues_.push_back({next_id_++, FreeName()});
        if (options_.parents && queues_.back().name != "all") queues_.back().parent = "all";
      }
    }
    if (Chance(5) && queues_.size() > 1) {
      const auto gone = queues_.begin() + static_cast<std::ptrdiff_t>(Pick(queues_.size()));
      if (removed_.empty()) removed_.push_back(*gone);
      queues_.erase(gone);
    }
    if (Chance(3)) {
      Queue& q = queues_[Pick(queues_.size())];
      if (q.name != "all") q.name = FreeName();
    }
    if (Chance(2) && options_.parents) {
      Queue& q = queues_[Pick(queues_.size())];
      if (q.name != "all") q.parent = q.parent.empty() ? "all" : "";
    }
  }
  // A name that no queue has, here or among the removed; one used before when there is.
  std::string FreeName() {
    for (int i = 0;; ++i) {
      std::string name = i == 0 && options_.parents ? "all" : absl::StrCat("q", i);
      const auto has = [&name](const Queue& q) { return q.name == name; };
      if (std::none_of(queues_.begin(), queues_.end(), has) &&
          std::none_of(removed_.begin(), removed_.end(), has)) {
        return name;
      }
    }
  }

  void Reply(BookDriver& driver, counters::Snapshot& snapshot) {
    std::vector<Row> rows;
    const std::size_t dropped =
        options_.drops && !first_ && !unexplained_ && Chance(4) ? Pick(queues_.size()) : ~0ULL;
    unexplained_ = false;
    for (std::size_t i = 0; i < queues_.size(); ++i) {
      Queue& q = queues_[i];
      if (i == dropped && (q.shown.upload > 0 || q.shown.download > 0)) {
        rows.push_back({q.id, q.name, 0, 0, 0, q.parent});
        unexplained_ = true;
        continue;
      }
      rows.push_back({q.id, q.name, q.counter.upload, q.counter.download, q.packets, q.parent});
      if (q.known) {
        shown_[q.name] +=
            {q.counter.upload - q.shown.upload, q.counter.download - q.shown.download};
      }
      q.known = true;
      q.shown = q.counter;
    }
    driver.session = session_;
    driver.host_boot = absl::StrCat("host-", host_);
    snapshot = driver.Make(rows, now_s_, static_cast<std::uint64_t>(uptime_us_ / 1'000'000));
    snapshot.header.end_us = boottime_us_;
    snapshot.header.begin_us = boottime_us_ - 1000;
    // The collector's clock steps, up to two hours either way, until it has met the aggregator's
    // time again.
    if (Chance(3)) clock_error_us_ = (static_cast<std::int64_t>(Pick(14'400)) - 7'200) * 1'000'000;
    if (host_restarted_) clock_error_us_ = 0;
    host_restarted_ = false;
    snapshot.header.attribution_us += clock_error_us_;
    last_stamp_was_wrong_ = clock_error_us_ != 0;
    if (Chance(50)) clock_error_us_ = 0;
  }

  std::mt19937_64 rng_;
  Options options_;
  std::vector<Queue> queues_;
  std::vector<Queue> removed_;  // that may come back as they were
  std::uint64_t next_id_ = 1;
  std::uint64_t session_ = 1;
  int host_ = 1;
  int reboots_ = 0;
  std::int64_t now_s_ = 100;
  std::int64_t boottime_us_ = 1'000'000'000;
  std::int64_t uptime_us_ = 0;
  std::int64_t clock_error_us_ = 0;
  bool first_ = true;
  bool host_restarted_ = false;
  bool last_stamp_was_wrong_ = false;
  bool unexplained_ = false;
  std::map<std::string, base::TrafficBytes> shown_;
};

}  // namespace netsentinel::accounting
