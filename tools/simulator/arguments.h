#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "tools/simulator/queue.h"

namespace netsentinel::simulator {

// Flat keys and values, as a control line or an entry of a scenario gives them. Readers keep the
// default when the key is absent and fail, naming the key, when the value does not fit.
class Arguments {
 public:
  void Set(absl::string_view key, absl::string_view value) {
    values_.insert_or_assign(std::string(key), std::string(value));
  }
  bool Has(absl::string_view key) const { return values_.find(key) != values_.end(); }
  const std::map<std::string, std::string, std::less<>>& values() const { return values_; }

  absl::Status Read(absl::string_view key, std::string& value) const;
  absl::Status Read(absl::string_view key, std::uint64_t& value) const;
  absl::Status Read(absl::string_view key, std::int64_t& value) const;
  absl::Status Read(absl::string_view key, std::uint32_t& value) const;
  absl::Status Read(absl::string_view key, bool& value) const;
  // "up/down"; a single number is both.
  absl::Status Read(absl::string_view key, UpDown& value) const;
  // Raw bytes: `key`_hex in hexadecimal, else the text of `key`.
  absl::Status ReadBytes(absl::string_view key, std::string& value) const;
  // The same; fails when both are absent.
  absl::StatusOr<std::string> RequireBytes(absl::string_view key) const;
  // The number of an `.id`: "*1A" or 26.
  absl::Status ReadRowId(absl::string_view key, std::uint64_t& value) const;
  // "simple" (the default) or "tree".
  absl::StatusOr<counters::Menu> ReadMenu() const;

  // Fails on a key that is not among `known`, a list divided by spaces.
  absl::Status CheckKeys(absl::string_view known) const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

// The keys that ParseQueueSpec and ParseTraffic read.
inline constexpr absl::string_view kTrafficKeys =
    "up_rate down_rate active_permille slot_ms both_permille";
inline constexpr absl::string_view kQueueKeys =
    "name name_hex target dst parent parent_hex packet_marks comment comment_hex empty_comment "
    "dynamic disabled limit_at max_limit burst_limit burst_threshold burst_time_s total_max_limit "
    "time queue bytes "
    "packets pppoe_user pppoe_user_hex session_kind up_rate down_rate active_permille slot_ms "
    "both_permille";

absl::Status ParseTraffic(const Arguments& arguments, TrafficModel& traffic);
// A queue from its keys. `pppoe_user` alone makes a dynamic queue <pppoe-USER>.
absl::StatusOr<QueueSpec> ParseQueueSpec(const Arguments& arguments);

}  // namespace netsentinel::simulator
