#include "aggregator/ingest/wire.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "aggregator/ingest/notices.h"
#include "common/base/status_macros.h"

namespace netsentinel::ingest {
namespace {

constexpr std::size_t kIdMax = 64;
// As many as a configuration may name.
constexpr int kOffersMax = 20'000;

absl::Status Bad(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("ingest message: ", what));
}

absl::StatusOr<std::string> Id(const std::string& text, absl::string_view what) {
  bool good = !text.empty() && text.size() <= kIdMax;
  for (const char c : text) {
    good = good &&
           (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-');
  }
  if (!good) return Bad(absl::StrCat(what, " is not 1 to 64 of [A-Za-z0-9._-]"));
  return text;
}

absl::StatusOr<counters::Menu> MenuOf(v1::Menu menu) {
  if (menu == v1::MENU_SIMPLE) return counters::Menu::kSimple;
  if (menu == v1::MENU_TREE) return counters::Menu::kTree;
  return Bad("unknown menu");
}

absl::StatusOr<std::string> Uuid(const std::string& bytes) {
  if (bytes.size() != 16) return Bad("spool_uuid is not 16 bytes");
  return bytes;
}

counters::DeviceIdentity DeviceOf(const v1::DeviceIdentity& wire) {
  counters::DeviceIdentity device;
  device.serial_number = wire.serial_number();
  device.system_id = wire.system_id();
  device.identity = wire.identity();
  device.board_name = wire.board_name();
  device.version = wire.version();
  return device;
}

counters::SnapshotHeader HeaderOf(const v1::SnapshotHeader& wire) {
  counters::SnapshotHeader header;
  header.host_boot_id = wire.host_boot_id();
  header.begin_us = wire.begin_us();
  header.end_us = wire.end_us();
  header.session_id = wire.session_id();
  header.attribution_us = wire.attribution_us();
  header.clock = wire.clock() == v1::ATTRIBUTION_CLOCK_AGGREGATOR
                     ? counters::AttributionClock::kAggregator
                     : counters::AttributionClock::kCollector;
  header.router_uptime_s = wire.router_uptime_s();
  header.device = DeviceOf(wire.device());
  header.settings_fingerprint = wire.settings_fingerprint();
  header.at_boundary = wire.at_boundary();
  header.boundary_skew_ms = wire.boundary_skew_ms();
  header.host_paused_us = wire.host_paused_us();
  header.pause_decided = wire.pause_decided();
  return header;
}

counters::QueueDescriptor DescriptorOf(const v1::QueueDescriptor& wire) {
  counters::QueueDescriptor descriptor;
  descriptor.row_id = wire.row_id();
  descriptor.name = wire.name();
  descriptor.target = wire.target();
  descriptor.parent = wire.parent();
  descriptor.comment = wire.comment();
  descriptor.dynamic = wire.dynamic();
  descriptor.disabled = wire.disabled();
  descriptor.invalid = wire.invalid();
  descriptor.max_limit_upload = wire.max_limit_upload();
  descriptor.max_limit_download = wire.max_limit_download();
  descriptor.burst_limit_upload = wire.burst_limit_upload();
  descriptor.burst_limit_download = wire.burst_limit_download();
  return descriptor;
}

absl::StatusOr<FrameColumns::Step> StepOf(const v1::MergedStep& wire) {
  const int rows = wire.queues_size();
  if (wire.upload_size() != rows || wire.download_size() != rows || wire.packets_size() != rows) {
    return Bad("a merged step has columns of unequal length");
  }
  FrameColumns::Step step;
  step.header = HeaderOf(wire.header());
  step.queues.reserve(static_cast<std::size_t>(rows));
  step.readings.reserve(static_cast<std::size_t>(rows));
  for (int i = 0; i < rows; ++i) {
    step.queues.push_back(DescriptorOf(wire.queues(i)));
    step.readings.push_back({.descriptor = static_cast<counters::DescriptorIndex>(i),
                             .upload = wire.upload(i),
                             .download = wire.download(i),
                             .packets = wire.packets(i)});
  }
  for (const v1::QueueDescriptor& queue : wire.gone()) step.gone.push_back(DescriptorOf(queue));
  return step;
}

template <typename T, typename Field>
absl::Span<const T> SpanOf(const Field& field) {
  return absl::Span<const T>(field.data(), static_cast<std::size_t>(field.size()));
}

absl::StatusOr<CollectorMessage> HelloOf(const v1::Hello& wire) {
  HelloMessage hello;
  hello.protocol_version = wire.protocol_version();
  NS_ASSIGN_OR_RETURN(std::string collector, Id(wire.collector_id(), "collector_id"));
  hello.collector = base::CollectorId(std::move(collector));
  hello.software_version = Bounded(wire.software_version());
  hello.host_boot_id = wire.host_boot_id();
  NS_ASSIGN_OR_RETURN(hello.spool_uuid, Uuid(wire.spool_uuid()));
  hello.collector_time_us = wire.collector_time_us();
  if (wire.routers_size() > kOffersMax) {
    return Bad(absl::StrCat("a hello offers ", wire.routers_size(), " routers, the limit is ",
                            kOffersMax));
  }
  for (const v1::RouterOffer& offer : wire.routers()) {
    RouterOffer plain;
    NS_ASSIGN_OR_RETURN(std::string router, Id(offer.router_id(), "router_id"));
    plain.router = base::RouterId(std::move(router));
    for (const v1::SpoolPosition& position : offer.positions()) {
      NS_ASSIGN_OR_RETURN(const counters::Menu menu, MenuOf(position.menu()));
      plain.positions.push_back({.menu = menu,
                                 .lease_epoch = position.lease_epoch(),
                                 .oldest_sequence = position.oldest_sequence(),
                                 .newest_sequence = position.newest_sequence()});
    }
    hello.routers.push_back(std::move(plain));
  }
  return CollectorMessage(std::move(hello));
}

absl::Status FillColumns(const v1::SnapshotFrame& wire, FrameColumns& columns) {
  columns.part = wire.part();
  columns.last_part = wire.last_part();
  columns.absolute = wire.absolute();
  if (wire.has_header()) {
    columns.header = HeaderOf(wire.header());
    columns.queue_count = wire.header().queue_count();
  }
  columns.added.reserve(static_cast<std::size_t>(wire.added_size()));
  for (const v1::QueueDescriptor& descriptor : wire.added()) {
    columns.added.push_back(DescriptorOf(descriptor));
  }
  columns.retired = SpanOf<std::uint32_t>(wire.retired());
  columns.queue_index = SpanOf<std::uint32_t>(wire.queue_index());
  columns.upload = SpanOf<std::int64_t>(wire.upload());
  columns.download = SpanOf<std::int64_t>(wire.download());
  columns.packets = SpanOf<std::int64_t>(wire.packets());
  for (const v1::MergedStep& step : wire.steps()) {
    NS_ASSIGN_OR_RETURN(FrameColumns::Step plain, StepOf(step));
    columns.steps.push_back(std::move(plain));
  }
  return absl::OkStatus();
}

absl::StatusOr<CollectorMessage> SnapshotOf(std::shared_ptr<const v1::IngestRequest> request) {
  const v1::SnapshotFrame& wire = request->snapshot();
  SnapshotPart part;
  // Without an address nobody can be told: that is no protocol. The rest is the router's matter.
  NS_ASSIGN_OR_RETURN(std::string router, Id(wire.router_id(), "router_id"));
  part.router = base::RouterId(std::move(router));
  NS_ASSIGN_OR_RETURN(part.menu, MenuOf(wire.menu()));
  part.offered.position.spool_uuid = wire.spool_uuid();
  part.offered.position.lease_epoch = wire.lease_epoch();
  part.offered.position.sequence = wire.sequence();
  part.offered.previous_sequence = wire.previous_sequence();
  part.wire_bytes = request->ByteSizeLong();
  part.collector_time_us = wire.collector_time_us();
  part.defect = Uuid(wire.spool_uuid()).status();
  if (part.defect.ok()) part.defect = FillColumns(wire, part.columns);
  part.storage = std::move(request);
  return CollectorMessage(std::move(part));
}

absl::StatusOr<CollectorMessage> StateOf(const v1::RouterStateReport& wire) {
  RouterStateMessage state;
  NS_ASSIGN_OR_RETURN(std::string router, Id(wire.router_id(), "router_id"));
  state.router = base::RouterId(std::move(router));
  if (wire.menu() != v1::MENU_UNSPECIFIED) {
    NS_ASSIGN_OR_RETURN(state.menu, MenuOf(wire.menu()));
  }
  if (!v1::RouterState_IsValid(wire.state())) return Bad("unknown router state");
  state.state = static_cast<RouterState>(wire.state());
  state.since_us = wire.since_us();
  state.detail = Bounded(wire.detail());
  state.device = DeviceOf(wire.device());
  for (std::string* text :
       {&state.device.serial_number, &state.device.system_id, &state.device.identity,
        &state.device.board_name, &state.device.version}) {
    *text = Bounded(*text);
  }
  return CollectorMessage(std::move(state));
}

v1::Menu MenuToWire(counters::Menu menu) {
  return menu == counters::Menu::kSimple ? v1::MENU_SIMPLE : v1::MENU_TREE;
}

void Fill(const LeaseGrantMessage& grant, v1::LeaseGrant* out) {
  out->set_router_id(grant.router.value());
  out->set_lease_epoch(grant.lease_epoch);
  out->set_ttl_ms(grant.ttl_ms);
}

struct Encoder {
  v1::IngestResponse out;

  void operator()(const WelcomeMessage& welcome) {
    v1::Welcome* wire = out.mutable_welcome();
    wire->set_protocol_version(kProtocolVersion);
    wire->set_aggregator_time_us(welcome.aggregator_time_us);
    wire->set_aggregator_id(welcome.aggregator_id);
    wire->set_credit_bytes(welcome.credit_bytes);
    for (const RouterWelcome& router : welcome.routers) {
      v1::RouterWelcome* entry = wire->add_routers();
      entry->set_router_id(router.router.value());
      if (router.lease.has_value()) Fill(*router.lease, entry->mutable_lease());
      for (const ResumePoint& point : router.resume_points) {
        v1::ResumePoint* resume = entry->add_resume_points();
        resume->set_menu(MenuToWire(point.menu));
        resume->set_lease_epoch(point.position.lease_epoch);
        resume->set_spool_uuid(point.position.spool_uuid);
        resume->set_sequence(point.position.sequence);
      }
      for (const std::int64_t boundary : router.boundary_us) entry->add_boundary_us(boundary);
      entry->set_poll_interval_ms(router.poll_interval_ms);
    }
  }
  void operator()(const AckMessage& ack) {
    v1::Ack* wire = out.mutable_ack();
    wire->set_router_id(ack.router.value());
    wire->set_menu(MenuToWire(ack.menu));
    wire->set_lease_epoch(ack.lease_epoch);
    wire->set_sequence(ack.sequence);
    wire->set_aggregator_time_us(ack.aggregator_time_us);
    wire->set_superseded(ack.superseded);
  }
  void operator()(const RefusalMessage& refusal) {
    v1::Refusal* wire = out.mutable_refusal();
    wire->set_router_id(refusal.router.value());
    wire->set_menu(MenuToWire(refusal.menu));
    wire->set_sequence(refusal.sequence);
    wire->set_reason(static_cast<v1::RefusalReason>(refusal.reason));
    wire->set_detail(refusal.detail);
    wire->set_expected_sequence(refusal.expected_sequence);
  }
  void operator()(const LeaseGrantMessage& grant) { Fill(grant, out.mutable_grant()); }
  void operator()(const WithdrawalMessage& withdrawal) {
    v1::LeaseWithdrawal* wire = out.mutable_withdrawal();
    wire->set_router_id(withdrawal.router.value());
    wire->set_lease_epoch(withdrawal.lease_epoch);
    wire->set_reason(withdrawal.reason);
  }
  void operator()(const CreditMessage& credit) {
    out.mutable_credit()->set_credit_bytes(credit.credit_bytes);
  }
};

}  // namespace

absl::StatusOr<CollectorMessage> FromWire(std::shared_ptr<const v1::IngestRequest> request) {
  switch (request->message_case()) {
    case v1::IngestRequest::kHello:
      return HelloOf(request->hello());
    case v1::IngestRequest::kSnapshot:
      return SnapshotOf(std::move(request));
    case v1::IngestRequest::kRouterState:
      return StateOf(request->router_state());
    case v1::IngestRequest::kLeaseReport: {
      LeaseReportMessage report;
      NS_ASSIGN_OR_RETURN(std::string router, Id(request->lease_report().router_id(), "router_id"));
      report.router = base::RouterId(std::move(router));
      report.lease_epoch = request->lease_report().lease_epoch();
      report.waiting_snapshots = request->lease_report().waiting_snapshots();
      return CollectorMessage(std::move(report));
    }
    case v1::IngestRequest::MESSAGE_NOT_SET:
      break;
  }
  return Bad("nothing of it is known here");
}

v1::IngestResponse ToWire(const AggregatorMessage& message) {
  Encoder encoder;
  std::visit(encoder, message);
  return std::move(encoder.out);
}

v1::DeviceIdentity ToWire(const counters::DeviceIdentity& device) {
  v1::DeviceIdentity wire;
  wire.set_serial_number(device.serial_number);
  wire.set_system_id(device.system_id);
  wire.set_identity(device.identity);
  wire.set_board_name(device.board_name);
  wire.set_version(device.version);
  return wire;
}

}  // namespace netsentinel::ingest
