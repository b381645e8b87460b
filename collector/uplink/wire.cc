#include "collector/uplink/wire.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"

namespace netsentinel::uplink {
namespace {

// More than a welcome of the protocol ever holds; a peer that sends more is not trusted.
constexpr int kBoundariesMax = 1000;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("message of the aggregator: ", what));
}

v1::Menu MenuToWire(counters::Menu menu) {
  return menu == counters::Menu::kSimple ? v1::MENU_SIMPLE : v1::MENU_TREE;
}

absl::StatusOr<counters::Menu> MenuOf(v1::Menu menu) {
  if (menu == v1::MENU_SIMPLE) return counters::Menu::kSimple;
  if (menu == v1::MENU_TREE) return counters::Menu::kTree;
  return Bad(absl::StrCat("menu ", static_cast<int>(menu), " is not known here"));
}

absl::StatusOr<base::RouterId> RouterOf(const std::string& id) {
  if (id.empty() || id.size() > 64) return Bad("router_id is empty or longer than 64 bytes");
  return base::RouterId(id);
}

// One string that is not UTF-8 would make the peer refuse the message and with it the stream.
std::string Utf8(const std::string& text) {
  return base::IsValidUtf8(text) ? text : base::DisplayName(text);
}

void Fill(const counters::DeviceIdentity& device, v1::DeviceIdentity* out) {
  out->set_serial_number(Utf8(device.serial_number));
  out->set_system_id(Utf8(device.system_id));
  out->set_identity(device.identity);
  out->set_board_name(Utf8(device.board_name));
  out->set_version(Utf8(device.version));
}

void Fill(const counters::SnapshotHeader& header, v1::SnapshotHeader* out) {
  out->set_host_boot_id(header.host_boot_id);
  out->set_begin_us(header.begin_us);
  out->set_end_us(header.end_us);
  out->set_session_id(header.session_id);
  out->set_attribution_us(header.attribution_us);
  out->set_clock(header.clock == counters::AttributionClock::kAggregator
                     ? v1::ATTRIBUTION_CLOCK_AGGREGATOR
                     : v1::ATTRIBUTION_CLOCK_COLLECTOR);
  out->set_router_uptime_s(header.router_uptime_s);
  Fill(header.device, out->mutable_device());
  out->set_settings_fingerprint(header.settings_fingerprint);
  out->set_at_boundary(header.at_boundary);
  out->set_boundary_skew_ms(header.boundary_skew_ms);
  out->set_host_paused_us(header.host_paused_us);
  out->set_pause_decided(header.pause_decided);
}

void Fill(counters::QueueDescriptor descriptor, v1::QueueDescriptor* out) {
  out->set_row_id(descriptor.row_id);
  out->set_name(std::move(descriptor.name));
  out->set_target(std::move(descriptor.target));
  out->set_parent(std::move(descriptor.parent));
  out->set_comment(std::move(descriptor.comment));
  out->set_dynamic(descriptor.dynamic);
  out->set_disabled(descriptor.disabled);
  out->set_invalid(descriptor.invalid);
  out->set_max_limit_upload(descriptor.max_limit_upload);
  out->set_max_limit_download(descriptor.max_limit_download);
  out->set_burst_limit_upload(descriptor.burst_limit_upload);
  out->set_burst_limit_download(descriptor.burst_limit_download);
}

void Fill(FrameColumns::Step step, v1::MergedStep* out) {
  Fill(step.header, out->mutable_header());
  out->mutable_header()->set_queue_count(static_cast<std::uint32_t>(step.queues.size()));
  for (counters::QueueDescriptor& queue : step.queues) Fill(std::move(queue), out->add_queues());
  for (const counters::QueueReading& reading : step.readings) {
    out->add_upload(reading.upload);
    out->add_download(reading.download);
    out->add_packets(reading.packets);
  }
  for (counters::QueueDescriptor& gone : step.gone) Fill(std::move(gone), out->add_gone());
}

struct Encoder {
  v1::IngestRequest out;

  void operator()(HelloMessage hello) {
    v1::Hello* wire = out.mutable_hello();
    wire->set_protocol_version(kProtocolVersion);
    wire->set_collector_id(hello.collector.value());
    wire->set_software_version(hello.software_version);
    wire->set_host_boot_id(hello.host_boot_id);
    wire->set_spool_uuid(hello.spool_uuid);
    wire->set_collector_time_us(hello.collector_time_us);
    for (const RouterOffer& offer : hello.routers) {
      v1::RouterOffer* router = wire->add_routers();
      router->set_router_id(offer.router.value());
      for (const spool::MenuPosition& position : offer.positions) {
        v1::SpoolPosition* entry = router->add_positions();
        entry->set_menu(MenuToWire(position.key.menu));
        entry->set_lease_epoch(position.lease_epoch);
        entry->set_oldest_sequence(position.oldest_sequence);
        entry->set_newest_sequence(position.newest_sequence);
      }
    }
  }
  void operator()(FrameMessage frame) {
    v1::SnapshotFrame* wire = out.mutable_snapshot();
    FrameColumns& columns = frame.columns;
    wire->set_router_id(frame.key.router.value());
    wire->set_menu(MenuToWire(frame.key.menu));
    wire->set_lease_epoch(frame.lease_epoch);
    wire->set_spool_uuid(frame.spool_uuid);
    wire->set_sequence(frame.sequence);
    wire->set_previous_sequence(frame.previous_sequence);
    wire->set_part(columns.part);
    wire->set_last_part(columns.last_part);
    wire->set_absolute(columns.absolute);
    wire->set_collector_time_us(frame.collector_time_us);
    if (columns.header.has_value()) {
      Fill(*columns.header, wire->mutable_header());
      wire->mutable_header()->set_queue_count(columns.queue_count);
    }
    for (counters::QueueDescriptor& added : columns.added)
      Fill(std::move(added), wire->add_added());
    wire->mutable_retired()->Add(columns.retired.begin(), columns.retired.end());
    wire->mutable_queue_index()->Add(columns.queue_index.begin(), columns.queue_index.end());
    wire->mutable_upload()->Add(columns.upload.begin(), columns.upload.end());
    wire->mutable_download()->Add(columns.download.begin(), columns.download.end());
    wire->mutable_packets()->Add(columns.packets.begin(), columns.packets.end());
    for (FrameColumns::Step& step : columns.steps) Fill(std::move(step), wire->add_steps());
  }
  void operator()(const poll::RouterStateReport& report) {
    *out.mutable_router_state() = ToWire(report);
  }
  void operator()(const LeaseReportMessage& report) {
    v1::LeaseReport* wire = out.mutable_lease_report();
    wire->set_router_id(report.router.value());
    wire->set_lease_epoch(report.lease_epoch);
    wire->set_waiting_snapshots(report.waiting_snapshots);
  }
};

absl::StatusOr<LeaseGrantMessage> GrantOf(const v1::LeaseGrant& wire) {
  NS_ASSIGN_OR_RETURN(base::RouterId router, RouterOf(wire.router_id()));
  return LeaseGrantMessage{std::move(router), wire.lease_epoch(), wire.ttl_ms()};
}

absl::StatusOr<RouterWelcome> RouterWelcomeOf(const v1::RouterWelcome& wire) {
  RouterWelcome router;
  NS_ASSIGN_OR_RETURN(router.router, RouterOf(wire.router_id()));
  if (wire.has_lease() && wire.lease().lease_epoch() > 0) {
    router.lease =
        LeaseGrantMessage{router.router, wire.lease().lease_epoch(), wire.lease().ttl_ms()};
  }
  for (const v1::ResumePoint& point : wire.resume_points()) {
    NS_ASSIGN_OR_RETURN(const counters::Menu menu, MenuOf(point.menu()));
    router.resume_points.push_back(
        {menu, point.lease_epoch(), point.spool_uuid(), point.sequence()});
  }
  if (wire.boundary_us_size() > kBoundariesMax) return Bad("too many boundaries");
  router.boundary_us.assign(wire.boundary_us().begin(), wire.boundary_us().end());
  router.poll_interval_ms = wire.poll_interval_ms();
  return router;
}

absl::StatusOr<AggregatorMessage> WelcomeOf(const v1::Welcome& wire) {
  WelcomeMessage welcome{.protocol_version = wire.protocol_version(),
                         .aggregator_time_us = wire.aggregator_time_us(),
                         .aggregator_id = wire.aggregator_id(),
                         .routers = {},
                         .credit_bytes = wire.credit_bytes()};
  if (welcome.protocol_version != kProtocolVersion) {
    return Bad(absl::StrCat("it speaks protocol version ", welcome.protocol_version,
                            ", this collector ", kProtocolVersion, ": upgrade the older of both"));
  }
  for (const v1::RouterWelcome& router : wire.routers()) {
    NS_ASSIGN_OR_RETURN(RouterWelcome plain, RouterWelcomeOf(router));
    welcome.routers.push_back(std::move(plain));
  }
  return AggregatorMessage(std::move(welcome));
}

absl::StatusOr<AggregatorMessage> AckOf(const v1::Ack& wire) {
  AckMessage ack;
  NS_ASSIGN_OR_RETURN(ack.key.router, RouterOf(wire.router_id()));
  NS_ASSIGN_OR_RETURN(ack.key.menu, MenuOf(wire.menu()));
  ack.lease_epoch = wire.lease_epoch();
  ack.sequence = wire.sequence();
  ack.aggregator_time_us = wire.aggregator_time_us();
  ack.superseded = wire.superseded();
  return AggregatorMessage(std::move(ack));
}

absl::StatusOr<AggregatorMessage> RefusalOf(const v1::Refusal& wire) {
  RefusalMessage refusal;
  NS_ASSIGN_OR_RETURN(refusal.router, RouterOf(wire.router_id()));
  if (wire.menu() != v1::MENU_UNSPECIFIED) {
    NS_ASSIGN_OR_RETURN(refusal.menu, MenuOf(wire.menu()));
  }
  refusal.sequence = wire.sequence();
  if (wire.reason() >= v1::REFUSAL_REASON_NOT_GRANTED &&
      wire.reason() <= v1::REFUSAL_REASON_UNAVAILABLE) {
    refusal.reason = static_cast<RefusalReason>(wire.reason());
  }
  refusal.detail = wire.detail();
  refusal.expected_sequence = wire.expected_sequence();
  return AggregatorMessage(std::move(refusal));
}

}  // namespace

absl::string_view RefusalReasonName(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::kUnspecified:
      return "unspecified";
    case RefusalReason::kNotGranted:
      return "not granted";
    case RefusalReason::kUnknownRouter:
      return "unknown router";
    case RefusalReason::kMalformed:
      return "malformed";
    case RefusalReason::kTooLarge:
      return "too large";
    case RefusalReason::kGap:
      return "gap";
    case RefusalReason::kLease:
      return "lease";
    case RefusalReason::kUnavailable:
      return "unavailable";
  }
  return "unspecified";
}

v1::RouterStateReport ToWire(const poll::RouterStateReport& report) {
  v1::RouterStateReport wire;
  wire.set_router_id(report.router.value());
  if (report.menu.has_value()) wire.set_menu(MenuToWire(*report.menu));
  wire.set_state(static_cast<v1::RouterState>(report.state));
  wire.set_since_us(report.since_us);
  wire.set_detail(Utf8(report.detail));
  Fill(report.device, wire.mutable_device());
  return wire;
}

v1::IngestRequest ToWire(CollectorMessage message) {
  Encoder encoder;
  std::visit([&encoder](auto& plain) { encoder(std::move(plain)); }, message);
  return std::move(encoder.out);
}

absl::StatusOr<AggregatorMessage> FromWire(const v1::IngestResponse& response) {
  switch (response.message_case()) {
    case v1::IngestResponse::kWelcome:
      return WelcomeOf(response.welcome());
    case v1::IngestResponse::kAck:
      return AckOf(response.ack());
    case v1::IngestResponse::kRefusal:
      return RefusalOf(response.refusal());
    case v1::IngestResponse::kGrant: {
      NS_ASSIGN_OR_RETURN(LeaseGrantMessage grant, GrantOf(response.grant()));
      return AggregatorMessage(std::move(grant));
    }
    case v1::IngestResponse::kWithdrawal: {
      WithdrawalMessage withdrawal;
      NS_ASSIGN_OR_RETURN(withdrawal.router, RouterOf(response.withdrawal().router_id()));
      withdrawal.lease_epoch = response.withdrawal().lease_epoch();
      withdrawal.reason = response.withdrawal().reason();
      return AggregatorMessage(std::move(withdrawal));
    }
    case v1::IngestResponse::kCredit:
      return AggregatorMessage(CreditMessage{response.credit().credit_bytes()});
    case v1::IngestResponse::MESSAGE_NOT_SET:
      break;
  }
  // A later aggregator may say more than this collector understands.
  return absl::UnimplementedError("message of the aggregator: nothing of it is known here");
}

}  // namespace netsentinel::uplink
