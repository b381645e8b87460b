#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "tools/simulator/arguments.h"
#include "tools/simulator/router.h"

namespace netsentinel::simulator {

// A router and how it listens.
struct RouterEntry {
  RouterSpec spec;
  bool plain = true;
  std::uint16_t api_port = 0;  // 0: the kernel chooses
  std::uint16_t api_ssl_port = 0;
  // api-ssl is offered with a certificate and its key, or anonymously, or not at all.
  std::string cert_file;
  std::string key_file;
  bool anonymous_tls = false;
};

// Something that happens to a router at a time.
struct TimedEvent {
  std::int64_t at_us = 0;  // simulated, since the start
  std::string router;
  std::string verb;
  Arguments arguments;
};

struct Scenario {
  std::vector<RouterEntry> routers;
  std::vector<TimedEvent> events;  // in order of time
};

// A scenario from YAML (or JSON, which is YAML): see docs/simulator.md. Errors begin with
// `source`:line:column. At most 10,000 routers and 1,000,000 queues.
absl::StatusOr<Scenario> ParseScenario(const std::string& text, absl::string_view source);

// Keys and values of one JSON object without nesting, as a control line holds.
absl::StatusOr<Arguments> ParseControlLine(const std::string& line);

}  // namespace netsentinel::simulator
