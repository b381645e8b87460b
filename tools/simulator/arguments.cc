#include "tools/simulator/arguments.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"

namespace netsentinel::simulator {
namespace {

absl::Status Wrong(absl::string_view key, absl::string_view value, absl::string_view form) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", key, "\" is \"", value, "\", but must be ", form));
}

template <typename Number>
absl::Status ReadNumber(const Arguments& arguments, absl::string_view key, Number& value) {
  const auto found = arguments.values().find(key);
  if (found == arguments.values().end()) return absl::OkStatus();
  if (absl::SimpleAtoi(found->second, &value)) return absl::OkStatus();
  return Wrong(key, found->second, "a whole number in range");
}

}  // namespace

absl::Status Arguments::Read(absl::string_view key, std::string& value) const {
  if (const auto found = values_.find(key); found != values_.end()) value = found->second;
  return absl::OkStatus();
}
absl::Status Arguments::Read(absl::string_view key, std::uint64_t& value) const {
  return ReadNumber(*this, key, value);
}
absl::Status Arguments::Read(absl::string_view key, std::int64_t& value) const {
  return ReadNumber(*this, key, value);
}
absl::Status Arguments::Read(absl::string_view key, std::uint32_t& value) const {
  return ReadNumber(*this, key, value);
}

absl::Status Arguments::Read(absl::string_view key, bool& value) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return absl::OkStatus();
  if (absl::SimpleAtob(found->second, &value)) return absl::OkStatus();
  return Wrong(key, found->second, "true or false");
}

absl::Status Arguments::Read(absl::string_view key, UpDown& value) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return absl::OkStatus();
  const std::vector<absl::string_view> parts = absl::StrSplit(found->second, '/');
  UpDown read;
  if (parts.size() <= 2 && absl::SimpleAtoi(parts.front(), &read.up) &&
      absl::SimpleAtoi(parts.back(), &read.down)) {
    value = read;
    return absl::OkStatus();
  }
  return Wrong(key, found->second, "UP/DOWN, two whole numbers");
}

absl::Status Arguments::ReadBytes(absl::string_view key, std::string& value) const {
  const std::string hex_key = absl::StrCat(key, "_hex");
  const auto hex = values_.find(hex_key);
  if (hex == values_.end()) return Read(key, value);
  for (const char c : hex->second) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) {
      return Wrong(hex_key, hex->second, "hexadecimal digits");
    }
  }
  if (hex->second.size() % 2 != 0) return Wrong(hex_key, hex->second, "an even number of digits");
  value = absl::HexStringToBytes(hex->second);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Arguments::RequireBytes(absl::string_view key) const {
  if (!Has(key) && !Has(absl::StrCat(key, "_hex"))) {
    return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is missing"));
  }
  std::string value;
  NS_RETURN_IF_ERROR(ReadBytes(key, value));
  return value;
}

absl::Status Arguments::ReadRowId(absl::string_view key, std::uint64_t& value) const {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.empty() || found->second[0] != '*') {
    return Read(key, value);
  }
  if (absl::SimpleHexAtoi(found->second.substr(1), &value)) return absl::OkStatus();
  return Wrong(key, found->second, "an id such as *1A");
}

absl::StatusOr<counters::Menu> Arguments::ReadMenu() const {
  std::string text = "simple";
  NS_RETURN_IF_ERROR(Read("menu", text));
  if (text == "simple") return counters::Menu::kSimple;
  if (text == "tree") return counters::Menu::kTree;
  return Wrong("menu", text, "simple or tree");
}

absl::Status Arguments::CheckKeys(absl::string_view known) const {
  const std::vector<absl::string_view> keys = absl::StrSplit(known, ' ', absl::SkipEmpty());
  for (const auto& [key, value] : values_) {
    bool found = false;
    for (const absl::string_view each : keys) found = found || each == key;
    if (!found) {
      return absl::InvalidArgumentError(
          absl::StrCat("unknown key \"", key, "\"; known here: ", known));
    }
  }
  return absl::OkStatus();
}

absl::Status ParseTraffic(const Arguments& arguments, TrafficModel& traffic) {
  NS_RETURN_IF_ERROR(arguments.Read("up_rate", traffic.bytes_per_s.up));
  NS_RETURN_IF_ERROR(arguments.Read("down_rate", traffic.bytes_per_s.down));
  NS_RETURN_IF_ERROR(arguments.Read("active_permille", traffic.active_permille));
  NS_RETURN_IF_ERROR(arguments.Read("both_permille", traffic.both_permille));
  if (traffic.both_permille > 1000) {
    return Wrong("both_permille", absl::StrCat(traffic.both_permille), "0 to 1000");
  }
  std::int64_t slot_ms = traffic.slot_us / 1000;
  NS_RETURN_IF_ERROR(arguments.Read("slot_ms", slot_ms));
  if (slot_ms < 1 || slot_ms > 86'400'000) {
    return Wrong("slot_ms", absl::StrCat(slot_ms), "1 to 86400000");
  }
  traffic.slot_us = slot_ms * 1000;
  return absl::OkStatus();
}

absl::StatusOr<QueueSpec> ParseQueueSpec(const Arguments& arguments) {
  QueueSpec spec;
  NS_RETURN_IF_ERROR(arguments.ReadBytes("pppoe_user", spec.session_user));
  if (!spec.session_user.empty()) {
    spec.session_kind = "pppoe";
    NS_RETURN_IF_ERROR(arguments.Read("session_kind", spec.session_kind));
    spec.dynamic = true;
    spec.name = absl::StrCat("<", spec.session_kind, "-", spec.session_user, ">");
    spec.target = spec.name;
  }
  NS_RETURN_IF_ERROR(arguments.ReadBytes("name", spec.name));
  NS_RETURN_IF_ERROR(arguments.Read("target", spec.target));
  NS_RETURN_IF_ERROR(arguments.Read("dst", spec.dst));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("parent", spec.parent));
  NS_RETURN_IF_ERROR(arguments.Read("packet_marks", spec.packet_marks));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("comment", spec.comment));
  NS_RETURN_IF_ERROR(arguments.Read("empty_comment", spec.empty_comment));
  NS_RETURN_IF_ERROR(arguments.Read("dynamic", spec.dynamic));
  NS_RETURN_IF_ERROR(arguments.Read("disabled", spec.disabled));
  NS_RETURN_IF_ERROR(arguments.Read("limit_at", spec.limit_at));
  NS_RETURN_IF_ERROR(arguments.Read("max_limit", spec.max_limit));
  NS_RETURN_IF_ERROR(arguments.Read("burst_limit", spec.burst_limit));
  NS_RETURN_IF_ERROR(arguments.Read("burst_threshold", spec.burst_threshold));
  NS_RETURN_IF_ERROR(arguments.Read("burst_time_s", spec.burst_time_s));
  NS_RETURN_IF_ERROR(arguments.Read("total_max_limit", spec.total_max_limit));
  NS_RETURN_IF_ERROR(arguments.Read("time", spec.time));
  NS_RETURN_IF_ERROR(arguments.Read("queue", spec.queue_type));
  NS_RETURN_IF_ERROR(arguments.Read("bytes", spec.bytes));
  NS_RETURN_IF_ERROR(arguments.Read("packets", spec.packets));
  NS_RETURN_IF_ERROR(ParseTraffic(arguments, spec.traffic));
  if (spec.name.empty()) return absl::InvalidArgumentError("a queue needs \"name\"");
  return spec;
}

}  // namespace netsentinel::simulator
