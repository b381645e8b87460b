#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/config/section.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"
#include "common/shell/certificate_watch.h"

namespace netsentinel::shell {

// The exit codes of a process.
inline constexpr int kExitClean = 0;
inline constexpr int kExitFailed = 1;        // it could not do its work, or the probe said no
inline constexpr int kExitUsage = 2;         // wrong flags or configuration
inline constexpr int kExitDrainTimeout = 3;  // it did not stop in time and was cut off

// How long a process may take to stop after SIGTERM.
inline constexpr absl::Duration kDrainLimit = absl::Seconds(10);

// What a running program is given. All of it outlives Run(), and is thread-safe.
struct Context {
  const base::Clock& clock;
  base::RandomSource& random;
  log::Logger& logger;
  metrics::Registry& metrics;
  http::Readiness& readiness;
  http::Liveness& liveness;
  // To be told of the connections whose certificates are in use.
  CertificateWatch& certificates;
  // Requested by SIGTERM or SIGINT: finish what was begun, within kDrainLimit, and return.
  std::stop_token stop;
  // To be called once, when everything that listens does: {{"grpc", port}, {"web", port}}. Tells
  // systemd, writes --ports-file (the HTTP port is added), logs. Not a promise of readiness: do not
  // wait for others (a database) before it, since systemd ends what does not start in time. Until
  // then the process is not ready.
  std::function<absl::Status(const std::map<std::string, std::uint16_t>& ports)> started;
};

// What the shell needs of a program; derive from Program<Settings> below instead.
class AnyProgram {
 public:
  using AnySettings = std::shared_ptr<void>;

  virtual ~AnyProgram() = default;
  virtual AnySettings ReadAny(config::Section root) = 0;
  virtual absl::Status CheckAny(const AnySettings& settings) = 0;
  virtual absl::Status RunAny(const AnySettings& settings, Context& context) = 0;
  virtual absl::Status ReloadAny(const AnySettings& settings, Context& context) = 0;
};

// A program with its settings, a plain struct.
template <typename Settings>
class Program : public AnyProgram {
 public:
  // Reads all settings. Mistakes go to the section, the result is then thrown away. The shell has
  // read `log` and `listen.http`; reading them again is fine. Must not act on anything.
  virtual Settings Read(config::Section root) = 0;
  // Checks what the file alone cannot show: that secrets and certificates can be read. For
  // --check-config, before Run and before Reload.
  virtual absl::Status Check(const Settings& settings) = 0;
  // Does the work until context.stop is requested; on a thread of its own. A status that is not
  // OK ends the process with kExitFailed.
  virtual absl::Status Run(const Settings& settings, Context& context) = 0;
  // Takes over new settings after SIGHUP, while Run() runs on another thread: what cannot change
  // in a running process is refused in words, and the old settings stay. Not called before
  // context.started. The shell itself takes over `log`.
  virtual absl::Status Reload(const Settings& settings, Context& context) = 0;

 private:
  AnySettings ReadAny(config::Section root) final {
    return std::make_shared<Settings>(Read(std::move(root)));
  }
  absl::Status CheckAny(const AnySettings& settings) final {
    return Check(*static_cast<const Settings*>(settings.get()));
  }
  absl::Status RunAny(const AnySettings& settings, Context& context) final {
    return Run(*static_cast<const Settings*>(settings.get()), context);
  }
  absl::Status ReloadAny(const AnySettings& settings, Context& context) final {
    return Reload(*static_cast<const Settings*>(settings.get()), context);
  }
};

struct ProgramInfo {
  std::string name;     // "netsentinel-collector"
  std::string summary;  // one sentence for --help
};

// The whole life of a process: flags, configuration, logger, metrics, probes on listen.http,
// signals, systemd; runs the program and returns the exit code. Call it from main() before any
// thread exists:
//   int main(int argc, char** argv) {
//     netsentinel::collector::CollectorApp app;
//     return netsentinel::shell::Main({"netsentinel-collector", "…"}, app, argc, argv);
//   }
int Main(const ProgramInfo& info, AnyProgram& program, int argc, const char* const* argv);

}  // namespace netsentinel::shell
