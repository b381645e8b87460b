#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "collector/poll/aggregator_clock.h"
#include "collector/poll/router_state.h"
#include "collector/spool/spool_keeper.h"
#include "collector/uplink/frame_encoder.h"
#include "collector/uplink/ingest_stream.h"
#include "collector/uplink/messages.h"
#include "collector/uplink/stream_end.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/log/logger.h"

namespace netsentinel::uplink {

struct UplinkOptions {
  base::CollectorId collector;
  std::string software_version;
  std::string host_boot_id;
  AggregatorNames aggregator = {};
  EncoderLimits encoder = {};
  // Bytes under way never pass this, whatever credit the aggregator gives.
  std::uint64_t in_flight_bytes_max = std::uint64_t{8} << 20;
  // No welcome, or no answer to what is under way, for so long: the stream is taken for dead.
  absl::Duration welcome_deadline = absl::Seconds(10);
  absl::Duration ack_deadline = absl::Seconds(30);
  // Pause before refused snapshots of a menu are sent again; doubles up to the maximum.
  absl::Duration refused_retry = absl::Seconds(30);
  absl::Duration refused_retry_max = absl::Minutes(10);
  // A snapshot refused so often as malformed or too large is set aside: it would be the next time.
  int refusals_max = 3;
  // Rows of a router that is configured neither here nor there, or not granted, are dropped when
  // none was written for so long.
  absl::Duration keep_unconfigured = absl::Hours(24);
  // Pause before what a full disk did not take (positions, plans) is written again.
  absl::Duration rewrite_after = absl::Seconds(5);
  // Boundaries reach 45 days ahead and come with a welcome, so a stream does not grow old.
  absl::Duration stream_age_max = absl::Hours(24);
  base::BackoffPolicy reconnect = {.initial = absl::Milliseconds(500),
                                   .maximum = absl::Seconds(30)};
};

// What the uplink learns from the aggregator that others need, on the uplink's thread.
class UplinkListener {
 public:
  virtual ~UplinkListener() = default;
  // Boundaries, interval and lease epoch of a router.
  virtual void OnPlan(const spool::RouterPlan& plan) = 0;
  // Whether this collector may poll the router: false while another holds the lease.
  virtual void OnLease(const base::RouterId& router, bool may_poll) = 0;
};

struct UplinkStats {
  std::uint64_t connects = 0;
  std::uint64_t frames_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t snapshots_acknowledged = 0;
  std::uint64_t superseded = 0;
  std::uint64_t refusals = 0;
  std::uint64_t in_flight_bytes = 0;
};

// Carries snapshots from the spool to the aggregator over one stream at a time, and comes back with
// jittered pauses when it breaks. What is acknowledged is acknowledged in the spool; a refusal
// holds up only the menu (or router) it names. One thread; `keeper` is shared with whoever writes
// readings on that thread.
class Uplink final : private IngestStreamListener {
 public:
  struct Parts {
    spool::SpoolKeeper& keeper;
    const base::Clock& clock;
    base::RandomSource& random;
    log::Logger& logger;
    poll::AggregatorClock& aggregator_clock;
    IngestConnector& connector;
    UplinkListener& listener;
  };

  Uplink(UplinkOptions options, const Parts& parts);
  ~Uplink() override;

  // Which routers this collector reads; no stream begins before the first call. A change
  // reconnects, since a hello names them.
  void SetRouters(std::vector<base::RouterId> routers);
  // Takes the plans of an earlier run from the spool and tells the listener; once, when the spool
  // is open. Tick does it too.
  void RestorePlans();
  // Rows of these menus were written.
  void OnSpooled(const std::set<spool::MenuKey>& keys);
  // A poll of the router, or a connection to it, failed; or a menu of it was read. After two
  // failures in a row its lease is not extended any more, so that another collector may take over.
  void OnPolled(const base::RouterId& router, bool succeeded);
  // Sent when it comes and after each welcome.
  void ReportState(const poll::RouterStateReport& report);
  // Connects, notices deadlines, repeats what waits. Call it several times a second.
  void Tick();
  // Writes the last acknowledgements and ends the stream.
  void Stop();

  // The epoch to stamp a new reading with; 0 before the first grant to the spool as it is now.
  std::uint64_t LeaseEpoch(const base::RouterId& router) const;
  // A welcome came on the stream at hand.
  bool connected() const { return welcomed_; }
  // Why not connected, in words; empty when connected.
  const std::string& trouble() const { return trouble_; }
  const UplinkStats& stats() const { return stats_; }
  // Why snapshots of a router wait although connected; empty when they do not.
  std::string HeldBack(const base::RouterId& router) const;

 private:
  enum class Sending { kSent, kNoRoom, kSetAside };
  // What became of a turn to send: nothing more to do, the window is full after some or before any
  // row, or the stream or the spool is gone.
  enum class Turn { kDone, kFullAfterSome, kFullAtOnce, kStopped };
  struct InFlight {
    std::uint64_t sequence = 0;
    std::uint64_t bytes = 0;
    absl::Duration sent_boot;
    absl::Duration sent_monotonic;
  };
  struct MenuChannel {
    explicit MenuChannel(EncoderLimits limits) : encoder(limits) {}
    FrameEncoder encoder;
    // Rows up to here are sent or done with.
    std::uint64_t cursor = 0;
    bool more = true;
    std::deque<InFlight> in_flight;
    absl::Duration held_until;
    absl::Duration held_for;
    std::string held_why;
    std::uint64_t acknowledged = 0;
    bool acknowledge = false;
    // How often the snapshot was refused for what it is.
    std::uint64_t refused_sequence = 0;
    int refused_times = 0;
  };
  struct RouterLease {
    std::uint64_t epoch = 0;
    // The spool it was granted to.
    std::string spool_uuid;
    bool granted = false;
    absl::Duration ttl;
    absl::Duration report_at;
  };

  void OnMessage(AggregatorMessage message) override;
  void OnClosed(absl::Status status) override;
  void On(WelcomeMessage welcome);
  void On(const AckMessage& ack);
  void On(const RefusalMessage& refusal);
  void On(const LeaseGrantMessage& grant);
  void On(const WithdrawalMessage& withdrawal);
  void On(const CreditMessage& credit);

  void Connect();
  // Forgets the stream; the next one begins after a pause.
  void Disconnect(absl::string_view why);
  absl::StatusOr<HelloMessage> MakeHello();
  // False: the spool is behind the aggregator and took a new uuid.
  bool Resume(const RouterWelcome& router);
  void Grant(const LeaseGrantMessage& grant);
  void TakePlan(const spool::RouterPlan& plan);
  void SavePlans();
  void Pump();
  // Sends one batch of a menu.
  Turn SendBatch(const spool::MenuKey& key, MenuChannel& channel);
  Sending SendRow(const spool::SpoolRow& row, MenuChannel& channel);
  void DropInFlight(MenuChannel& channel);
  void Hold(const spool::MenuKey& key, MenuChannel& channel, const RefusalMessage& refusal);
  // True when the snapshot was refused too often and is out of the way.
  bool SetRefusedAside(const spool::MenuKey& key, MenuChannel& channel,
                       const RefusalMessage& refusal);
  void DropUnconfigured(const RefusalMessage& refusal);
  void ResendAfter(const spool::MenuKey& key, MenuChannel& channel, std::uint64_t sequence);
  void FlushAcknowledgements();
  void ReportLeases();
  bool StreamIsDead(absl::Duration now);
  MenuChannel& Channel(const spool::MenuKey& key);
  std::vector<spool::MenuKey> KeysOf(const RefusalMessage& refusal) const;
  void SpoolFailed(const absl::Status& status);

  const UplinkOptions options_;
  spool::SpoolKeeper& keeper_;
  const base::Clock& clock_;
  log::Logger& logger_;
  poll::AggregatorClock& aggregator_clock_;
  IngestConnector& connector_;
  UplinkListener& listener_;

  std::optional<std::set<base::RouterId>> routers_;
  std::map<base::RouterId, RouterLease> leases_;
  std::map<base::RouterId, int> failed_polls_;
  std::map<base::RouterId, spool::RouterPlan> plans_;
  std::set<base::RouterId> unsaved_plans_;
  // Why nothing of a router is sent on the stream at hand.
  std::map<base::RouterId, std::string> not_sending_;
  std::map<std::pair<base::RouterId, int>, poll::RouterStateReport> states_;
  std::map<spool::MenuKey, MenuChannel> channels_;

  std::unique_ptr<IngestStream> stream_;
  bool welcomed_ = false;
  bool stopped_ = false;
  bool restored_ = false;
  std::string trouble_ = "not connected yet";
  std::string spool_uuid_;
  std::uint64_t credit_ = 0;
  absl::Duration hello_boot_;
  absl::Duration opened_at_;
  absl::Duration last_answer_at_;
  absl::Duration connect_at_;
  absl::Duration rewrite_at_;
  base::Backoff backoff_;
  // Where the next round of sending begins, so that no menu starves the others.
  std::optional<spool::MenuKey> next_menu_;
  UplinkStats stats_;
};

}  // namespace netsentinel::uplink
