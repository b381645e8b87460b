#include "tools/simulator/queue_properties.h"

#include <string>

#include "absl/numeric/int128.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace netsentinel::simulator {
namespace {

bool ReadRate(absl::string_view text, std::uint64_t& rate) {
  std::uint64_t factor = 1;
  if (absl::ConsumeSuffix(&text, "k")) {
    factor = 1'000;
  } else if (absl::ConsumeSuffix(&text, "M")) {
    factor = 1'000'000;
  } else if (absl::ConsumeSuffix(&text, "G")) {
    factor = 1'000'000'000;
  }
  std::uint64_t value = 0;
  if (!absl::SimpleAtoi(text, &value)) return false;
  const absl::uint128 product = absl::uint128(value) * factor;
  rate = absl::Uint128Low64(product);
  return absl::Uint128High64(product) == 0;
}

PropertyResult SetRates(Menu menu, absl::string_view value, UpDown& rates) {
  UpDown read;
  bool good = false;
  if (menu == Menu::kTree) {
    good = ReadRate(value, read.down);
  } else {
    const std::vector<absl::string_view> halves = absl::StrSplit(value, '/');
    good = halves.size() <= 2 && ReadRate(halves.front(), read.up) &&
           ReadRate(halves.back(), read.down);
  }
  if (good) rates = read;
  return good ? PropertyResult::kSet : PropertyResult::kBadValue;
}

PropertyResult SetFlag(absl::string_view value, bool& flag) {
  if (value != "yes" && value != "true" && value != "no" && value != "false") {
    return PropertyResult::kBadValue;
  }
  flag = value == "yes" || value == "true";
  return PropertyResult::kSet;
}

PropertyResult SetText(absl::string_view value, std::string& text) {
  text = std::string(value);
  return PropertyResult::kSet;
}

}  // namespace

PropertyResult SetProperty(Menu menu, absl::string_view key, absl::string_view value,
                           QueueSpec& spec) {
  const bool simple = menu == Menu::kSimple;
  if (key == "name") {
    return value.empty() ? PropertyResult::kBadValue : SetText(value, spec.name);
  }
  if (key == "parent") return SetText(value == "none" ? absl::string_view() : value, spec.parent);
  if (key == "comment") return SetText(value, spec.comment);
  if (key == "disabled") return SetFlag(value, spec.disabled);
  if (key == "max-limit") return SetRates(menu, value, spec.max_limit);
  if (key == "limit-at") return SetRates(menu, value, spec.limit_at);
  if (key == "burst-limit") return SetRates(menu, value, spec.burst_limit);
  if (key == "burst-threshold") return SetRates(menu, value, spec.burst_threshold);
  if (key == (simple ? "packet-marks" : "packet-mark")) return SetText(value, spec.packet_marks);
  if (simple && key == "target") return SetText(value, spec.target);
  if (simple && key == "dst") return SetText(value, spec.dst);
  return PropertyResult::kUnknown;
}

}  // namespace netsentinel::simulator
