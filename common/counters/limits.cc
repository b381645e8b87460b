#include "common/counters/limits.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/display_name.h"

namespace netsentinel::counters {
namespace {

constexpr absl::string_view kMark = "...#";
constexpr std::size_t kHashDigits = 16;
// An escaped byte is \xHH.
constexpr std::size_t kMaxEscapedBytes = 4;

// FNV-1a: it must never change, as shortened texts are compared across runs.
std::uint64_t HashOf(absl::string_view text) {
  std::uint64_t hash = 0xCBF29CE484222325U;
  for (const char c : text) {
    hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3U;
  }
  return hash;
}

}  // namespace

std::size_t TextBytes(const QueueDescriptor& queue) {
  return queue.name.size() + queue.target.size() + queue.parent.size() + queue.comment.size();
}

std::size_t MenuTextMax(std::size_t queues) {
  if (queues >= kMostMenuTextBytes / kMenuTextBytesPerQueue) return kMostMenuTextBytes;
  return std::min(kMostMenuTextBytes, kMenuTextBytes + queues * kMenuTextBytesPerQueue);
}

std::string TooMuchText(std::uint64_t bytes, std::size_t queues) {
  return absl::StrCat("names, targets and comments of ", queues, " queues have ", bytes,
                      " bytes or more together, the limit for so many is ", MenuTextMax(queues),
                      ": shorten them on the router");
}

NameAllowance NewNamesPerDay(std::size_t queues) {
  constexpr std::uint64_t kNames = 50'000;
  constexpr std::uint64_t kNamesPerQueue = 2;
  constexpr std::uint64_t kBytes = std::uint64_t{8} << 20;
  constexpr std::uint64_t kBytesPerQueue = 256;
  return {.names = kNames + kNamesPerQueue * queues, .bytes = kBytes + kBytesPerQueue * queues};
}

std::string TooManyNewNames(const NameAllowance& shown, std::size_t queues) {
  const NameAllowance allowed = NewNamesPerDay(queues);
  return absl::StrCat("the router has shown ", shown.names, " names of ", shown.bytes,
                      " bytes today that were never seen before; a router of ", queues,
                      " queues may show ", allowed.names, " of ", allowed.bytes,
                      " bytes a day: replies without further new names are taken, new names from "
                      "the next day on; find out on the router what makes them");
}

std::string Shortened(absl::string_view text, std::size_t limit) {
  constexpr std::size_t kTail = kMark.size() + kHashDigits;
  NS_CHECK(limit >= kTail, absl::StrCat(limit));
  if (text.size() <= limit) return std::string(text);
  return absl::StrCat(text.substr(0, limit - kTail), kMark,
                      absl::Hex(HashOf(text), absl::kZeroPad16));
}

std::string DeviceText(absl::string_view raw) {
  if (raw.size() <= kMaxDeviceTextBytes) {
    std::string shown = base::DisplayName(raw);
    if (shown.size() <= kMaxDeviceTextBytes) return shown;
  }
  return base::DisplayName(Shortened(raw, kMaxDeviceTextBytes / kMaxEscapedBytes));
}

}  // namespace netsentinel::counters
