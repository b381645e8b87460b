#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "tools/simulator/engine.h"

namespace netsentinel::simulator {

// One row of any other menu: keys and values in the order of printing.
using Row = std::vector<std::pair<std::string, std::string>>;

// A property that a queue menu prints. `value` returns nothing where the row lacks it.
struct QueueField {
  const char* key;
  std::optional<std::string> (*value)(const Queue& queue);
};

// The properties of /queue/simple or /queue/tree in the order in which RouterOS prints them, `.id`
// first.
const std::vector<QueueField>& QueueFields(Menu menu);
std::optional<std::string> QueueValue(Menu menu, const Queue& queue, absl::string_view key);

// "29s", "2d20h12m20s", "1w2d3h4m5s", "0s".
std::string RouterDuration(std::uint64_t seconds);
// "*1A".
std::string RouterId(std::uint64_t row_id);
// "12/34".
std::string Pair(UpDown pair);

}  // namespace netsentinel::simulator
