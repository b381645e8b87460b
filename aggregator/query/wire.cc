#include "aggregator/query/wire.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"

namespace netsentinel::query {
namespace {

void Fill(const base::TrafficBytes& bytes, v1::Traffic* out) {
  out->set_upload_bytes(bytes.upload);
  out->set_download_bytes(bytes.download);
}

constexpr std::uint64_t kMicrosPerSecond = 1'000'000;

// Blind time rounds up, observed time down: both err to the cautious side.
std::uint64_t SecondsUp(std::uint64_t us) {
  return us / kMicrosPerSecond + (us % kMicrosPerSecond != 0);
}

}  // namespace

v1::Name NameToWire(const std::string& raw) {
  v1::Name name;
  name.set_name(raw);
  name.set_display_name(base::DisplayName(raw));
  return name;
}

v1::SubscriberRef ToWire(const accounting::SubscriberKey& key) {
  v1::SubscriberRef wire;
  wire.set_site_id(key.site.value());
  wire.set_router_id(key.router.value());
  *wire.mutable_name() = NameToWire(key.name);
  return wire;
}

absl::StatusOr<accounting::SubscriberKey> FromWire(const v1::SubscriberRef& wire) {
  accounting::SubscriberKey key;
  key.site = base::SiteId(wire.site_id());
  key.router = base::RouterId(wire.router_id());
  NS_ASSIGN_OR_RETURN(key.name, NameFromWire(wire.name()));
  if (key.name.empty()) {
    return absl::InvalidArgumentError("subscriber: needs a name (name.name or name.display_name)");
  }
  return key;
}

absl::StatusOr<std::string> NameFromWire(const v1::Name& wire) {
  if (!wire.name().empty() || wire.display_name().empty()) return wire.name();
  return base::RawName(wire.display_name());
}

v1::Standing ToWire(const quota::Standing& standing) {
  v1::Standing wire;
  wire.set_quota_id(standing.quota_id);
  wire.set_period(static_cast<v1::QuotaPeriod>(standing.period));
  wire.set_basis(BasisToWire(standing.basis));
  wire.set_first_day(absl::FormatCivilTime(standing.begin));
  wire.set_last_day(absl::FormatCivilTime(standing.end));
  wire.set_limit_bytes(standing.limit_bytes);
  wire.set_used_bytes(standing.used_bytes);
  wire.set_counted_bytes(standing.counted_bytes);
  wire.set_percent(standing.percent);
  wire.set_counted_percent(standing.counted_percent);
  wire.set_remaining_bytes(standing.remaining_bytes);
  wire.set_state(static_cast<v1::StandingState>(standing.state));
  wire.set_counted_state(static_cast<v1::StandingState>(standing.counted_state));
  return wire;
}

v1::Observation ToWire(const Catalog::Site& site, const Observed& observed) {
  v1::Observation wire;
  wire.set_site_id(site.id.value());
  wire.set_time_zone(site.time_zone);
  wire.set_state(static_cast<v1::ObservationState>(observed.state));
  wire.set_reading_began_us(observed.began_us);
  wire.set_begin_us(observed.begin_us);
  wire.set_end_us(observed.end_us);
  for (const Observed::Router& router : observed.routers) {
    v1::ObservedRouter* out = wire.add_routers();
    out->set_router_id(router.id.value());
    out->set_reading_began_us(router.began_us);
    out->set_read(router.read);
  }
  return wire;
}

v1::Usage ToWire(const accounting::UsageSum& sum) {
  v1::Usage usage;
  Fill(sum.counted, usage.mutable_counted());
  Fill(sum.sure, usage.mutable_sure());
  Fill(sum.unseen, usage.mutable_unseen());
  Fill(sum.estimated, usage.mutable_estimated());
  usage.set_blind_seconds(SecondsUp(sum.blind_us));
  usage.set_observed_seconds(sum.observed_us / kMicrosPerSecond);
  usage.set_first_reading_us(sum.first_reading_us);
  usage.set_last_reading_us(sum.last_reading_us);
  usage.set_grade(static_cast<v1::Grade>(sum.grade));
  return usage;
}

void FillQueue(const accounting::QueueKey& key, v1::SubscriberQueue* queue) {
  queue->set_router_id(key.router.value());
  queue->set_menu(MenuToWire(key.menu));
  *queue->mutable_queue() = NameToWire(key.name);
}

v1::QueueEvidence ToWire(const accounting::Book::RowEvidence& evidence) {
  v1::QueueEvidence wire;
  FillQueue(evidence.queue, wire.mutable_queue());
  wire.set_segment(evidence.segment);
  for (const accounting::ExplanationTotal& total : evidence.evidence.totals) {
    v1::ExplainedBytes* out = wire.add_totals();
    out->set_explanation(static_cast<v1::Explanation>(total.explanation));
    out->set_steps(total.steps);
    Fill(total.at_stake, out->mutable_bytes());
  }
  wire.set_steps_left_out(evidence.evidence.StepsLeftOut());
  for (const accounting::DisputedStep& step : evidence.evidence.steps) {
    v1::DisputedStep* out = wire.add_steps();
    out->set_from_us(step.from_us);
    out->set_to_us(step.to_us);
    Fill(step.before, out->mutable_before());
    Fill(step.now, out->mutable_now());
    out->set_counted_as(static_cast<v1::Explanation>(step.counted_as));
    Fill(step.counted, out->mutable_counted());
    Fill(step.doubt, out->mutable_doubt());
    Fill(step.unseen, out->mutable_unseen());
    for (const auto& [explanation, bytes] : step.possible) {
      v1::ExplainedBytes* possible = out->add_possible();
      possible->set_explanation(static_cast<v1::Explanation>(explanation));
      Fill(bytes, possible->mutable_bytes());
    }
  }
  return wire;
}

v1::Epoch ToWire(const accounting::EpochRecord& epoch) {
  v1::Epoch wire;
  FillQueue(epoch.queue, wire.mutable_queue());
  wire.set_start_us(epoch.start_us);
  wire.set_reason(static_cast<v1::EpochReason>(epoch.reason));
  return wire;
}

std::string DetailToWire(const std::string& detail) {
  return base::IsValidUtf8(detail) ? detail : base::DisplayName(detail);
}

v1::Event ToWire(const store::StoredEvent& event) {
  v1::Event wire;
  wire.set_event_id(event.event_id);
  wire.set_at_us(event.event.at_us);
  wire.set_router_id(event.event.router.value());
  wire.set_menu(MenuToWire(event.event.menu));
  *wire.mutable_queue() = NameToWire(event.event.queue);
  wire.set_kind(event.event.kind);
  wire.set_detail(DetailToWire(event.event.detail));
  return wire;
}

v1::BreachRecord ToWire(const store::BreachRow& row) {
  v1::BreachRecord wire;
  wire.set_breach_id(row.breach_id);
  *wire.mutable_subscriber() = ToWire(row.subscriber);
  wire.set_quota_id(row.quota_id);
  wire.set_period_start(absl::FormatCivilTime(row.period_start));
  wire.set_threshold_percent(row.threshold_percent);
  wire.set_limit_bytes(row.limit_bytes);
  Fill(row.used, wire.mutable_used());
  wire.set_crossed_at_us(row.crossed_at_us);
  wire.set_delivery(static_cast<v1::DeliveryState>(row.delivery));
  wire.set_delivery_detail(DetailToWire(row.delivery_detail));
  wire.set_period(static_cast<v1::QuotaPeriod>(row.period));
  wire.set_basis(static_cast<v1::QuotaBasis>(row.basis));
  const auto basis = static_cast<quota::Basis>(row.basis);
  wire.set_used_bytes(quota::Amount(basis, row.used));
  wire.set_used_percent(quota::PercentOf(wire.used_bytes(), row.limit_bytes));
  wire.set_time_zone(row.time_zone);
  return wire;
}

v1::Quota ToWire(const quota::Rule& rule) {
  v1::Quota wire;
  wire.set_quota_id(rule.id);
  wire.set_period(static_cast<v1::QuotaPeriod>(rule.period));
  wire.set_basis(BasisToWire(rule.basis));
  wire.set_limit_bytes(rule.limit_bytes);
  wire.set_unlimited(rule.unlimited);
  for (const std::uint32_t percent : rule.thresholds_percent) wire.add_threshold_percent(percent);
  return wire;
}

v1::QuotaOverride ToWire(const store::QuotaOverrideRow& row) {
  v1::QuotaOverride wire;
  *wire.mutable_subscriber() = ToWire(row.subscriber);
  wire.set_quota_id(row.quota_id);
  wire.set_limit_bytes(row.limit_bytes);
  wire.set_unlimited(row.unlimited);
  wire.set_changed_at_us(row.changed_at_us);
  wire.set_changed_by(row.changed_by);
  return wire;
}

v1::Menu MenuToWire(counters::Menu menu) {
  return menu == counters::Menu::kSimple ? v1::MENU_SIMPLE : v1::MENU_TREE;
}

// Texts of a device come escaped from the collector.
v1::DeviceIdentity DeviceToWire(const counters::DeviceIdentity& device) {
  v1::DeviceIdentity wire;
  wire.set_serial_number(DetailToWire(device.serial_number));
  wire.set_system_id(DetailToWire(device.system_id));
  wire.set_identity(device.identity);
  wire.set_board_name(DetailToWire(device.board_name));
  wire.set_version(DetailToWire(device.version));
  return wire;
}

absl::StatusOr<quota::Basis> BasisFromWire(v1::QuotaBasis basis) {
  switch (basis) {
    case v1::QUOTA_BASIS_UNSPECIFIED:
    case v1::QUOTA_BASIS_TOTAL:
      return quota::Basis::kTotal;
    case v1::QUOTA_BASIS_DOWNLOAD:
      return quota::Basis::kDownload;
    case v1::QUOTA_BASIS_UPLOAD:
      return quota::Basis::kUpload;
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("order_by: ", static_cast<int>(basis), " is not a quota basis"));
  }
}

v1::QuotaBasis BasisToWire(quota::Basis basis) {
  switch (basis) {
    case quota::Basis::kDownload:
      return v1::QUOTA_BASIS_DOWNLOAD;
    case quota::Basis::kUpload:
      return v1::QUOTA_BASIS_UPLOAD;
    case quota::Basis::kTotal:
      return v1::QUOTA_BASIS_TOTAL;
  }
  return v1::QUOTA_BASIS_UNSPECIFIED;
}

}  // namespace netsentinel::query
