#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

#include "collector/poll/router_state.h"
#include "collector/spool/spool_row.h"
#include "collector/uplink/frame_encoder.h"
#include "common/base/ids.h"

// The ingest protocol in plain types; ingest.proto says what each message means. wire.cc converts.
namespace netsentinel::uplink {

inline constexpr std::uint32_t kProtocolVersion = 1;

// --- to the aggregator --------------------------------------------------------------------------

struct RouterOffer {
  base::RouterId router;
  std::vector<spool::MenuPosition> positions;
};

struct HelloMessage {
  base::CollectorId collector;
  std::string software_version;
  std::string host_boot_id;
  std::string spool_uuid;
  std::vector<RouterOffer> routers;
  std::int64_t collector_time_us = 0;  // this host's wall clock
};

// One frame of a spooled snapshot.
struct FrameMessage {
  spool::MenuKey key;
  std::uint64_t lease_epoch = 0;
  std::string spool_uuid;
  std::uint64_t sequence = 0;
  std::uint64_t previous_sequence = 0;
  FrameColumns columns;
  std::int64_t collector_time_us = 0;  // this host's wall clock
};

struct LeaseReportMessage {
  base::RouterId router;
  std::uint64_t lease_epoch = 0;
  std::uint64_t waiting_snapshots = 0;
};

using CollectorMessage =
    std::variant<HelloMessage, FrameMessage, poll::RouterStateReport, LeaseReportMessage>;

// --- to the collector ---------------------------------------------------------------------------

struct LeaseGrantMessage {
  base::RouterId router;
  std::uint64_t lease_epoch = 0;
  std::uint32_t ttl_ms = 0;
};

struct ResumePoint {
  counters::Menu menu = counters::Menu::kSimple;
  std::uint64_t lease_epoch = 0;
  std::string spool_uuid;
  std::uint64_t sequence = 0;
};

struct RouterWelcome {
  base::RouterId router;
  std::optional<LeaseGrantMessage> lease;
  std::vector<ResumePoint> resume_points;
  std::vector<std::int64_t> boundary_us;
  std::uint32_t poll_interval_ms = 0;
};

struct WelcomeMessage {
  std::uint32_t protocol_version = 0;
  std::int64_t aggregator_time_us = 0;
  std::string aggregator_id;
  std::vector<RouterWelcome> routers;
  std::uint64_t credit_bytes = 0;
};

struct AckMessage {
  spool::MenuKey key;
  std::uint64_t lease_epoch = 0;
  std::uint64_t sequence = 0;
  std::int64_t aggregator_time_us = 0;
  bool superseded = false;
};

// Values equal ingest.proto's RefusalReason.
enum class RefusalReason : std::uint8_t {
  kUnspecified = 0,
  kNotGranted = 1,
  kUnknownRouter = 2,
  kMalformed = 3,
  kTooLarge = 4,
  kGap = 5,
  kLease = 6,
  kUnavailable = 7,
};

// "not granted", …
absl::string_view RefusalReasonName(RefusalReason reason);

struct RefusalMessage {
  base::RouterId router;
  std::optional<counters::Menu> menu;  // empty: the whole router
  std::uint64_t sequence = 0;
  RefusalReason reason = RefusalReason::kUnspecified;
  std::string detail;
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

}  // namespace netsentinel::uplink
