#include "common/counters/limits.h"

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
