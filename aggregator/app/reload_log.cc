#include "aggregator/app/reload_log.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"

#include "common/io/uuid.h"

namespace netsentinel::app {
namespace {

constexpr auto kTryAgain = std::chrono::seconds(2);

}  // namespace

ReloadLog::ReloadLog(query::StoreSlot& store, std::function<std::optional<store::Fence>()> fence,
                     const base::Clock& clock, base::RandomSource& random, log::Logger& logger)
    : store_(store),
      fence_(std::move(fence)),
      clock_(clock),
      random_(random),
      logger_(logger),
      thread_([this](const std::stop_token& stop) { Run(stop); }) {}

ReloadLog::~ReloadLog() = default;

void ReloadLog::Note(const absl::Status& outcome) {
  store::AuditRow row;
  row.entry_id = io::FormatUuid(io::NewUuid(random_));
  row.at_us = absl::ToUnixMicros(clock_.WallNow());
  row.program = "aggregator";
  row.role = "local";
  row.address = "SIGHUP";
  row.action = "config.reload";
  row.subject = "the configuration file";
  row.after = outcome.ok() ? "taken over" : absl::StrCat("refused: ", outcome.message());
  base::MutexLock lock(mutex_);
  rows_.push_back(std::move(row));
  if (rows_.size() > kMostWaiting) rows_.pop_front();
  changed_.notify_all();
}

void ReloadLog::Run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    store::AuditRow row;
    {
      base::MutexLock lock(mutex_);
      if (!changed_.wait(lock.native(), stop,
                         [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !rows_.empty(); })) {
        return;
      }
      row = rows_.front();
    }
    const bool written = Write(row);
    base::MutexLock lock(mutex_);
    if (written) {
      // It may have been left out meanwhile.
      if (!rows_.empty() && rows_.front().entry_id == row.entry_id) rows_.pop_front();
    } else {
      changed_.wait_for(lock.native(), stop, kTryAgain, [] { return false; });
    }
  }
}

bool ReloadLog::Write(const store::AuditRow& row) {
  const std::optional<store::Fence> fence = fence_();
  if (!fence.has_value()) return false;
  const absl::Status status =
      store_.Ask([&](store::Store& store) { return store.AppendAudit(*fence, {row}); });
  // Under its id it is stored once, however often it is brought.
  if (status.ok()) return true;
  if (!absl::IsInvalidArgument(status)) return false;
  logger_.Error("audit.reload_lost", "a reload cannot be written into the audit log",
                {{"outcome", row.after}, {"status", status}});
  return true;
}

}  // namespace netsentinel::app
