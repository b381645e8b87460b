#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include <grpcpp/grpcpp.h>

#include "common/base/mutex.h"
#include "netsentinel/v1/ingest.grpc.pb.h"

namespace netsentinel::test {

// An aggregator that counts nothing: a real gRPC server of IngestService on loopback, without TLS,
// that remembers frames and does with them what a test wants. What it acknowledged it keeps as the
// resume point of the next stream. Thread-safe.
class IngestRecorder final : public v1::IngestService::Service {
 public:
  // 0: a port that the kernel chooses.
  explicit IngestRecorder(int port = 0);
  ~IngestRecorder() override;

  int port() const { return port_; }
  std::string target() const;

  // Frames are remembered and not answered.
  void WithholdAcks(bool withhold);
  // Frames of the router are refused; REFUSAL_REASON_UNSPECIFIED takes them again.
  void Refuse(const std::string& router, v1::RefusalReason reason);
  // Ends all streams that are open.
  void Disconnect();
  void SetCredit(std::uint64_t bytes);
  void SetBoundaries(std::vector<std::int64_t> boundary_us);

  // All that came, in order, over all streams.
  std::vector<v1::SnapshotFrame> frames() const;
  std::vector<v1::RouterStateReport> states() const;
  std::vector<v1::Hello> hellos() const;
  // Acknowledged sequences of a router and menu, ascending.
  std::set<std::uint64_t> acknowledged(const std::string& router, v1::Menu menu) const;
  // Most bytes of frames that were unanswered at a time.
  std::uint64_t unanswered_bytes_max() const;

  // Waits until `condition` holds; it is asked after every message. False after `timeout`.
  bool WaitUntil(const std::function<bool()>& condition,
                 absl::Duration timeout = absl::Seconds(20)) const;

  grpc::Status Ingest(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::IngestResponse, v1::IngestRequest>* stream) override;

 private:
  using MenuKey = std::pair<std::string, int>;
  v1::IngestResponse WelcomeTo(const v1::Hello& hello) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Answer(const v1::SnapshotFrame& frame, v1::IngestResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable base::Mutex mutex_;
  mutable std::condition_variable changed_;
  bool withhold_ ABSL_GUARDED_BY(mutex_) = false;
  std::uint64_t credit_ ABSL_GUARDED_BY(mutex_) = 1 << 20;
  std::vector<std::int64_t> boundaries_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::RefusalReason> refusals_ ABSL_GUARDED_BY(mutex_);
  std::set<grpc::ServerContext*> open_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::string> spool_of_router_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::uint64_t> epochs_ ABSL_GUARDED_BY(mutex_);
  std::map<MenuKey, std::set<std::uint64_t>> acknowledged_ ABSL_GUARDED_BY(mutex_);
  std::map<MenuKey, std::pair<std::string, std::uint64_t>> resume_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::SnapshotFrame> frames_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::RouterStateReport> states_ ABSL_GUARDED_BY(mutex_);
  std::vector<v1::Hello> hellos_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t unanswered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t unanswered_max_ ABSL_GUARDED_BY(mutex_) = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace netsentinel::test
