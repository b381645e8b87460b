#include "collector/routeros/device.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "collector/routeros/parsers.h"
#include "collector/routeros/router_error.h"
#include "common/base/display_name.h"
#include "common/counters/limits.h"

namespace netsentinel::routeros {
namespace {

constexpr std::array<absl::string_view, 2> kResource = {
    "/system/resource/print", "=.proplist=uptime,version,board-name,architecture-name"};
constexpr std::array<absl::string_view, 2> kUptime = {"/system/resource/print",
                                                      "=.proplist=uptime"};
constexpr std::array<absl::string_view, 1> kIdentity = {"/system/identity/print"};
constexpr std::array<absl::string_view, 1> kRouterboard = {"/system/routerboard/print"};
constexpr std::array<absl::string_view, 1> kLicense = {"/system/license/print"};

std::string TextOf(Sentence row, absl::string_view key) {
  return counters::DeviceText(FindAttribute(row, key).value_or(""));
}

}  // namespace

absl::Span<const absl::string_view> ResourceCommand() { return kResource; }
absl::Span<const absl::string_view> UptimeCommand() { return kUptime; }
absl::Span<const absl::string_view> IdentityCommand() { return kIdentity; }
absl::Span<const absl::string_view> RouterboardCommand() { return kRouterboard; }
absl::Span<const absl::string_view> LicenseCommand() { return kLicense; }

absl::StatusOr<std::uint64_t> ReadUptime(Sentence row) {
  const std::optional<absl::string_view> text = FindAttribute(row, "uptime");
  if (!text.has_value()) {
    return RouterStatus(RouterError::kIncompleteReply, "/system/resource has no uptime");
  }
  const std::optional<absl::Duration> uptime = ParseDuration(*text);
  if (!uptime.has_value()) {
    return RouterStatus(
        RouterError::kIncompleteReply,
        absl::StrCat("/system/resource has the uptime '", base::DisplayName(text->substr(0, 64)),
                     "', which is not a duration"));
  }
  const auto seconds = static_cast<std::uint64_t>(absl::ToInt64Seconds(*uptime));
  if (seconds > counters::kMaxUptimeSeconds) {
    return RouterStatus(
        RouterError::kIncompleteReply,
        absl::StrCat("/system/resource has the uptime '", base::DisplayName(text->substr(0, 64)),
                     "', which is more than a hundred years"));
  }
  return seconds;
}

absl::StatusOr<Resource> ReadResource(Sentence row) {
  const absl::StatusOr<std::uint64_t> uptime = ReadUptime(row);
  if (!uptime.ok()) return uptime.status();
  return Resource{.uptime_s = *uptime,
                  .version = TextOf(row, "version"),
                  .board_name = TextOf(row, "board-name"),
                  .architecture = TextOf(row, "architecture-name")};
}

std::string ReadIdentity(Sentence row) {
  return counters::Shortened(FindAttribute(row, "name").value_or(""),
                             counters::kMaxDeviceTextBytes);
}

std::optional<std::string> ReadSerialNumber(Sentence row) {
  const std::optional<absl::string_view> routerboard = FindAttribute(row, "routerboard");
  if (routerboard.has_value() && ParseBool(*routerboard) == false) return "";
  std::string serial_number = TextOf(row, "serial-number");
  if (serial_number.empty()) return std::nullopt;
  return serial_number;
}

std::string ReadSystemId(Sentence row) {
  std::string system_id = TextOf(row, "system-id");
  return system_id.empty() ? TextOf(row, "software-id") : system_id;
}

absl::Status CheckSameDevice(const counters::DeviceIdentity& known,
                             const counters::DeviceIdentity& now) {
  const bool lost = (!known.serial_number.empty() && now.serial_number.empty()) ||
                    (!known.Key().empty() && now.Key().empty());
  if (!lost || known.board_name != now.board_name) return absl::OkStatus();
  return RouterStatus(RouterError::kIncompleteReply,
                      absl::StrCat("the ", now.board_name, " that was known as ", known.Key(),
                                   " shows that no more: it is asked again, since counting it as "
                                   "another device would count its bytes twice"));
}

}  // namespace netsentinel::routeros
