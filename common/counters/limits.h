#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

#include "common/counters/snapshot.h"

// What a router may say of its queues and itself. The collector's reader keeps to these before
// anything is spooled, and the aggregator refuses what passes them: one set for both, so that
// nothing is spooled that would be refused for ever.
namespace netsentinel::counters {

// A queue's name and that of its parent: what a store takes into its key.
inline constexpr std::size_t kMaxNameBytes = 2'048;
// Target and comment of a queue; longer ones are shortened.
inline constexpr std::size_t kMaxDescriptionBytes = 4'096;
// Names, targets, parents and comments of one menu's queues together: so many bytes, and so many
// more for each queue, up to a limit in all. Ten times what menus were seen to have.
inline constexpr std::size_t kMenuTextBytes = std::size_t{8} << 20;
inline constexpr std::size_t kMenuTextBytesPerQueue = 256;
inline constexpr std::size_t kMostMenuTextBytes = std::size_t{48} << 20;
// Serial number, version and the like.
inline constexpr std::size_t kMaxDeviceTextBytes = 256;
// A hundred years.
inline constexpr std::uint64_t kMaxUptimeSeconds = std::uint64_t{36'525} * 86'400;

// Bytes of a queue's texts.
std::size_t TextBytes(const QueueDescriptor& queue);
// What the texts of a menu of so many queues may have.
std::size_t MenuTextMax(std::size_t queues);
// The sentence that refuses `bytes` of them.
std::string TooMuchText(std::uint64_t bytes, std::size_t queues);

// Names that were never seen before, which a router may show on one day.
struct NameAllowance {
  std::uint64_t names = 0;
  std::uint64_t bytes = 0;
};
// Of a router whose menu has so many queues: 50,000 and two for each queue; 8 MiB and 256 bytes for
// each queue. Whoever dials again comes back under his old name.
NameAllowance NewNamesPerDay(std::size_t queues);
// The sentence that refuses what goes beyond: `shown` with the snapshot that is refused.
std::string TooManyNewNames(const NameAllowance& shown, std::size_t queues);

// `text` when it has at most `limit` bytes; else its beginning, "...#" and 16 hex digits of a hash
// of all of it, `limit` bytes together. The same text gives the same on every host and in every
// run, so that shortened texts still tell whether something changed. `limit` is 20 at least.
std::string Shortened(absl::string_view text, std::size_t limit);

// For a protobuf string: base::DisplayName of `raw`, of at most kMaxDeviceTextBytes. A longer one
// is shortened before it is escaped, as by Shortened.
std::string DeviceText(absl::string_view raw);

}  // namespace netsentinel::counters
