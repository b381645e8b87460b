#pragma once

#include <functional>
#include <string>

#include "common/base/mutex.h"
#include "common/shell/shell.h"
#include "notifier/app/settings.h"

namespace netsentinel::app {

// netsentinel-notifier in the process shell. A reload takes over smtp, alerts and reports.
class NotifierApp final : public shell::Program<NotifierSettings> {
 public:
  NotifierSettings Read(config::Section root) override { return ReadNotifierSettings(root); }
  absl::Status Check(const NotifierSettings& settings) override;
  absl::Status Run(const NotifierSettings& settings, shell::Context& context) override;
  absl::Status Reload(const NotifierSettings& settings, shell::Context& context) override;

 private:
  base::Mutex mutex_;
  // What a reload compares with.
  NotifierSettings running_ ABSL_GUARDED_BY(mutex_);
  // Set while Run has something to give new settings to.
  std::function<absl::Status(const NotifierSettings&)> take_settings_ ABSL_GUARDED_BY(mutex_);
  // With take_settings_: what came of a reload, for the audit log.
  std::function<void(const absl::Status&)> note_reload_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::app
