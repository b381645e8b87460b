#pragma once

#include "absl/status/statusor.h"

#include "collector/uplink/messages.h"
#include "netsentinel/v1/ingest.pb.h"

// Between ingest.proto's types and the plain ones of messages.h.
namespace netsentinel::uplink {

// Consumes the columns of a frame.
v1::IngestRequest ToWire(CollectorMessage message);

// kInvalidArgument for a message that is not of this protocol version, without its address, or with
// an unknown menu.
absl::StatusOr<AggregatorMessage> FromWire(const v1::IngestResponse& response);

v1::RouterStateReport ToWire(const poll::RouterStateReport& report);

}  // namespace netsentinel::uplink
