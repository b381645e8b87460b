#include "aggregator/store/limits.h"

#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"

#include "common/base/bytes.h"
#include "common/base/display_name.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

absl::Status CheckLength(const char* what, const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(what, " \"", base::DisplayName(text.substr(0, 40)),
                                                 "…\" has ", text.size(), " bytes, at most ", limit,
                                                 " fit"));
}

absl::Status CheckNumber(const char* what, std::uint64_t value) {
  if (value <= base::kMaxStoredBytes) return absl::OkStatus();
  return absl::OutOfRangeError(absl::StrCat(what, " ", value, " is past 2^63-1"));
}

absl::Status CheckDay(absl::CivilDay day) {
  if (day.year() >= 1970 && day.year() <= 9999) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("day ", absl::FormatCivilTime(day), " is outside 1970 to 9999"));
}

absl::Status CheckBytes(const char* what, const base::TrafficBytes& bytes) {
  NS_RETURN_IF_ERROR(CheckNumber(what, bytes.upload));
  return CheckNumber(what, bytes.download);
}

absl::Status CheckQueue(const accounting::QueueKey& key) {
  NS_RETURN_IF_ERROR(ValidateId("router", key.router.value()));
  return CheckLength("queue name", key.name, kMaxNameBytes);
}

absl::Status CheckJournal(const JournalRow& row) {
  NS_RETURN_IF_ERROR(ValidateId("router", row.router.value()));
  NS_RETURN_IF_ERROR(CheckNumber("journal id", row.journal_id));
  NS_RETURN_IF_ERROR(CheckNumber("lease epoch", row.position.lease_epoch));
  NS_RETURN_IF_ERROR(CheckNumber("sequence", row.position.sequence));
  NS_RETURN_IF_ERROR(CheckNumber("previous sequence", row.previous_sequence));
  NS_RETURN_IF_ERROR(CheckLength("spool uuid", row.position.spool_uuid, kMaxSpoolUuidBytes));
  if (row.payload.size() > kMaxPayloadBytes) {
    return absl::InvalidArgumentError(absl::StrCat("journal row of router ", row.router.value(),
                                                   " has ", row.payload.size(), " bytes, at most ",
                                                   kMaxPayloadBytes, " fit"));
  }
  return absl::OkStatus();
}

absl::Status CheckBreach(const BreachRow& row) {
  NS_RETURN_IF_ERROR(ValidateId("breach id", row.breach_id));
  NS_RETURN_IF_ERROR(store::Validate(row.subscriber));
  NS_RETURN_IF_ERROR(ValidateId("quota id", row.quota_id));
  NS_RETURN_IF_ERROR(ValidateId("time zone", row.time_zone));
  NS_RETURN_IF_ERROR(CheckDay(row.period_start));
  NS_RETURN_IF_ERROR(CheckNumber("limit", row.limit_bytes));
  return CheckBytes("used bytes of a breach", row.used);
}

absl::Status CheckUsage(const StoredUsage& usage) {
  const accounting::UsageRow& row = usage.row;
  NS_RETURN_IF_ERROR(CheckNumber("queue id", usage.queue_id));
  NS_RETURN_IF_ERROR(CheckNumber("subscriber id", usage.subscriber_id));
  NS_RETURN_IF_ERROR(CheckDay(row.day));
  // One comparison in the usual case: 50,000 rows pass here each flush.
  std::uint64_t all = row.blind_us | row.observed_us;
  for (const base::TrafficBytes& bytes : {row.counted, row.doubt, row.unseen, row.begin_inside,
                                          row.begin_outside, row.end_inside, row.end_outside}) {
    all |= bytes.upload | bytes.download;
  }
  if (all <= base::kMaxStoredBytes) return absl::OkStatus();
  NS_RETURN_IF_ERROR(CheckBytes("usage", row.counted));
  NS_RETURN_IF_ERROR(CheckBytes("doubt", row.doubt));
  NS_RETURN_IF_ERROR(CheckBytes("unseen bytes", row.unseen));
  NS_RETURN_IF_ERROR(CheckBytes("bytes across the begin", row.begin_inside));
  NS_RETURN_IF_ERROR(CheckBytes("bytes across the begin", row.begin_outside));
  NS_RETURN_IF_ERROR(CheckBytes("bytes across the end", row.end_inside));
  NS_RETURN_IF_ERROR(CheckBytes("bytes across the end", row.end_outside));
  NS_RETURN_IF_ERROR(CheckNumber("blind time", row.blind_us));
  return CheckNumber("observed time", row.observed_us);
}

}  // namespace

absl::Status ValidateId(const char* what, const std::string& id) {
  NS_RETURN_IF_ERROR(CheckLength(what, id, kMaxIdBytes));
  if (base::IsValidUtf8(id)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what, " \"", base::DisplayName(id), "\" is not UTF-8"));
}

absl::Status Validate(const accounting::SubscriberKey& key) {
  NS_RETURN_IF_ERROR(ValidateId("site", key.site.value()));
  NS_RETURN_IF_ERROR(ValidateId("router", key.router.value()));
  return CheckLength("subscriber name", key.name, kMaxNameBytes);
}

absl::Status Validate(const accounting::EventRecord& event) {
  NS_RETURN_IF_ERROR(ValidateId("router", event.router.value()));
  NS_RETURN_IF_ERROR(ValidateId("kind of event", event.kind));
  return CheckLength("queue name", event.queue, kMaxNameBytes);
}

absl::Status Validate(const AuditRow& row) {
  if (row.entry_id.empty() || row.action.empty()) {
    return absl::InvalidArgumentError("an audit entry needs an id and an action");
  }
  NS_RETURN_IF_ERROR(ValidateId("entry id", row.entry_id));
  NS_RETURN_IF_ERROR(ValidateId("action", row.action));
  NS_RETURN_IF_ERROR(CheckLength("program", row.program, kMaxHolderBytes));
  NS_RETURN_IF_ERROR(ValidateId("role", row.role));
  NS_RETURN_IF_ERROR(ValidateId("name", row.name));
  NS_RETURN_IF_ERROR(ValidateId("serial number", row.serial));
  return ValidateId("fingerprint", row.fingerprint);
}

absl::Status Validate(const CommitBatch& batch) {
  for (const JournalRow& row : batch.journal) NS_RETURN_IF_ERROR(CheckJournal(row));
  for (const ReadDay& read : batch.read_days) {
    NS_RETURN_IF_ERROR(ValidateId("site", read.site.value()));
    NS_RETURN_IF_ERROR(ValidateId("router", read.router.value()));
    NS_RETURN_IF_ERROR(CheckDay(read.day));
  }
  for (const FirstReading& first : batch.first_readings) {
    NS_RETURN_IF_ERROR(ValidateId("site", first.site.value()));
    NS_RETURN_IF_ERROR(ValidateId("router", first.router.value()));
  }
  for (const auto& epoch : batch.epochs) NS_RETURN_IF_ERROR(CheckQueue(epoch.queue));
  for (const auto& hold : batch.holds) NS_RETURN_IF_ERROR(CheckQueue(hold.queue));
  for (const auto& event : batch.events) NS_RETURN_IF_ERROR(Validate(event));
  for (const BreachRow& breach : batch.breaches) NS_RETURN_IF_ERROR(CheckBreach(breach));
  return absl::OkStatus();
}

absl::Status Validate(const FlushBatch& batch) {
  for (const QueueRow& row : batch.queues) {
    NS_RETURN_IF_ERROR(CheckNumber("queue id", row.queue_id));
    NS_RETURN_IF_ERROR(CheckQueue(row.key));
  }
  for (const SubscriberRow& row : batch.subscribers) {
    NS_RETURN_IF_ERROR(CheckNumber("subscriber id", row.subscriber_id));
    NS_RETURN_IF_ERROR(Validate(row.key));
  }
  for (const StoredUsage& usage : batch.usage) NS_RETURN_IF_ERROR(CheckUsage(usage));
  for (const CheckpointPart& part : batch.checkpoints) {
    NS_RETURN_IF_ERROR(CheckLength("state key", part.state_key, kMaxStateKeyBytes));
    NS_RETURN_IF_ERROR(CheckLength("checkpoint", part.payload, kMaxPayloadBytes));
  }
  for (const FlushBatch::Reopened& reopened : batch.reopened_days) {
    NS_RETURN_IF_ERROR(ValidateId("router", reopened.router.value()));
    NS_RETURN_IF_ERROR(CheckDay(reopened.first));
  }
  for (const DayClose& close : batch.closed_days) {
    NS_RETURN_IF_ERROR(ValidateId("router", close.router.value()));
    NS_RETURN_IF_ERROR(CheckDay(close.day));
  }
  for (const FlushBatch::Trim& trim : batch.trims) {
    NS_RETURN_IF_ERROR(CheckNumber("journal id", trim.journal_id));
  }
  NS_RETURN_IF_ERROR(CheckNumber("next queue id", batch.next_queue_id));
  return CheckNumber("next subscriber id", batch.next_subscriber_id);
}

std::string StorableText(const std::string& text) {
  std::string result = base::IsValidUtf8(text) ? text : base::DisplayName(text);
  if (result.size() <= kMaxDetailBytes) return result;
  std::size_t end = kMaxDetailBytes;
  while (end > 0 && (static_cast<unsigned char>(result[end]) & 0xC0) == 0x80) --end;
  result.resize(end);
  return result;
}

bool IsAfter(const counters::SnapshotPosition& position, const counters::SnapshotPosition& newest) {
  if (position.spool_uuid == newest.spool_uuid) return position.sequence > newest.sequence;
  return position.lease_epoch > newest.lease_epoch;
}

}  // namespace netsentinel::store
