#include "common/shell/shell.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include <sys/prctl.h>

#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/config/document.h"
#include "common/config/shared_sections.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/io/descriptors.h"
#include "common/io/files.h"
#include "common/io/os_random.h"
#include "common/io/out_of_memory.h"
#include "common/io/sd_notify.h"
#include "common/io/signals.h"
#include "common/io/system_clock.h"
#include "common/log/stderr_logger.h"
#include "common/rpc/grpc_library.h"
#include "common/shell/command_line.h"
#include "common/shell/process_metrics.h"
#include "common/shell/version.h"

namespace netsentinel::shell {
namespace {

// The part of the configuration that is the shell's own.
struct ShellSettings {
  log::StderrOptions log;
  config::Address http;
};

struct Loaded {
  ShellSettings shell;
  AnyProgram::AnySettings program;
};

ShellSettings ReadShellSettings(config::Section root) {
  ShellSettings settings;
  config::Section log = root.OptionalSection("log");
  settings.log.level = log.OptionalEnum<log::Level>(
      "level",
      {{"info", log::Level::kInfo}, {"warn", log::Level::kWarn}, {"error", log::Level::kError}},
      log::Level::kInfo);
  settings.log.format = log.OptionalEnum<log::Format>(
      "format", {{"logfmt", log::Format::kLogfmt}, {"json", log::Format::kJson}},
      log::Format::kLogfmt);
  config::Section listen = root.RequiredSection("listen");
  if (listen.present()) {
    settings.http = config::ReadListenAddress(listen, "http", true).value_or(config::Address());
  }
  return settings;
}

absl::StatusOr<Loaded> Load(const std::string& path, AnyProgram& program) {
  NS_ASSIGN_OR_RETURN(const auto document, config::Document::Load(path));
  Loaded loaded;
  loaded.shell = ReadShellSettings(document->root());
  loaded.program = program.ReadAny(document->root());
  NS_RETURN_IF_ERROR(document->Finish());
  return loaded;
}

void PrintError(const ProgramInfo& info, const absl::Status& status) {
  std::fprintf(stderr, "%s: %s\n", info.name.c_str(), std::string(status.message()).c_str());
}

// Only what it needs of the configuration is read: a probe must not fail because a secret is
// readable by the service's user alone.
int HealthCheck(const ProgramInfo& info, const CommandLine& flags, AnyProgram& program) {
  const absl::StatusOr<Loaded> loaded = Load(flags.config, program);
  if (!loaded.ok()) {
    PrintError(info, loaded.status());
    return kExitUsage;
  }
  const auto result = http::Fetch(loaded->shell.http, flags.live_only ? "/healthz" : "/readyz");
  if (!result.ok()) {
    PrintError(info, result.status());
    return kExitFailed;
  }
  std::fputs(result->body.c_str(), stdout);
  return result->status == 200 ? kExitClean : kExitFailed;
}

// A process whose memory holds keys: no core dumps, no debugger of the same user.
void HideMemory() {
#if !defined(__SANITIZE_ADDRESS__)
  // LeakSanitizer attaches to its own process.
  prctl(PR_SET_DUMPABLE, 0);
#endif
}

std::string PortsJson(const std::map<std::string, std::uint16_t>& ports) {
  return absl::StrCat("{",
                      absl::StrJoin(ports, ", ",
                                    [](std::string* out, const auto& port) {
                                      absl::StrAppend(out, "\"", port.first, "\": ", port.second);
                                    }),
                      "}\n");
}

class Process {
 public:
  Process(const ProgramInfo& info, const CommandLine& flags, AnyProgram& program, Loaded loaded,
          io::SignalWaiter& signals)
      : info_(info),
        flags_(flags),
        program_(program),
        settings_(std::move(loaded)),
        signals_(signals),
        logger_(log::MakeStderrLogger(clock_, settings_.shell.log)),
        library_log_(*logger_),
        liveness_(clock_),
        certificates_(clock_, *logger_, metrics_) {
    AddProcessMetrics(metrics_, clock_);
    metrics_.OnCollect([this] { ShowConditions(); });
  }

  int Run();

 private:
  void ShowConditions();
  absl::Status Started(const std::map<std::string, std::uint16_t>& ports);
  void Reload(Context& context);
  void PingWatchdog();
  int Supervise(Context& context);
  int Drain();

  const ProgramInfo& info_;
  const CommandLine& flags_;
  AnyProgram& program_;
  const Loaded settings_;
  io::SignalWaiter& signals_;
  io::SystemClock clock_;
  io::OsRandom random_;
  io::SystemdNotifier systemd_;
  std::unique_ptr<log::StderrLogger> logger_;
  rpc::LibraryLog library_log_;
  metrics::Registry metrics_;
  http::Readiness readiness_;
  http::Liveness liveness_;
  CertificateWatch certificates_;
  std::unique_ptr<http::Server> http_;
  std::stop_source stop_;
  std::atomic<bool> started_{false};
  std::atomic<bool> finished_{false};
  absl::Status result_;  // of Run; the worker's until finished_
};

void Process::ShowConditions() {
  metrics_.AddGauge("netsentinel_ready", "1 while /readyz answers 200.")
      .Set(readiness_.ready() ? 1 : 0);
  for (const auto& [name, holds] : readiness_.Conditions()) {
    metrics_
        .AddGauge("netsentinel_condition_holds", "1 while a condition of /readyz holds.",
                  {{"condition", name}})
        .Set(holds ? 1 : 0);
  }
  for (const auto& [name, silence] : liveness_.Loops()) {
    metrics_
        .AddGauge("netsentinel_loop_silence_seconds",
                  "How long ago a loop of /healthz turned, the last time it was expected to.",
                  {{"loop", name}})
        .Set(absl::ToDoubleSeconds(silence));
  }
}

absl::Status Process::Started(const std::map<std::string, std::uint16_t>& ports) {
  std::map<std::string, std::uint16_t> all = ports;
  all["http"] = http_->port();
  // Before anybody can know of it: who sees the ports or READY=1 may send SIGHUP at once.
  started_ = true;
  readiness_.Ready("start");
  if (!flags_.ports_file.empty()) {
    NS_RETURN_IF_ERROR(io::WriteFileDurably(flags_.ports_file, PortsJson(all)));
  }
  systemd_.Ready();
  logger_->Info("shell.started", "listening",
                {{"program", info_.name},
                 {"version", Version()},
                 {"ports", absl::StripAsciiWhitespace(PortsJson(all))}});
  return absl::OkStatus();
}

void Process::Reload(Context& context) {
  if (!started_) {
    logger_->Warn("shell.reload_refused", "still starting; send SIGHUP again later");
    return;
  }
  systemd_.Reloading();
  const auto reload = [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(const Loaded loaded, Load(flags_.config, program_));
    if (!(loaded.shell.http == settings_.shell.http)) {
      return absl::FailedPreconditionError("listen.http changes only with a restart");
    }
    NS_RETURN_IF_ERROR(program_.CheckAny(loaded.program));
    NS_RETURN_IF_ERROR(program_.ReloadAny(loaded.program, context));
    logger_->Change(loaded.shell.log);
    return absl::OkStatus();
  };
  if (const absl::Status status = reload(); status.ok()) {
    logger_->Info("shell.reloaded", "the configuration was read again", {{"file", flags_.config}});
  } else {
    logger_->Error("shell.reload_failed", "the old configuration stays in force",
                   {{"file", flags_.config}, {"reason", status}});
  }
  systemd_.Ready();
}

void Process::PingWatchdog() {
  if (!systemd_.WatchdogInterval().has_value()) return;
  if (liveness_.alive()) {
    systemd_.WatchdogPing();
  } else {
    logger_->Error("shell.stuck", "a loop does not turn; the watchdog will restart this process",
                   {{"loops", liveness_.Text()}});
  }
}

int Process::Drain() {
  systemd_.Stopping();
  logger_->Info("shell.stopping", "finishing what was begun", {{"limit", kDrainLimit}});
  readiness_.NotReady("shell", "the process is stopping");
  const absl::Duration deadline = clock_.MonotonicNow() + kDrainLimit;
  stop_.request_stop();
  while (!finished_) {
    const absl::Duration left = deadline - clock_.MonotonicNow();
    const bool again =
        left > absl::ZeroDuration() && signals_.Wait(left) == io::ProcessSignal::kDrain;
    if (finished_) break;
    if (again || left <= absl::ZeroDuration()) {
      logger_->Error("shell.cut_off",
                     again ? "told to stop a second time: stopping at once"
                           : "did not stop in time: stopping at once",
                     {{"limit", kDrainLimit}});
      // Destructors would wait for the very thing that does not end.
      std::_Exit(kExitDrainTimeout);
    }
  }
  return kExitClean;
}

int Process::Supervise(Context& context) {
  while (!finished_) {
    const absl::Duration pause = systemd_.WatchdogInterval().value_or(absl::Minutes(1));
    switch (signals_.Wait(pause)) {
      case io::ProcessSignal::kDrain:
        return Drain();
      case io::ProcessSignal::kReload:
        Reload(context);
        break;
      case io::ProcessSignal::kWake:
      case io::ProcessSignal::kNone:
        break;
    }
    PingWatchdog();
    certificates_.Look();
  }
  return kExitClean;
}

int Process::Run() {
  readiness_.NotReady("start", "the process is starting");
  absl::StatusOr<std::unique_ptr<http::Server>> server =
      http::Server::Start({.address = settings_.shell.http},
                          http::StandardHandlers(metrics_, liveness_, readiness_), *logger_);
  if (!server.ok()) {
    logger_->Error("shell.http_failed", "cannot start", {{"reason", server.status()}});
    return kExitFailed;
  }
  http_ = *std::move(server);
  Context context{
      clock_,        random_,           *logger_,
      metrics_,      readiness_,        liveness_,
      certificates_, stop_.get_token(), [this](const auto& ports) {
                    return Started(ports); }};
  std::thread worker([this, &context] {
    result_ = program_.RunAny(settings_.program, context);
    finished_ = true;
    signals_.Wake();
  });
  int code = Supervise(context);
  worker.join();
  if (!result_.ok()) {
    logger_->Error("shell.failed", "the program ended with an error", {{"reason", result_}});
    code = kExitFailed;
  } else {
    logger_->Info("shell.stopped", "stopped cleanly");
  }
  http_->Stop();
  return code;
}

}  // namespace

int Main(const ProgramInfo& info, AnyProgram& program, int argc, const char* const* argv) {
  const CommandLine flags = ParseCommandLine(info.name, info.summary, argc, argv);
  if (flags.action == Action::kExit) return flags.exit_code;
  HideMemory();
  io::ExitWhenOutOfMemory(info.name.c_str());
  if (flags.action == Action::kHealthCheck) return HealthCheck(info, flags, program);
  absl::StatusOr<Loaded> loaded = Load(flags.config, program);
  absl::Status status = loaded.status();
  if (status.ok()) status = program.CheckAny(loaded->program);
  if (!status.ok()) {
    PrintError(info, status);
    return kExitUsage;
  }
  if (flags.action == Action::kCheckConfig) {
    std::printf("%s: OK\n", flags.config.c_str());
    return kExitClean;
  }
  // Each connection and router session takes descriptors; the soft limit is a default for programs
  // that use select().
  const absl::StatusOr<int> descriptors = io::RaiseDescriptorLimit();
  if (!descriptors.ok()) PrintError(info, descriptors.status());
  // While there is one thread: the signal mask is inherited, the environment is shared.
  rpc::PrepareLibrary();
  const auto signals = io::SignalWaiter::Create();
  if (!signals.ok()) {
    PrintError(info, signals.status());
    return kExitFailed;
  }
  Process process(info, flags, program, *std::move(loaded), **signals);
  return process.Run();
}

}  // namespace netsentinel::shell
