#include "collector/uplink/grpc_ingest_stream.h"

#include <atomic>
#include <deque>
#include <utility>

#include <grpcpp/grpcpp.h>

#include "collector/uplink/wire.h"
#include "common/base/mutex.h"
#include "common/rpc/grpc_status.h"
#include "netsentinel/v1/ingest.grpc.pb.h"

namespace netsentinel::uplink {
namespace {

// Messages that the owner has not come to yet; an aggregator sends about one a snapshot, so more
// is no aggregator.
constexpr int kUnreadMax = 20'000;

}  // namespace

// What the owner's stream and the call share.
struct GrpcIngestConnector::Link {
  // Touched on the owner's thread only; null when the owner has let go.
  IngestStreamListener* listener = nullptr;
  std::atomic<int> unread{0};
  // Calls of the connector that gRPC is not done with.
  std::shared_ptr<std::atomic<int>> open;
};

// The call itself; lives until gRPC is done with it.
class GrpcIngestConnector::Reactor final
    : public grpc::ClientBidiReactor<v1::IngestRequest, v1::IngestResponse> {
 public:
  Reactor(const std::shared_ptr<grpc::Channel>& channel, Post post, std::shared_ptr<Link> link,
          std::shared_ptr<Reactor*> self)
      : stub_(v1::IngestService::NewStub(channel)),
        post_(std::move(post)),
        link_(std::move(link)),
        self_(std::move(self)) {}

  void Start() {
    stub_->async()->Ingest(&context_, this);
    StartRead(&response_);
    StartCall();
  }

  void Send(v1::IngestRequest request) {
    base::MutexLock lock(mutex_);
    if (closing_) return;
    outgoing_.push_back(std::move(request));
    WriteNext();
  }

  void Cancel() { context_.TryCancel(); }

  void OnReadDone(bool ok) override {
    if (!ok) {
      base::MutexLock lock(mutex_);
      closing_ = true;
      return;
    }
    if (link_->unread.fetch_add(1) >= kUnreadMax) {
      Fail(absl::ResourceExhaustedError("the aggregator sends faster than it is read"));
      return;
    }
    absl::StatusOr<AggregatorMessage> message = FromWire(response_);
    if (!message.ok() && !absl::IsUnimplemented(message.status())) {
      Fail(message.status());
      return;
    }
    post_([link = link_, message = std::move(message)]() mutable {
      link->unread.fetch_sub(1);
      if (link->listener != nullptr && message.ok()) {
        link->listener->OnMessage(*std::move(message));
      }
    });
    StartRead(&response_);
  }

  void OnWriteDone(bool ok) override {
    base::MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) closing_ = true;
    WriteNext();
  }

  void OnDone(const grpc::Status& status) override {
    absl::Status reason = rpc::FromGrpc(status);
    {
      base::MutexLock lock(mutex_);
      if (!failure_.ok()) reason = failure_;
    }
    post_([link = link_, self = self_, reason = std::move(reason), reactor = this]() {
      *self = nullptr;
      link->open->fetch_sub(1);
      IngestStreamListener* listener = std::exchange(link->listener, nullptr);
      delete reactor;
      if (listener != nullptr) listener->OnClosed(reason);
    });
  }

 private:
  void Fail(absl::Status status) {
    {
      base::MutexLock lock(mutex_);
      closing_ = true;
      failure_ = std::move(status);
    }
    context_.TryCancel();
  }

  // While a read is under way gRPC keeps the call, so a write may begin on any thread.
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || closing_ || outgoing_.empty()) return;
    current_ = std::move(outgoing_.front());
    outgoing_.pop_front();
    writing_ = true;
    StartWrite(&current_);
  }

  const std::unique_ptr<v1::IngestService::Stub> stub_;
  const Post post_;
  const std::shared_ptr<Link> link_;
  // Tells the owner's stream, on the owner's thread, that this object has gone.
  const std::shared_ptr<Reactor*> self_;
  grpc::ClientContext context_;
  v1::IngestResponse response_;
  base::Mutex mutex_;
  std::deque<v1::IngestRequest> outgoing_ ABSL_GUARDED_BY(mutex_);
  v1::IngestRequest current_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool closing_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
};

class GrpcIngestConnector::Stream final : public IngestStream {
 public:
  Stream(std::shared_ptr<Link> link, std::shared_ptr<Reactor*> reactor)
      : link_(std::move(link)), reactor_(std::move(reactor)) {}
  ~Stream() override {
    link_->listener = nullptr;
    if (*reactor_ != nullptr) (*reactor_)->Cancel();
  }
  std::size_t Send(CollectorMessage message) override {
    v1::IngestRequest request = ToWire(std::move(message));
    const std::size_t bytes = request.ByteSizeLong();
    if (*reactor_ != nullptr) (*reactor_)->Send(std::move(request));
    return bytes;
  }

 private:
  const std::shared_ptr<Link> link_;
  const std::shared_ptr<Reactor*> reactor_;
};

GrpcIngestConnector::GrpcIngestConnector(std::shared_ptr<grpc::Channel> channel, Post post)
    : channel_(std::move(channel)),
      post_(std::move(post)),
      open_(std::make_shared<std::atomic<int>>(0)) {}

GrpcIngestConnector::~GrpcIngestConnector() = default;

std::unique_ptr<IngestStream> GrpcIngestConnector::Open(IngestStreamListener& listener) {
  auto link = std::make_shared<Link>();
  link->listener = &listener;
  link->open = open_;
  open_->fetch_add(1);
  auto self = std::make_shared<Reactor*>(nullptr);
  // Deletes itself when gRPC is done with it.
  *self = new Reactor(channel_, post_, link, self);
  (*self)->Start();
  return std::make_unique<Stream>(std::move(link), std::move(self));
}

}  // namespace netsentinel::uplink
