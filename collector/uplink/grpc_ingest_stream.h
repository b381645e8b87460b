#pragma once

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

 private:
  class Reactor;
  class Stream;
  struct Link;

  const std::shared_ptr<grpc::Channel> channel_;
  const Post post_;
};

}  // namespace netsentinel::uplink
