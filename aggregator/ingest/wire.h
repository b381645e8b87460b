#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "aggregator/ingest/messages.h"
#include "netsentinel/v1/ingest.pb.h"

namespace netsentinel::ingest {

// Plain form of a message; a SnapshotPart shares ownership of the request it looks into.
// kInvalidArgument: it is no ingest message (no member set, an unknown menu, a spool uuid that is
// not 16 bytes, an id that is no id); the text says which.
absl::StatusOr<CollectorMessage> FromWire(std::shared_ptr<const v1::IngestRequest> request);

v1::IngestResponse ToWire(const AggregatorMessage& message);

v1::DeviceIdentity ToWire(const counters::DeviceIdentity& device);

}  // namespace netsentinel::ingest
