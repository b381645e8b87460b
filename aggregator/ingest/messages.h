#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"

#include "aggregator/ingest/frame_decoder.h"
#include "aggregator/ingest/position_rule.h"
#include "common/base/ids.h"
#include "common/counters/snapshot.h"

// The ingest protocol in plain types; ingest.proto says what each message means. wire.cc converts.
namespace netsentinel::ingest {

// --- from the collector -----------------------------------------------------------------------

struct SpoolPosition {
  counters::Menu menu = counters::Menu::kSimple;
  std::uint64_t lease_epoch = 0;
  std::uint64_t oldest_sequence = 0;
  std::uint64_t newest_sequence = 0;
};

struct RouterOffer {
  base::RouterId router;
  std::vector<SpoolPosition> positions;
};

struct HelloMessage {
  std::uint32_t protocol_version = 0;
  base::CollectorId collector;
  std::string software_version;
  std::string host_boot_id;
  std::string spool_uuid;
  std::vector<RouterOffer> routers;
  std::int64_t collector_time_us = 0;  // its wall clock; 0: it did not say
};

// One frame. `columns` looks into `storage`.
struct SnapshotPart {
  // Not OK: the frame is broken beyond its address, and is to be refused with this text.
  absl::Status defect;
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  OfferedPosition offered;
  FrameColumns columns;
  std::size_t wire_bytes = 0;
  std::int64_t collector_time_us = 0;  // its wall clock; 0: it did not say
  std::shared_ptr<const void> storage;
};

// Values equal ingest.proto's RouterState.
enum class RouterState : std::uint8_t {
  kUnknown = 0,
  kReachable = 1,
  kUnreachable = 2,
  kLoginRefused = 3,
  kPolicyMissing = 4,
  kTlsRefused = 5,
  kMenuAbsent = 6,
  kIncompleteReply = 7,
  kProtocolError = 8,
  kStarting = 9,
};

struct RouterStateMessage {
  base::RouterId router;
  std::optional<counters::Menu> menu;  // empty: the whole router
  RouterState state = RouterState::kUnknown;
  std::int64_t since_us = 0;
  std::string detail;
  counters::DeviceIdentity device;
};

struct LeaseReportMessage {
  base::RouterId router;
  std::uint64_t lease_epoch = 0;
  std::uint64_t waiting_snapshots = 0;
};

using CollectorMessage =
    std::variant<HelloMessage, SnapshotPart, RouterStateMessage, LeaseReportMessage>;

// --- to the collector -------------------------------------------------------------------------

struct LeaseGrantMessage {
  base::RouterId router;
  std::uint64_t lease_epoch = 0;
  std::uint32_t ttl_ms = 0;
};

struct ResumePoint {
  counters::Menu menu = counters::Menu::kSimple;
  counters::SnapshotPosition position;
};

struct RouterWelcome {
  base::RouterId router;
  std::optional<LeaseGrantMessage> lease;
  std::vector<ResumePoint> resume_points;
  std::vector<std::int64_t> boundary_us;
  std::uint32_t poll_interval_ms = 0;
};

struct WelcomeMessage {
  std::int64_t aggregator_time_us = 0;
  std::string aggregator_id;
  std::vector<RouterWelcome> routers;
  std::uint64_t credit_bytes = 0;
};

struct AckMessage {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::uint64_t lease_epoch = 0;
  std::uint64_t sequence = 0;
  std::int64_t aggregator_time_us = 0;
  bool superseded = false;
};

// Values equal ingest.proto's RefusalReason.
enum class RefusalReason : std::uint8_t {
  kNotGranted = 1,
  kUnknownRouter = 2,
  kMalformed = 3,
  kTooLarge = 4,
  kGap = 5,
  kLease = 6,
  kUnavailable = 7,
};

struct RefusalMessage {
  base::RouterId router;
  counters::Menu menu = counters::Menu::kSimple;
  std::uint64_t sequence = 0;
  RefusalReason reason = RefusalReason::kMalformed;
  std::string detail = {};
  std::uint64_t expected_sequence = 0;
};

struct WithdrawalMessage {
  base::RouterId router;
  std::uint64_t lease_epoch = 0;
  std::string reason;
};

struct CreditMessage {
  std::uint64_t credit_bytes = 0;
};

using AggregatorMessage = std::variant<WelcomeMessage, AckMessage, RefusalMessage,
                                       LeaseGrantMessage, WithdrawalMessage, CreditMessage>;

// A collector's stream as the engine sees it. Thread-safe; calls after the stream's end do nothing.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  // Queues a message. The stream closes itself with RESOURCE_EXHAUSTED when its peer reads too
  // slowly for the queue's limit.
  virtual void Send(AggregatorMessage message) = 0;
  virtual void Close(absl::Status status) = 0;
  // The peer is not read for want of room here: nothing can come of it.
  virtual bool Paused() const { return false; }
};

// Highest ingest protocol version spoken here.
inline constexpr std::uint32_t kProtocolVersion = 1;

}  // namespace netsentinel::ingest
