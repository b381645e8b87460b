#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "collector/poll/poll_group.h"
#include "collector/routeros/asio_client.h"
#include "common/base/ids.h"
#include "common/config/section.h"
#include "common/config/shared_sections.h"
#include "common/counters/snapshot.h"

namespace netsentinel::app {

// One entry of `routers`.
struct RouterSettings {
  base::RouterId id;
  // Without credentials: they are read for every login.
  routeros::RouterEndpoint endpoint;
  std::string username;
  config::SecretSource password;
  std::vector<counters::Menu> queues;
  absl::Duration poll_interval;
  // A reply must have ended within this, however steadily it comes.
  absl::Duration reply_limit = absl::Minutes(5);
};

// collector.yaml.
struct CollectorSettings {
  base::CollectorId id;
  std::string state_dir;
  std::uint64_t spool_limit = 0;
  config::Peer aggregator;
  config::Listen listen;
  // Of listen.grpc.
  config::Security security;
  std::vector<RouterSettings> routers;
};

CollectorSettings ReadCollectorSettings(config::Section root);

// "192.168.88.1", "router.example:8729", "2001:db8::1", "[2001:db8::1]:8728", and link-local
// addresses with their interface, "fe80::1%eth0" or "[fe80::1%eth0]:8729"; port 0 when none is
// given.
absl::StatusOr<config::Address> ParseRouterAddress(absl::string_view text);

// How the poller is to read the router. The password is read anew for every connection.
poll::RouterSetup SetupOf(const RouterSettings& router, const std::string& host_boot_id);

}  // namespace netsentinel::app
