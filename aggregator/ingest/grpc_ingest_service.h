#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"

#include "aggregator/ingest/event_queue.h"
#include "aggregator/ingest/intake.h"
#include "netsentinel/v1/ingest.grpc.pb.h"

namespace netsentinel::ingest {

// IngestService over the callback API: reads as the limits allow, never blocks, posts everything to
// the engine.
// Thread-safe; must outlive the server it is registered with, as must the queue.
class GrpcIngestService final : public v1::IngestService::CallbackService {
 public:
  // Names the collector a call comes from, from its certificate: kUnauthenticated without one,
  // kPermissionDenied for another role.
  using Identify =
      std::function<absl::StatusOr<base::CollectorId>(grpc::CallbackServerContext& context)>;

  GrpcIngestService(EventQueue& events, Identify identify, const IntakeLimits& limits = {})
      : events_(events),
        identify_(std::move(identify)),
        limits_(limits),
        budget_(std::make_shared<IntakeBudget>(limits)),
        counts_(limits) {}

  grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* Ingest(
      grpc::CallbackServerContext* context) override;

 private:
  EventQueue& events_;
  Identify identify_;
  const IntakeLimits limits_;
  const std::shared_ptr<IntakeBudget> budget_;
  StreamCounts counts_;
  std::atomic<StreamId> next_stream_{1};
};

}  // namespace netsentinel::ingest
