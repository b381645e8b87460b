#include "collector/spool/spool_keeper.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace netsentinel::spool {
namespace {

constexpr absl::Duration kTrimInterval = absl::Minutes(1);

}  // namespace

SpoolKeeper::SpoolKeeper(SpoolOptions options, const base::Clock& clock, base::RandomSource& random,
                         log::Logger& logger, PendingLimits limits)
    : options_(std::move(options)),
      clock_(clock),
      random_(random),
      logger_(logger),
      pending_(limits),
      backoff_({.initial = absl::Milliseconds(500), .maximum = absl::Seconds(30)}, random) {}

absl::Status SpoolKeeper::Start() {
  Open();
  if (spool_ != nullptr) return absl::OkStatus();
  if (absl::IsResourceExhausted(health_)) return absl::OkStatus();
  return health_;
}

void SpoolKeeper::Open() {
  absl::StatusOr<std::unique_ptr<Spool>> opened = Spool::Open(options_, clock_, random_);
  if (!opened.ok()) {
    Report(opened.status());
    retry_at_ = clock_.MonotonicNow() + backoff_.NextDelay();
    return;
  }
  spool_ = *std::move(opened);
  LogIncidents();
  WritePending();
}

void SpoolKeeper::Take(NewRow row) {
  std::vector<NewRow> rows;
  rows.push_back(std::move(row));
  Take(std::move(rows));
}

void SpoolKeeper::Take(std::vector<NewRow> rows) {
  if (health_.ok() && spool_ != nullptr && pending_.empty()) {
    const auto written = spool_->Append(rows);
    if (written.ok()) return;
    for (NewRow& row : rows) pending_.Add(std::move(row));
    Fail(written.status());
    return;
  }
  for (NewRow& row : rows) pending_.Add(std::move(row));
  if (health_.ok()) WritePending();
}

void SpoolKeeper::WritePending() {
  if (spool_ == nullptr) return;
  if (!pending_.empty()) {
    const std::vector<NewRow> rows = pending_.All();
    const auto written = spool_->Append(rows);
    if (!written.ok()) {
      Fail(written.status());
      return;
    }
    pending_.Clear();
  }
  backoff_.Reset();
  Report(absl::OkStatus());
}

void SpoolKeeper::Tick() {
  const absl::Duration now = clock_.MonotonicNow();
  if (!health_.ok()) {
    if (now < retry_at_) return;
    if (spool_ == nullptr) {
      Open();
    } else {
      WritePending();
    }
    return;
  }
  if (spool_ != nullptr && now >= trim_at_) {
    trim_at_ = now + kTrimInterval;
    if (const absl::Status status = spool_->Trim(); !status.ok()) Fail(status);
  }
  if (spool_ != nullptr) LogIncidents();
}

void SpoolKeeper::Fail(const absl::Status& status) {
  // After a failed write or fsync the page cache and the file may differ: only a fresh open tells.
  // A full disk is the one failure that SQLite rolls back cleanly.
  if (!absl::IsResourceExhausted(status)) spool_.reset();
  Report(status);
  retry_at_ = clock_.MonotonicNow() + backoff_.NextDelay();
}

void SpoolKeeper::Report(const absl::Status& status) {
  const bool was_ok = health_.ok();
  if (status.ok() && !was_ok) {
    logger_.Info("spool.recovered", "readings are written to disk again",
                 {{"replaced_in_memory", pending_.replaced()}});
  }
  if (!status.ok() && was_ok) {
    logger_.Error("spool.failing",
                  "readings stay in memory: polling goes on, time resolution is lost, bytes are "
                  "not; free the disk or raise the limit named in the error",
                  {{"folder", options_.folder}, {"error", status}});
  }
  health_ = status;
}

void SpoolKeeper::LogIncidents() {
  for (const SpoolIncident& incident : spool_->TakeIncidents()) {
    switch (incident.kind) {
      case SpoolIncident::Kind::kRestored:
        logger_.Warn("spool.restored", incident.detail);
        break;
      case SpoolIncident::Kind::kDamaged:
        logger_.Error("spool.damaged", incident.detail);
        break;
      case SpoolIncident::Kind::kSetAside:
        logger_.Error("spool.row_set_aside", incident.detail);
        break;
    }
  }
}

}  // namespace netsentinel::spool
