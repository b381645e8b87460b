#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/clock.h"

#include "aggregator/ingest/wire.h"
#include "tests/support/child_process.h"
#include "tests/support/ingest_client.h"
#include "tests/unit/aggregator/ingest/engine_fixture.h"

namespace netsentinel::ingest {

// Keeps what an engine sends down one stream and how it ends it. Thread-safe.
class RecordingSink final : public StreamSink {
 public:
  void Send(AggregatorMessage message) override {
    base::MutexLock lock(mutex_);
    messages_.push_back(std::move(message));
  }
  void Close(absl::Status status) override {
    base::MutexLock lock(mutex_);
    closed_ = std::move(status);
  }
  // The newest message of this kind.
  template <typename Message>
  std::optional<Message> Last() {
    base::MutexLock lock(mutex_);
    std::optional<Message> found;
    for (const AggregatorMessage& message : messages_) {
      if (const auto* wanted = std::get_if<Message>(&message)) found = *wanted;
    }
    return found;
  }
  // As Last, once there is one.
  template <typename Message>
  std::optional<Message> Wait() {
    test::WaitUntil([this] { return Last<Message>().has_value(); });
    return Last<Message>();
  }
  std::optional<absl::Status> Closed() {
    base::MutexLock lock(mutex_);
    return closed_;
  }
  bool WaitClosed() {
    return test::WaitUntil([this] { return Closed().has_value(); });
  }
  bool Paused() const override { return paused.load(); }

  std::atomic<bool> paused{false};  // as if nothing were read from the stream

 private:
  base::Mutex mutex_;
  std::vector<AggregatorMessage> messages_ ABSL_GUARDED_BY(mutex_);
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
};

// An engine for the streams of collector c1, which reads router r1 of site lab.
class StreamFixture : public EngineFixture {
 protected:
  static EngineSettings LabSettings() {
    EngineSettings settings;
    settings.instance = "test";
    settings.store_lease_ttl = absl::Minutes(5);
    settings.store_backoff = {.initial = absl::Milliseconds(5), .maximum = absl::Milliseconds(20)};
    return settings;
  }
  static EnginePolicy LabPolicy(const std::string& text) {
    EnginePolicy policy;
    policy.text = text;
    policy.accounting.sites.push_back(
        {base::SiteId("lab"), absl::UTCTimeZone(), absl::ZeroDuration(), {}});
    accounting::RouterSettings router;
    router.id = base::RouterId("r1");
    router.site = base::SiteId("lab");
    policy.accounting.routers.push_back(router);
    policy.admission[router.id] = {.collectors = {base::CollectorId("c1")},
                                   .poll_interval = absl::ZeroDuration(),
                                   .site = router.site};
    return policy;
  }
  void Post(StreamId stream, const v1::IngestRequest& request) {
    absl::StatusOr<CollectorMessage> message =
        FromWire(std::make_shared<v1::IngestRequest>(request));
    ASSERT_THAT(message, test::IsOk());
    events_.Post({stream, *std::move(message), nullptr});
  }
  // alice has downloaded `download` bytes.
  static v1::IngestRequest Snapshot(std::uint64_t epoch, std::uint64_t sequence,
                                    std::uint64_t download, absl::Time at = absl::Now()) {
    v1::IngestRequest request;
    *request.mutable_snapshot() = test::MakeSnapshot({"r1", epoch, Spool(), sequence, sequence - 1},
                                                     {{"alice", 0, download}}, at);
    return request;
  }
  static std::string Spool() { return std::string(16, 's'); }
  // Downloads of all days.
  std::uint64_t Counted() {
    return book_.Read([](const accounting::Book& book) {
      std::uint64_t sum = 0;
      for (const accounting::UsageRow& row : book.Usage(
               base::SiteId("lab"), absl::CivilDay(2020, 1, 1), absl::CivilDay(2100, 1, 1))) {
        sum += row.counted.download;
      }
      return sum;
    });
  }
};

}  // namespace netsentinel::ingest
