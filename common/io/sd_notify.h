#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace netsentinel::io {

// What a service manager is told about this process. Thread-safe.
class ServiceManager {
 public:
  virtual ~ServiceManager() = default;
  virtual void Ready() = 0;      // started, or a reload is over
  virtual void Reloading() = 0;  // a reload has begun
  virtual void Stopping() = 0;
  virtual void Status(absl::string_view sentence) = 0;  // for `systemctl status`
  virtual void WatchdogPing() = 0;
  // How often WatchdogPing() is expected; nothing when nobody watches.
  virtual std::optional<absl::Duration> WatchdogInterval() const = 0;
};

// systemd through $NOTIFY_SOCKET; does nothing when not started by systemd.
class SystemdNotifier final : public ServiceManager {
 public:
  void Ready() override;
  void Reloading() override;
  void Stopping() override;
  void Status(absl::string_view sentence) override;
  void WatchdogPing() override;
  // Half of systemd's limit, as its documentation advises.
  std::optional<absl::Duration> WatchdogInterval() const override;
};

}  // namespace netsentinel::io
