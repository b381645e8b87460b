#pragma once

#include <functional>

#include "absl/status/status.h"

#include "collector/app/settings.h"
#include "common/base/mutex.h"
#include "common/shell/shell.h"

namespace netsentinel::app {

// netsentinel-collector: reads routers, keeps what it read on disk, hands it to the aggregator.
class CollectorApp final : public shell::Program<CollectorSettings> {
 public:
  CollectorSettings Read(config::Section root) override {
    return ReadCollectorSettings(std::move(root));
  }
  absl::Status Check(const CollectorSettings& settings) override;
  absl::Status Run(const CollectorSettings& settings, shell::Context& context) override;
  // Takes over `routers`; anything else needs a restart.
  absl::Status Reload(const CollectorSettings& settings, shell::Context& context) override;

 private:
  base::Mutex mutex_;
  // What reload compares with, and how it hands routers over; empty unless running.
  CollectorSettings running_ ABSL_GUARDED_BY(mutex_);
  std::function<void(const CollectorSettings&)> take_routers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::app
