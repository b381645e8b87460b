#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/civil_time.h"

// How many names a router may bring. Names are kept for as long as their usage, so whoever shows
// new ones without end would fill memory and database for good.
namespace netsentinel::accounting {

// Names of queues that a router has shown, in both of its menus.
struct NameCount {
  std::uint64_t names = 0;
  std::uint64_t bytes = 0;

  void Add(absl::string_view name) {
    ++names;
    bytes += name.size();
  }
};

// What is kept of a router's names in all: so many bytes, and so many more for each queue it has.
inline constexpr std::uint64_t kRouterNameBytes = std::uint64_t{32} << 20;
inline constexpr std::uint64_t kRouterNameBytesPerQueue = 256;
// Of all routers of a site together.
inline constexpr std::uint64_t kSiteNameBytes = std::uint64_t{256} << 20;

// One router's names. What it may bring on one day is counters::NewNamesPerDay. One thread.
class NameBudget {
 public:
  void Add(absl::string_view name) { known_.Add(name); }
  const NameCount& known() const { return known_; }

  // A snapshot that leaves the router with `queues` queues in both menus, taken on `day` of its
  // site, brings the names `fresh`. kResourceExhausted, with words for the router's operator, when
  // those are more than it may bring: the most queues it had on that day count. Counts no name.
  absl::Status Check(absl::CivilDay day, std::size_t queues, const NameCount& fresh);

 private:
  NameCount known_;
  // What was known when the day began, as far as this run of the program knows.
  absl::CivilDay day_;
  NameCount at_day_begin_;
  std::size_t most_queues_ = 0;  // of snapshots with new names that were taken on it
};

// The same for the sites: `known` is what its routers have.
absl::Status CheckSiteNames(absl::string_view site, std::uint64_t known_bytes,
                            const NameCount& fresh);

}  // namespace netsentinel::accounting
