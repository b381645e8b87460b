#include "aggregator/app/settings.h"

#include <cstdint>
#include <string>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "aggregator/app/policy_settings.h"
#include "aggregator/store/store_url.h"
#include "common/base/quantity_text.h"

namespace netsentinel::app {
namespace {

constexpr int kHoursPerDay = 24;

void ReadStore(config::Section& root, AggregatorSettings& settings) {
  config::Section store = root.RequiredSection("store");
  settings.store_url = store.RequiredString("url");
  bool known = false;
  if (!settings.store_url.empty()) {
    absl::StatusOr<store::StoreLocation> location = store::ParseStoreUrl(settings.store_url);
    known = location.ok();
    if (known) {
      settings.store = *std::move(location);
    } else {
      // Whoever reports it names the key.
      absl::string_view words = location.status().message();
      absl::ConsumePrefix(&words, "store.url: ");
      store.Fail("url", words);
    }
  }
  settings.store_password = store.OptionalSecret("password");
  settings.store_ca = store.OptionalPath("ca", "");
  // Of an address that could not be read nobody knows what goes with it.
  if (known && settings.store.engine == store::StoreLocation::Engine::kSqlite &&
      (settings.store_password.given() || !settings.store_ca.empty())) {
    store.Fail("url", "SQLite takes neither password nor ca", "", "remove them");
  }
  settings.flush_interval = store.OptionalDuration("flush_interval", absl::Seconds(60),
                                                   {absl::Milliseconds(100), absl::Seconds(60)});
  settings.store_lease_ttl =
      store.OptionalDuration("lease_ttl", absl::Seconds(15), {absl::Seconds(1), absl::Minutes(10)});
}

void ReadMonthlyRetention(config::Section& retention, Retention& result) {
  const std::string text = retention.OptionalString("monthly", "24mo");
  if (text.empty()) return;  // Reported already.
  constexpr std::uint32_t kMonthsMax = 1200;
  absl::string_view number = text;
  std::uint32_t months = 0;
  if (absl::ConsumeSuffix(&number, "mo")) {
    if (!absl::c_all_of(number, [](unsigned char c) { return absl::ascii_isdigit(c); }) ||
        !absl::SimpleAtoi(number, &months) || months < 1 || months > kMonthsMax) {
      retention.Fail("monthly", absl::StrCat("\"", text, "\" is not a number of months"),
                     "1mo to 1200mo");
    }
    result.monthly_months = static_cast<int>(months);
    return;
  }
  const absl::StatusOr<absl::Duration> days = base::ParseDuration(text);
  if (!days.ok() || *days < absl::Hours(31 * kHoursPerDay)) {
    retention.Fail("monthly", absl::StrCat("\"", text, "\" is not a time to keep months for"),
                   "months such as 24mo, or days such as 730d, at least 31d");
    return;
  }
  result.monthly_months = 0;
  result.monthly_days = static_cast<int>(*days / absl::Hours(kHoursPerDay));
}

}  // namespace

AggregatorSettings ReadAggregatorSettings(config::Section root) {
  AggregatorSettings settings;
  settings.listen = config::ReadListen(root);
  settings.security = config::ReadSecurity(root, settings.listen.grpc.host);
  ReadStore(root, settings);
  if (root.has("notifier")) {
    config::Section notifier = root.OptionalSection("notifier");
    config::Peer peer;
    peer.target = notifier.RequiredTarget("target");
    const absl::StatusOr<config::Address> address = config::ParseTarget(peer.target);
    peer.security =
        config::ReadSecurityOr(notifier, address.ok() ? address->host : "", settings.security);
    peer.environment_proxy = notifier.OptionalBool("environment_proxy", false);
    settings.notifier = peer;
  }
  settings.router_lease_ttl = root.OptionalDuration("router_lease_ttl", absl::Seconds(60),
                                                    {absl::Seconds(5), absl::Minutes(10)});
  config::Section retention = root.OptionalSection("retention");
  const absl::Duration daily =
      retention.OptionalDuration("daily", absl::Hours(14 * kHoursPerDay),
                                 {absl::Hours(2 * kHoursPerDay), absl::Hours(3660 * kHoursPerDay)});
  settings.retention.daily_days = static_cast<int>(daily / absl::Hours(kHoursPerDay));
  const absl::Duration history = retention.OptionalDuration(
      "history", absl::Hours(400 * kHoursPerDay),
      {absl::Hours(62 * kHoursPerDay), absl::Hours(3660 * kHoursPerDay)});
  settings.retention.history_days = static_cast<int>(history / absl::Hours(kHoursPerDay));
  ReadMonthlyRetention(retention, settings.retention);
  ReadPolicy(root, settings);
  return settings;
}

}  // namespace netsentinel::app
