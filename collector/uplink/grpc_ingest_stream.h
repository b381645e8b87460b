#pragma once

#include <atomic>
#include <memory>

#include "collector/uplink/ingest_stream.h"

namespace grpc {
class Channel;
}  // namespace grpc

namespace netsentinel::uplink {

// Streams over a gRPC channel, which is shared by all of them. What a stream says arrives through
// `post`.
class GrpcIngestConnector final : public IngestConnector {
 public:
  GrpcIngestConnector(std::shared_ptr<grpc::Channel> channel, Post post);
  ~GrpcIngestConnector() override;
  std::unique_ptr<IngestStream> Open(IngestStreamListener& listener) override;
  // Calls that have not ended. After the last stream has gone, the owner's thread must go on
  // running what is posted until this is 0.
  int open_calls() const { return open_->load(); }

 private:
  class Reactor;
  class Stream;
  struct Link;

  const std::shared_ptr<grpc::Channel> channel_;
  const Post post_;
  const std::shared_ptr<std::atomic<int>> open_;
};

}  // namespace netsentinel::uplink
