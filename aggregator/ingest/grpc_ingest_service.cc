#include "aggregator/ingest/grpc_ingest_service.h"

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/ingest/wire.h"

namespace netsentinel::ingest {
namespace {

grpc::Status GrpcStatus(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

class IngestReactor;

// What the engine holds of a stream. Outlives the reactor, which detaches itself when it ends.
class ReactorSink final : public StreamSink {
 public:
  explicit ReactorSink(IngestReactor* reactor) : reactor_(reactor) {}
  void Send(AggregatorMessage message) override;
  void Close(absl::Status status) override;
  bool Paused() const override { return paused_.load(); }
  void SetPaused(bool paused) { paused_.store(paused); }
  // There is room again: the stream is read on.
  void Resume();
  void Detach() {
    base::MutexLock lock(mutex_);
    reactor_ = nullptr;
  }

 private:
  base::Mutex mutex_;
  IngestReactor* reactor_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> paused_{false};
};

class IngestReactor final : public grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse> {
 public:
  IngestReactor(EventQueue& events, StreamId stream, base::CollectorId identity,
                const IntakeLimits& limits, std::shared_ptr<IntakeBudget> budget,
                std::shared_ptr<const void> counted)
      : events_(events),
        stream_(stream),
        limits_(limits),
        counted_(std::move(counted)),
        intake_(std::make_shared<StreamIntake>(limits, std::move(budget))),
        sink_(std::make_shared<ReactorSink>(this)) {
    events_.Post({stream_, StreamOpened{sink_, std::move(identity)}, nullptr});
    request_ = std::make_shared<v1::IngestRequest>();
    StartRead(request_.get());
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(absl::OkStatus());
      return;
    }
    const std::uint64_t bytes = request_->ByteSizeLong();
    absl::StatusOr<CollectorMessage> message = FromWire(std::exchange(request_, nullptr));
    if (!message.ok()) {
      Finish(message.status());
      return;
    }
    StreamEvent event{stream_, *std::move(message), nullptr};
    if (const absl::Status counted = Account(bytes, event); !counted.ok()) {
      Finish(counted);
      return;
    }
    events_.Post(std::move(event));
    request_ = std::make_shared<v1::IngestRequest>();
    // Before the question: room may come at once.
    sink_->SetPaused(true);
    if (intake_->WaitForRoom([sink = sink_] { sink->Resume(); })) return;
    sink_->SetPaused(false);
    StartRead(request_.get());
  }

  // Only after WaitForRoom: nothing is being read.
  void ReadOn() {
    base::MutexLock lock(mutex_);
    if (!finished_) StartRead(request_.get());
  }

  void OnWriteDone(bool ok) override {
    base::MutexLock lock(mutex_);
    writing_ = false;
    if (!ok) {
      outgoing_.clear();
      return;
    }
    StartNextWrite();
  }

  void OnCancel() override { Finish(absl::CancelledError("the collector went away")); }

  void OnDone() override {
    sink_->Detach();
    intake_->Close();
    events_.Post({stream_, StreamClosed{}, nullptr});
    delete this;
  }

  void Send(const AggregatorMessage& message) {
    bool overflow = false;
    {
      base::MutexLock lock(mutex_);
      if (finished_) return;
      overflow = outgoing_.size() >= limits_.outgoing_max;
      if (!overflow) {
        outgoing_.push_back(ToWire(message));
        StartNextWrite();
      }
    }
    if (overflow) {
      Finish(absl::ResourceExhaustedError("the collector does not read its acknowledgements"));
    }
  }

  void Finish(const absl::Status& status) {
    base::MutexLock lock(mutex_);
    if (finished_) return;
    finished_ = true;
    grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>::Finish(GrpcStatus(status));
  }

 private:
  // A message's bytes count until the engine has dealt with it: a frame's until its storage goes.
  absl::Status Account(std::uint64_t bytes, StreamEvent& event) {
    auto& message = std::get<CollectorMessage>(event.what);
    StreamIntake::Counted counted = intake_->Count(message, bytes);
    if (auto* part = std::get_if<SnapshotPart>(&message); part != nullptr) {
      using Both = std::pair<std::shared_ptr<const void>, std::shared_ptr<const void>>;
      part->storage =
          std::make_shared<const Both>(std::move(part->storage), std::move(counted.hold));
    } else {
      event.hold = std::move(counted.hold);
    }
    return counted.status;
  }

  void StartNextWrite() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_ || finished_ || outgoing_.empty()) return;
    current_ = std::move(outgoing_.front());
    outgoing_.pop_front();
    writing_ = true;
    StartWrite(&current_);
  }

  EventQueue& events_;
  const StreamId stream_;
  const IntakeLimits limits_;
  const std::shared_ptr<const void> counted_;
  const std::shared_ptr<StreamIntake> intake_;
  const std::shared_ptr<ReactorSink> sink_;
  std::shared_ptr<v1::IngestRequest> request_;

  base::Mutex mutex_;
  std::deque<v1::IngestResponse> outgoing_ ABSL_GUARDED_BY(mutex_);
  v1::IngestResponse current_;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

void ReactorSink::Send(AggregatorMessage message) {
  base::MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->Send(message);
}

void ReactorSink::Close(absl::Status status) {
  base::MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->Finish(status);
}

void ReactorSink::Resume() {
  paused_.store(false);
  base::MutexLock lock(mutex_);
  if (reactor_ != nullptr) reactor_->ReadOn();
}

// A call that is refused before it begins.
class RefusedReactor final : public grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse> {
 public:
  explicit RefusedReactor(const absl::Status& status) { Finish(GrpcStatus(status)); }
  void OnDone() override { delete this; }
};

}  // namespace

grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* GrpcIngestService::Ingest(
    grpc::CallbackServerContext* context) {
  absl::StatusOr<base::CollectorId> identity = identify_(*context);
  if (!identity.ok()) return new RefusedReactor(identity.status());
  absl::StatusOr<std::shared_ptr<const void>> counted = counts_.Open(*identity);
  if (!counted.ok()) return new RefusedReactor(counted.status());
  return new IngestReactor(events_, next_stream_.fetch_add(1), *std::move(identity), limits_,
                           budget_, *std::move(counted));
}

}  // namespace netsentinel::ingest
