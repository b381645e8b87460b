#include "common/io/sd_notify.h"

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include <systemd/sd-daemon.h>

#include "common/base/display_name.h"
#include "common/io/system_clock.h"

namespace netsentinel::io {

void SystemdNotifier::Ready() { sd_notify(0, "READY=1"); }

void SystemdNotifier::Reloading() {
  const std::string state = absl::StrCat("RELOADING=1\nMONOTONIC_USEC=",
                                         absl::ToInt64Microseconds(SystemClock().MonotonicNow()));
  sd_notify(0, state.c_str());
}

void SystemdNotifier::Stopping() { sd_notify(0, "STOPPING=1"); }

void SystemdNotifier::Status(absl::string_view sentence) {
  // Escaped: a newline would start another assignment.
  sd_notify(0, absl::StrCat("STATUS=", base::DisplayName(sentence)).c_str());
}

void SystemdNotifier::WatchdogPing() { sd_notify(0, "WATCHDOG=1"); }

std::optional<absl::Duration> SystemdNotifier::WatchdogInterval() const {
  std::uint64_t microseconds = 0;
  if (sd_watchdog_enabled(0, &microseconds) <= 0) return std::nullopt;
  return absl::Microseconds(static_cast<std::int64_t>(microseconds / 2));
}

}  // namespace netsentinel::io
