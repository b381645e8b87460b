#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/random.h"
#include "tools/simulator/engine.h"
#include "tools/simulator/faults.h"
#include "tools/simulator/menu_table.h"

namespace netsentinel::simulator {

// The RouterOS generations that a client can tell apart.
enum class ApiMode {
  kPre643,  // challenge login, "cannot log in"
  kV6,      // plain login
  kV717,    // the same
  kV718,    // and !empty
};

// "pre643", "v6", "v7.17", "v7.18".
absl::StatusOr<ApiMode> ParseApiMode(absl::string_view text);

struct UserSpec {
  std::string name;
  std::string password;
  std::vector<std::string> policies = {"read", "api"};

  bool Has(absl::string_view policy) const;
};

// What a client sees whose address the service does not allow: every client, or with a list of
// addresses those that stand not in it.
enum class Denial { kNone, kClose, kHang };

struct QueueEntry {
  Menu menu = Menu::kSimple;
  std::uint64_t row_id = 0;  // 0: the next free one
  QueueSpec spec;
};

struct RouterSpec {
  std::string id;
  ApiMode mode = ApiMode::kV718;
  std::string version;   // empty: one that fits the mode
  std::string identity;  // empty: the id
  // CHR has no /system/routerboard; its license carries a system-id.
  bool chr = false;
  std::string board_name;
  std::string serial_number;  // empty: made from the id
  std::string system_id;      // empty: made from the id
  std::vector<UserSpec> users;
  std::uint32_t max_sessions = 20;
  Denial denial = Denial::kNone;
  // `address` of the services api and api-ssl: prefixes that are served; empty for all.
  std::vector<std::string> api_address;
  std::vector<std::string> api_ssl_address;
  std::uint64_t uptime_s = 3600;
  // Unknown menus answer with two traps, as old versions do.
  bool two_traps = false;
  std::vector<std::string> absent_menus;
  bool fasttrack = false;
  WireStyle wire;
  std::vector<QueueEntry> queues;
};

// One simulated router: queues, what its menus print, users and waiting faults. Pure and
// single-threaded; `now_us` as in Engine, `wall` is the simulated time of day.
class Router {
 public:
  // Fails when a queue of the spec cannot be added.
  static absl::StatusOr<Router> Create(RouterSpec spec, std::uint64_t seed, std::int64_t now_us);

  const std::string& id() const { return spec_.id; }
  const RouterSpec& spec() const { return spec_; }
  RouterSpec& mutable_spec() { return spec_; }
  Engine& engine() { return engine_; }
  const Engine& engine() const { return engine_; }
  FaultSet& faults() { return faults_; }
  base::RandomSource& random() { return random_; }
  // The clock shows 1970-01-02 plus uptime, as after a power-up without NTP.
  void SetClockLost(bool lost) { clock_lost_ = lost; }

  bool UsesEmpty() const { return spec_.mode == ApiMode::kV718; }
  // What a client with this address sees of api or api-ssl.
  Denial DenialOf(bool tls, absl::string_view address) const;
  const UserSpec* FindUser(absl::string_view name) const;
  bool MenuAbsent(absl::string_view menu) const;
  // The rows of a menu other than the queue menus, nothing when there is no such menu.
  std::optional<std::vector<Row>> SystemRows(absl::string_view menu, std::int64_t now_us,
                                             absl::Time wall) const;
  std::string VersionText() const;
  // The sequence number of the next served snapshot of `menu`, from 1.
  std::uint64_t NextSequence(absl::string_view menu);

 private:
  Router(RouterSpec spec, std::uint64_t seed, std::int64_t now_us);
  std::vector<Row> ResourceRows(std::int64_t now_us) const;
  std::vector<Row> RouterboardRows() const;
  std::vector<Row> LicenseRows() const;
  std::vector<Row> ClockRows(std::int64_t now_us, absl::Time wall) const;
  std::vector<Row> SessionRows(bool interface) const;
  std::vector<Row> FilterRows() const;
  std::vector<Row> ServiceRows() const;
  std::vector<Row> UserRows() const;

  RouterSpec spec_;
  Engine engine_;
  FaultSet faults_;
  base::SeededRandom random_;
  bool clock_lost_ = false;
  std::map<std::string, std::uint64_t, std::less<>> sequences_;
};

}  // namespace netsentinel::simulator
