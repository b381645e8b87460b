#include "tools/simulator/router.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"

#include "common/base/crc32c.h"
#include "common/base/status_macros.h"
#include "tools/simulator/address_prefix.h"

namespace netsentinel::simulator {
namespace {

const char* Bool(bool value) { return value ? "true" : "false"; }

}  // namespace

absl::StatusOr<ApiMode> ParseApiMode(absl::string_view text) {
  if (text == "pre643") return ApiMode::kPre643;
  if (text == "v6") return ApiMode::kV6;
  if (text == "v7.17") return ApiMode::kV717;
  if (text == "v7.18") return ApiMode::kV718;
  return absl::InvalidArgumentError(
      absl::StrCat("unknown mode \"", text, "\": give pre643, v6, v7.17 or v7.18"));
}

bool UserSpec::Has(absl::string_view policy) const {
  return std::find(policies.begin(), policies.end(), policy) != policies.end();
}

Router::Router(RouterSpec spec, std::uint64_t seed, std::int64_t now_us)
    : spec_(std::move(spec)), engine_(seed, now_us, spec_.uptime_s), random_(seed) {
  const std::uint32_t mark = base::Crc32c(spec_.id);
  if (spec_.identity.empty()) spec_.identity = spec_.id;
  if (spec_.board_name.empty()) spec_.board_name = spec_.chr ? "CHR" : "CCR2004-1G-12S+2XS";
  if (spec_.serial_number.empty()) spec_.serial_number = absl::StrFormat("SIM%08X", mark);
  if (spec_.system_id.empty()) spec_.system_id = absl::StrFormat("Sim%08xLic", mark);
  engine_.SetFastTrack(spec_.fasttrack);
}

absl::StatusOr<Router> Router::Create(RouterSpec spec, std::uint64_t seed, std::int64_t now_us) {
  std::vector<QueueEntry> queues = std::move(spec.queues);
  spec.queues.clear();
  Router router(std::move(spec), seed, now_us);
  for (const QueueEntry& entry : queues) {
    if (absl::Status added = router.engine_.Add(entry.menu, entry.spec, entry.row_id);
        !added.ok()) {
      return absl::Status(added.code(),
                          absl::StrCat("router ", router.id(), ": ", added.message()));
    }
  }
  return router;
}

Denial Router::DenialOf(bool tls, absl::string_view address) const {
  const std::vector<std::string>& served = tls ? spec_.api_ssl_address : spec_.api_address;
  if (served.empty()) return spec_.denial;
  if (InPrefixes(served, address)) return Denial::kNone;
  return spec_.denial == Denial::kNone ? Denial::kClose : spec_.denial;
}

const UserSpec* Router::FindUser(absl::string_view name) const {
  for (const UserSpec& user : spec_.users) {
    if (user.name == name) return &user;
  }
  return nullptr;
}

bool Router::MenuAbsent(absl::string_view menu) const {
  if (menu == "/system/routerboard" && spec_.chr) return true;
  return std::find(spec_.absent_menus.begin(), spec_.absent_menus.end(), menu) !=
         spec_.absent_menus.end();
}

std::string Router::VersionText() const {
  if (!spec_.version.empty()) return spec_.version;
  switch (spec_.mode) {
    case ApiMode::kPre643:
      return "6.42.12 (long-term)";
    case ApiMode::kV6:
      return "6.49.10 (long-term)";
    case ApiMode::kV717:
      return "7.17.2 (stable)";
    case ApiMode::kV718:
      return "7.18.2 (stable)";
  }
  return "7.18.2 (stable)";
}

std::uint64_t Router::NextSequence(absl::string_view menu) {
  auto found = sequences_.find(menu);
  if (found == sequences_.end()) found = sequences_.emplace(std::string(menu), 0).first;
  return ++found->second;
}

std::optional<std::vector<Row>> Router::SystemRows(absl::string_view menu, std::int64_t now_us,
                                                   absl::Time wall) const {
  if (menu == "/system/resource") return ResourceRows(now_us);
  if (menu == "/system/identity") return std::vector<Row>{{{"name", spec_.identity}}};
  if (menu == "/system/routerboard") return RouterboardRows();
  if (menu == "/system/license") return LicenseRows();
  if (menu == "/system/clock") return ClockRows(now_us, wall);
  if (menu == "/ppp/active") return SessionRows(/*interface=*/false);
  if (menu == "/interface/pppoe-server") return SessionRows(/*interface=*/true);
  if (menu == "/ip/firewall/filter") return FilterRows();
  if (menu == "/ip/service") return ServiceRows();
  if (menu == "/user") return UserRows();
  return std::nullopt;
}

std::vector<Row> Router::ResourceRows(std::int64_t now_us) const {
  return {{{"uptime", RouterDuration(engine_.UptimeSeconds(now_us))},
           {"version", VersionText()},
           {"build-time", "2025-02-18 11:02:14"},
           {"factory-software", "7.1"},
           {"free-memory", "3604480000"},
           {"total-memory", "4294967296"},
           {"cpu", "ARM64"},
           {"cpu-count", "4"},
           {"cpu-frequency", "1700"},
           {"cpu-load", "3"},
           {"free-hdd-space", "102760448"},
           {"total-hdd-space", "134217728"},
           {"write-sect-since-reboot", "4212"},
           {"write-sect-total", "91177"},
           {"bad-blocks", "0"},
           {"architecture-name", spec_.chr ? "x86_64" : "arm64"},
           {"board-name", spec_.board_name},
           {"platform", "MikroTik"}}};
}

std::vector<Row> Router::RouterboardRows() const {
  return {{{"routerboard", "true"},
           {"board-name", spec_.board_name},
           {"model", spec_.board_name},
           {"serial-number", spec_.serial_number},
           {"firmware-type", "al64"},
           {"factory-firmware", "7.1"},
           {"current-firmware", "7.1"},
           {"upgrade-firmware", "7.18.2"}}};
}

std::vector<Row> Router::LicenseRows() const {
  if (!spec_.chr) {
    return {{{"software-id", absl::StrFormat("SIM0-%04X", base::Crc32c(spec_.id) & 0xFFFF)},
             {"nlevel", "6"},
             {"features", ""}}};
  }
  return {{{"system-id", spec_.system_id},
           {"level", "p1"},
           {"next-renewal-at", "2030-01-01 00:00:00"},
           {"limited-upgrades", "false"}}};
}

std::vector<Row> Router::ClockRows(std::int64_t now_us, absl::Time wall) const {
  absl::Time shown = wall;
  if (clock_lost_) {
    shown = absl::FromCivil(absl::CivilDay(1970, 1, 2), absl::UTCTimeZone()) +
            absl::Seconds(engine_.UptimeSeconds(now_us));
  }
  const bool old_style = spec_.mode == ApiMode::kPre643 || spec_.mode == ApiMode::kV6;
  std::string date =
      absl::FormatTime(old_style ? "%b/%d/%Y" : "%Y-%m-%d", shown, absl::UTCTimeZone());
  if (old_style) date[0] = static_cast<char>(date[0] - 'A' + 'a');
  return {{{"time", absl::FormatTime("%H:%M:%S", shown, absl::UTCTimeZone())},
           {"date", date},
           {"time-zone-autodetect", "false"},
           {"time-zone-name", "UTC"},
           {"gmt-offset", "+00:00"},
           {"dst-active", "false"}}};
}

std::vector<Row> Router::SessionRows(bool interface) const {
  std::vector<Row> rows;
  for (const Queue& queue : engine_.queues(Menu::kSimple)) {
    if (queue.spec.session_kind.empty()) continue;
    // Ids of dynamic interfaces and sessions stand far above those of configured rows.
    const std::string id = RouterId(0x80000000 + queue.instance);
    if (interface) {
      if (queue.spec.session_kind != "pppoe") continue;
      rows.push_back({{".id", id},
                      {"name", queue.spec.name},
                      {"user", queue.spec.session_user},
                      {"service", "service1"},
                      {"running", "true"}});
      continue;
    }
    rows.push_back({{".id", id},
                    {"name", queue.spec.session_user},
                    {"service", queue.spec.session_kind},
                    {"encoding", ""},
                    {"session-id", absl::StrFormat("0x%08x", 0x80000000 + queue.instance)},
                    {"limit-bytes-in", "0"},
                    {"limit-bytes-out", "0"},
                    {"radius", "false"}});
  }
  return rows;
}

std::vector<Row> Router::FilterRows() const {
  std::vector<Row> rows;
  if (engine_.fasttrack()) {
    rows.push_back({{".id", "*1"},
                    {"chain", "forward"},
                    {"action", "fasttrack-connection"},
                    {"connection-state", "established,related"},
                    {"bytes", "0"},
                    {"packets", "0"},
                    {"invalid", "false"},
                    {"dynamic", "false"},
                    {"disabled", "false"}});
  }
  rows.push_back({{".id", "*2"},
                  {"chain", "forward"},
                  {"action", "accept"},
                  {"connection-state", "established,related"},
                  {"bytes", "0"},
                  {"packets", "0"},
                  {"invalid", "false"},
                  {"dynamic", "false"},
                  {"disabled", "false"}});
  return rows;
}

std::vector<Row> Router::ServiceRows() const {
  std::vector<Row> rows;
  for (const auto& [id, name, port, address] :
       {std::tuple{"*7", "api", "8728", &spec_.api_address},
        std::tuple{"*9", "api-ssl", "8729", &spec_.api_ssl_address}}) {
    rows.push_back({{".id", id},
                    {"name", name},
                    {"port", port},
                    {"address", absl::StrJoin(*address, ",")},
                    {"certificate", "none"},
                    {"max-sessions", absl::StrCat(spec_.max_sessions)},
                    {"invalid", "false"},
                    {"disabled", "false"}});
  }
  return rows;
}

std::vector<Row> Router::UserRows() const {
  std::vector<Row> rows;
  rows.reserve(spec_.users.size());
  std::uint64_t id = 1;
  for (const UserSpec& user : spec_.users) {
    rows.push_back({{".id", RouterId(id++)},
                    {"name", user.name},
                    {"group", absl::StrJoin(user.policies, "+")},
                    {"address", ""},
                    {"expired", Bool(false)},
                    {"disabled", Bool(false)}});
  }
  return rows;
}

}  // namespace netsentinel::simulator
