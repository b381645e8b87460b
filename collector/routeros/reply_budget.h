#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

#include "common/counters/limits.h"
#include "common/counters/snapshot.h"

namespace netsentinel::routeros {

// What the texts of one menu may take, and how many names it may bring: the limits that the
// aggregator keeps, kept here as well, so that one router's replies do not fill the spool of all.
// One thread.
class ReplyBudget {
 public:
  // Days since 1970; a new one brings a new allowance of names.
  void SetDay(std::int64_t day);

  // --- a reply: Begin, Add for every row that is new or has changed, then Check and perhaps Accept
  void Begin();
  // False when the reply has more text than any may have: the rest need not be looked at.
  bool Add(const counters::QueueDescriptor& queue);
  // Why the reply of `queues` rows, whose texts have `text_bytes` in all, is not taken; nothing
  // when it is.
  std::optional<std::string> Check(std::size_t queues, std::uint64_t text_bytes) const;
  // The reply was taken: its names are known from now on.
  void Accept();

 private:
  // Names by their hash: that two share one costs an uncounted name.
  absl::flat_hash_set<std::uint64_t> known_;
  std::int64_t day_ = 0;
  counters::NameAllowance today_;
  // Of the reply under way.
  std::vector<std::uint64_t> fresh_;
  counters::NameAllowance fresh_names_;
  std::uint64_t fresh_text_bytes_ = 0;
};

}  // namespace netsentinel::routeros
