#pragma once

#include <functional>

#include "aggregator/app/settings.h"
#include "common/base/mutex.h"
#include "common/shell/shell.h"

namespace netsentinel::app {

// netsentinel-aggregator in the process shell.
class AggregatorApp final : public shell::Program<AggregatorSettings> {
 public:
  AggregatorSettings Read(config::Section root) override { return ReadAggregatorSettings(root); }
  absl::Status Check(const AggregatorSettings& settings) override;
  absl::Status Run(const AggregatorSettings& settings, shell::Context& context) override;
  absl::Status Reload(const AggregatorSettings& settings, shell::Context& context) override;

 private:
  base::Mutex mutex_;
  // Set while Run has an engine to give a new policy to.
  std::function<void(const AggregatorSettings&)> take_policy_ ABSL_GUARDED_BY(mutex_);
  // With take_policy_: what came of a reload, for the audit log.
  std::function<void(const absl::Status&)> note_reload_ ABSL_GUARDED_BY(mutex_);
  // What a reload compares with.
  AggregatorSettings running_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::app
