#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// What a router may say of its queues and itself. The collector's reader keeps to these before
// anything is spooled, and the aggregator refuses what passes them: one set for both, so that
// nothing is spooled that would be refused for ever.
namespace netsentinel::counters {

// A queue's name and that of its parent: what a store takes into its key.
inline constexpr std::size_t kMaxNameBytes = 2'048;
// Target and comment of a queue; longer ones are shortened.
inline constexpr std::size_t kMaxDescriptionBytes = 4'096;
// Serial number, version and the like.
inline constexpr std::size_t kMaxDeviceTextBytes = 256;
// A hundred years.
inline constexpr std::uint64_t kMaxUptimeSeconds = std::uint64_t{36'525} * 86'400;

// `text` when it has at most `limit` bytes; else its beginning, "...#" and 16 hex digits of a hash
// of all of it, `limit` bytes together. The same text gives the same on every host and in every
// run, so that shortened texts still tell whether something changed. `limit` is 20 at least.
std::string Shortened(absl::string_view text, std::size_t limit);

// For a protobuf string: base::DisplayName of `raw`, of at most kMaxDeviceTextBytes. A longer one
// is shortened before it is escaped, as by Shortened.
std::string DeviceText(absl::string_view raw);

}  // namespace netsentinel::counters
