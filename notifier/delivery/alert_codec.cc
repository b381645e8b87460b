#include "notifier/delivery/alert_codec.h"

#include <optional>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/base/varint.h"

namespace netsentinel::delivery {
namespace {

constexpr std::uint64_t kVersion = 1;

}  // namespace

std::string EncodeAlert(const report::Alert& alert) {
  std::string out;
  base::AppendVarint(out, kVersion);
  for (const std::string* text :
       {&alert.breach_id, &alert.site_id, &alert.router_id, &alert.name, &alert.quota_id,
        &alert.period_start, &alert.time_zone, &alert.crossed_at_local}) {
    base::AppendBytes(out, *text);
  }
  base::AppendVarint(out, static_cast<std::uint64_t>(alert.period));
  base::AppendVarint(out, static_cast<std::uint64_t>(alert.basis));
  base::AppendVarint(out, alert.limit_bytes);
  base::AppendVarint(out, alert.threshold_percent);
  base::AppendVarint(out, alert.used.upload);
  base::AppendVarint(out, alert.used.download);
  base::AppendVarint(out, base::ZigZag(absl::ToUnixMicros(alert.crossed_at)));
  return out;
}

absl::StatusOr<report::Alert> DecodeAlert(absl::string_view bytes) {
  base::ByteReader reader(bytes);
  report::Alert alert;
  if (reader.Varint() != kVersion) {
    return absl::DataLossError("delivery queue: a stored alert has an unknown version");
  }
  for (std::string* text :
       {&alert.breach_id, &alert.site_id, &alert.router_id, &alert.name, &alert.quota_id,
        &alert.period_start, &alert.time_zone, &alert.crossed_at_local}) {
    *text = std::string(reader.Bytes().value_or(""));
  }
  const std::uint64_t period = reader.Varint().value_or(0);
  const std::uint64_t basis = reader.Varint().value_or(0);
  alert.limit_bytes = reader.Varint().value_or(0);
  const std::uint64_t percent = reader.Varint().value_or(0);
  alert.used.upload = reader.Varint().value_or(0);
  alert.used.download = reader.Varint().value_or(0);
  const std::uint64_t crossed = reader.Varint().value_or(0);
  if (!reader.done() || period > static_cast<std::uint64_t>(report::QuotaPeriod::kMonth) ||
      basis > static_cast<std::uint64_t>(report::QuotaBasis::kTotal) || percent > 0xFFFFFFFF) {
    return absl::DataLossError("delivery queue: a stored alert is damaged");
  }
  alert.period = static_cast<report::QuotaPeriod>(period);
  alert.basis = static_cast<report::QuotaBasis>(basis);
  alert.threshold_percent = static_cast<std::uint32_t>(percent);
  alert.crossed_at = absl::FromUnixMicros(base::UnZigZag(crossed));
  return alert;
}

}  // namespace netsentinel::delivery
