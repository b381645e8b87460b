#pragma once

#include <string>

#include "absl/status/status.h"

namespace netsentinel::uplink {

// The aggregator as the configuration names it; for messages. The files are empty without TLS.
struct AggregatorNames {
  std::string target;                 // aggregator.target
  std::string authority_file = {};    // aggregator.tls.ca
  std::string certificate_file = {};  // aggregator.tls.cert
};

// Why a stream that failed with `status` did, and what to do about it, in one line.
std::string ExplainStreamEnd(const absl::Status& status, const AggregatorNames& names);

}  // namespace netsentinel::uplink
