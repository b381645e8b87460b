#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "aggregator/accounting/records.h"

namespace netsentinel::ingest {

// Texts of collectors and routers are cut to this many bytes where they are kept or told.
inline constexpr std::size_t kTextMax = 4096;
std::string Bounded(absl::string_view text);

// What the engine has to tell beside the snapshots it counts: how often a thing that repeats is
// told, and the events that wait for the next commit. Pure. One thread.
class Notices {
 public:
  struct Limits {
    absl::Duration interval = absl::Minutes(1);
    std::size_t subjects = 100'000;
    std::size_t waiting = 1'000;
  };
  Notices() : Notices(Limits()) {}
  explicit Notices(const Limits& limits) : limits_(limits) {}

  // Once an interval per kind and subject: how many of the same were held back since. Nothing:
  // this one is to be held back, as is everything new while too many subjects are remembered.
  std::optional<std::uint64_t> Pass(absl::string_view kind, absl::string_view subject,
                                    absl::Duration now);
  // Keeps an event for the next commit. While as many wait as may, further ones are dropped:
  // events tell, they do not count.
  void Add(accounting::EventRecord event);
  const std::vector<accounting::EventRecord>& waiting() const { return waiting_; }
  // The first `count` that waited are committed.
  void Committed(std::size_t count);

 private:
  struct Told {
    absl::Duration at;
    std::uint64_t held_back = 0;
  };
  Limits limits_;
  absl::flat_hash_map<std::string, Told> told_;
  std::vector<accounting::EventRecord> waiting_;
};

}  // namespace netsentinel::ingest
