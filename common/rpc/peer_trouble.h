#pragma once

#include <string>

#include "absl/status/status.h"

#include "common/config/shared_sections.h"

namespace netsentinel::rpc {

// A server as whoever calls it has it in the configuration or in flags; for messages. The files are
// empty without TLS.
struct PeerNames {
  std::string what;  // "aggregator"
  std::string target;
  std::string authority_file = {};
  std::string certificate_file = {};
  std::string authority_key = {};  // how the files are given: "aggregator.tls.ca", "--ca"
  std::string certificate_key = {};
  // What else may listen at such a target: "notifier"; empty: nothing that is mixed up with it.
  std::string other = {};
};

// With the keys of `section`, such as "aggregator".
PeerNames NamesOf(const std::string& what, const config::Peer& peer);

// Why a call failed and what to do about it, in one line: gRPC tells what happened below it in its
// own words only, and of some codes nothing at all. The server's own words stay as they are. OK
// stays OK. Pure.
absl::Status ExplainTrouble(const absl::Status& status, const PeerNames& names);

}  // namespace netsentinel::rpc
