#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include <grpcpp/grpcpp.h>

#include "netsentinel/v1/ingest.grpc.pb.h"

namespace netsentinel::test {

// A collector's stream made of raw messages: it can send anything, sensible or not. Every wait ends
// with the stream's own deadline of 60 s. One thread.
class IngestClient {
 public:
  explicit IngestClient(const std::shared_ptr<grpc::Channel>& channel);
  // Cancels what is still open.
  ~IngestClient();
  IngestClient(const IngestClient&) = delete;
  IngestClient& operator=(const IngestClient&) = delete;

  // False once the stream has ended.
  bool Send(const v1::IngestRequest& request);
  bool Send(const v1::Hello& hello);
  bool Send(const v1::SnapshotFrame& frame);
  // The next message; nothing when the stream has ended.
  std::optional<v1::IngestResponse> Read();
  // Reads on to the next message that `wanted` holds for, dropping others.
  std::optional<v1::IngestResponse> ReadUntil(
      const std::function<bool(const v1::IngestResponse&)>& wanted);
  std::optional<v1::Welcome> ReadWelcome();
  std::optional<v1::Refusal> ReadRefusal();
  std::optional<v1::Ack> ReadAck();
  // Reads to the end and gives how the stream ended.
  grpc::Status Finish();

 private:
  grpc::ClientContext context_;
  std::unique_ptr<v1::IngestService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::IngestRequest, v1::IngestResponse>> stream_;
  bool finished_ = false;
};

v1::Hello MakeHello(const std::string& collector, const std::string& spool_uuid,
                    const std::vector<std::string>& routers);

// A queue's counters in an absolute snapshot.
struct ClientQueue {
  std::string name;
  std::uint64_t upload = 0;
  std::uint64_t download = 0;
};

// Where a snapshot stands.
struct ClientPosition {
  std::string router;
  std::uint64_t lease_epoch = 0;
  std::string spool_uuid;
  std::uint64_t sequence = 0;
  std::uint64_t previous = 0;
};

// A whole absolute snapshot of the simple menu in one frame, read at `at` (the aggregator's clock).
// Readings of one client are taken on one boot and one session, `at` apart.
v1::SnapshotFrame MakeSnapshot(const ClientPosition& position, const std::vector<ClientQueue>& rows,
                               absl::Time at);

}  // namespace netsentinel::test
