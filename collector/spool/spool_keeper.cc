#include "collector/spool/spool_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"

namespace netsentinel::spool {
namespace {

constexpr absl::Duration kTrimInterval = absl::Minutes(1);
// Written at once, so that a long backlog is neither all or nothing nor in memory twice.
constexpr std::uint64_t kSliceBytes = std::uint64_t{4} << 20;

// More than half the spool would have no chance to be written.
PendingLimits Within(PendingLimits limits, const SpoolOptions& options) {
  limits.bytes_max = std::min(limits.bytes_max, options.bytes_max / 2);
  return limits;
}

std::uint64_t PayloadBytes(const std::vector<NewRow>& rows) {
  std::uint64_t bytes = 0;
  for (const NewRow& row : rows) bytes += row.payload.size();
  return bytes;
}

}  // namespace

SpoolKeeper::SpoolKeeper(SpoolOptions options, const base::Clock& clock, base::RandomSource& random,
                         log::Logger& logger, PendingLimits limits)
    : options_(std::move(options)),
      clock_(clock),
      random_(random),
      logger_(logger),
      pending_(Within(limits, options_)),
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
  KeepLeasesToTheirSpool();
  WritePending();
}

void SpoolKeeper::Take(NewRow row) {
  std::vector<NewRow> rows;
  rows.push_back(std::move(row));
  Take(std::move(rows));
}

void SpoolKeeper::Take(std::vector<NewRow> rows) {
  KeepLeasesToTheirSpool();
  std::vector<NewRow> direct;
  for (NewRow& row : rows) {
    // Behind what waits, so that a menu's readings stay in order.
    if (spool_ == nullptr || pending_.Has(row.key)) {
      pending_.Add(std::move(row));
    } else {
      direct.push_back(std::move(row));
    }
  }
  if (direct.empty()) return;
  const absl::Status written = spool_->Append(direct).status();
  if (written.ok()) return;
  for (NewRow& row : direct) pending_.Add(std::move(row));
  if (absl::IsResourceExhausted(written)) {
    // One menu that is out of room takes none of the others with it.
    WritePending();
  } else {
    Fail(written);
  }
}

// A lease is granted to a spool: under another uuid its epoch would stand for nothing.
void SpoolKeeper::KeepLeasesToTheirSpool() {
  if (spool_ == nullptr || spool_->uuid() == spool_uuid_) return;
  if (!spool_uuid_.empty()) pending_.ForgetLeaseEpochs();
  spool_uuid_ = spool_->uuid();
}

void SpoolKeeper::WritePending() {
  absl::Status stays;
  bool disk_full = false;
  for (const MenuKey& key : pending_.Menus()) {
    const absl::Status status = WritePending(key, disk_full);
    if (status.ok()) continue;
    if (!absl::IsResourceExhausted(status)) return Fail(status);
    stays = status;
    if (disk_full) break;
  }
  if (!stays.ok()) return Fail(stays);
  backoff_.Reset();
  Report(absl::OkStatus());
}

absl::Status SpoolKeeper::WritePending(const MenuKey& key, bool& disk_full) {
  while (pending_.Has(key)) {
    std::vector<NewRow> rows = pending_.Oldest(key, kSliceBytes);
    if (rows.size() > 1 && !spool_->Admit(key, PayloadBytes(rows)).ok()) rows.resize(1);
    NS_RETURN_IF_ERROR(spool_->Admit(key, PayloadBytes(rows)));
    const absl::Status written = spool_->Append(rows).status();
    if (!written.ok()) {
      disk_full = absl::IsResourceExhausted(written);
      return written;
    }
    pending_.Remove(key, rows.size());
    wrote_pending_ = true;
  }
  return absl::OkStatus();
}

bool SpoolKeeper::Tick() {
  const absl::Duration now = clock_.MonotonicNow();
  if (pending_.lost() > lost_reported_) {
    logger_.Error("spool.readings_lost",
                  "readings in memory passed their limit and could not be merged: what only they "
                  "showed is lost; free the disk or raise the limit named in spool.failing",
                  {{"readings", pending_.lost() - lost_reported_}});
    lost_reported_ = pending_.lost();
  }
  if (!health_.ok() && now >= retry_at_) {
    if (spool_ == nullptr) {
      Open();
    } else {
      KeepLeasesToTheirSpool();
      WritePending();
    }
  }
  if (spool_ != nullptr && now >= trim_at_) {
    trim_at_ = now + kTrimInterval;
    const absl::Status status = spool_->Trim();
    if (!status.ok() && !absl::IsResourceExhausted(status)) Fail(status);
  }
  if (spool_ != nullptr) LogIncidents();
  return std::exchange(wrote_pending_, false);
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
                 {{"merged_in_memory", pending_.merged()}, {"lost", pending_.lost()}});
  }
  if (!status.ok() && was_ok) {
    logger_.Error("spool.failing",
                  "readings stay in memory: polling continues, time resolution is lost, bytes are "
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
      case SpoolIncident::Kind::kMended:
        logger_.Warn("spool.mended", incident.detail);
        break;
      case SpoolIncident::Kind::kSetAside:
        logger_.Error("spool.row_set_aside", incident.detail);
        break;
    }
  }
}

}  // namespace netsentinel::spool
