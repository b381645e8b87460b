#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"

#include "aggregator/ingest/event_queue.h"
#include "netsentinel/v1/ingest.grpc.pb.h"

namespace netsentinel::ingest {

struct StreamLimits {
  // Bytes of received and not yet answered messages (and 1 KiB for each) after which a stream is
  // closed: its peer does not keep to its credit.
  std::uint64_t unanswered_bytes_max = 128U << 20;
  // Messages waiting to be read by the peer after which the stream is closed.
  std::size_t outgoing_max = 65'536;
};

// IngestService over the callback API: always reads, never blocks, posts everything to the engine.
// Thread-safe; must outlive the server it is registered with, as must the queue.
class GrpcIngestService final : public v1::IngestService::CallbackService {
 public:
  // Names the collector a call comes from, from its certificate: kUnauthenticated without one,
  // kPermissionDenied for another role.
  using Identify =
      std::function<absl::StatusOr<base::CollectorId>(grpc::CallbackServerContext& context)>;

  GrpcIngestService(EventQueue& events, Identify identify, const StreamLimits& limits = {})
      : events_(events), identify_(std::move(identify)), limits_(limits) {}

  grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* Ingest(
      grpc::CallbackServerContext* context) override;

 private:
  EventQueue& events_;
  Identify identify_;
  StreamLimits limits_;
  std::atomic<StreamId> next_stream_{1};
};

}  // namespace netsentinel::ingest
