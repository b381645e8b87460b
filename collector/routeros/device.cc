#include "collector/routeros/device.h"

#include <array>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

#include "collector/routeros/parsers.h"
#include "collector/routeros/router_error.h"
#include "common/base/display_name.h"

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
  return std::string(FindAttribute(row, key).value_or(""));
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
                     "', which is no duration"));
  }
  return static_cast<std::uint64_t>(absl::ToInt64Seconds(*uptime));
}

absl::StatusOr<Resource> ReadResource(Sentence row) {
  const absl::StatusOr<std::uint64_t> uptime = ReadUptime(row);
  if (!uptime.ok()) return uptime.status();
  return Resource{.uptime_s = *uptime,
                  .version = TextOf(row, "version"),
                  .board_name = TextOf(row, "board-name"),
                  .architecture = TextOf(row, "architecture-name")};
}

std::string ReadIdentity(Sentence row) { return TextOf(row, "name"); }

std::string ReadSerialNumber(Sentence row) {
  const std::optional<absl::string_view> routerboard = FindAttribute(row, "routerboard");
  if (routerboard.has_value() && ParseBool(*routerboard) == false) return "";
  return TextOf(row, "serial-number");
}

std::string ReadSystemId(Sentence row) {
  std::string system_id = TextOf(row, "system-id");
  return system_id.empty() ? TextOf(row, "software-id") : system_id;
}

}  // namespace netsentinel::routeros
