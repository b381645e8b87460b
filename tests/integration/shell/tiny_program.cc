#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/base/status_macros.h"
#include "common/config/shared_sections.h"
#include "common/io/system_clock.h"
#include "common/rpc/grpc_server.h"
#include "common/rpc/tls_files.h"
#include "common/shell/shell.h"

namespace netsentinel {
namespace {

enum class Mode { kServe, kFail, kHang, kFill };

struct TinySettings {
  config::Listen listen;
  config::Security security;
  Mode mode = Mode::kServe;
  std::int64_t number = 0;
};

// Asks for memory until there is none.
[[noreturn]] void FillMemory() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  // The sanitizers' own `new` asks nobody.
  std::get_new_handler()();
#endif
  const rlimit limit{std::size_t{1} << 30, std::size_t{1} << 30};
  ::setrlimit(RLIMIT_AS, &limit);
  std::vector<std::unique_ptr<char[]>> blocks;
  for (;;) blocks.push_back(std::make_unique<char[]>(std::size_t{1} << 20));
}

class TinyProgram final : public shell::Program<TinySettings> {
 public:
  TinySettings Read(config::Section root) override {
    TinySettings settings;
    settings.listen = config::ReadListen(root);
    settings.security = config::ReadSecurity(root, settings.listen.grpc.host);
    settings.mode = root.OptionalEnum<Mode>("mode",
                                            {{"serve", Mode::kServe},
                                             {"fail", Mode::kFail},
                                             {"hang", Mode::kHang},
                                             {"fill", Mode::kFill}},
                                            Mode::kServe);
    settings.number = root.OptionalInteger("number", 0, {0, 100});
    return settings;
  }

  absl::Status Check(const TinySettings& settings) override {
    if (settings.security.insecure) return absl::OkStatus();
    return rpc::CheckTlsFiles(settings.security.tls, io::SystemClock().WallNow()).status();
  }

  absl::Status Run(const TinySettings& settings, shell::Context& context) override {
    if (settings.mode == Mode::kFill) FillMemory();
    if (settings.mode == Mode::kFail) return absl::UnavailableError("told to fail");
    context.readiness.NotReady("tiny", "still thinking");
    number_ = context.metrics.AddGauge("tiny_number", "The number of the configuration.");
    number_.Set(static_cast<double>(settings.number));
    context.metrics.AddGauge("tiny_dumpable", "What the kernel says.").Set(prctl(PR_GET_DUMPABLE));
    rpc::ServerOptions options = rpc::FromListen(settings.listen, settings.security);
    options.admits = {rpc::Role::kCollector};
    const rpc::PeerAuthority authority(context.clock, context.logger, context.metrics);
    NS_ASSIGN_OR_RETURN(const auto server,
                        rpc::Server::Start(options, authority, {},
                                           {context.clock, context.random, context.logger,
                                            context.metrics, context.readiness, context.liveness}));
    NS_RETURN_IF_ERROR(context.started({{"grpc", server->port()}}));
    context.readiness.Ready("tiny");
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any stopped;
    stopped.wait(lock, context.stop, [] { return false; });
    while (settings.mode == Mode::kHang) stopped.wait_for(lock, std::chrono::hours(1));
    server->Shutdown(absl::Seconds(1));
    return absl::OkStatus();
  }

  absl::Status Reload(const TinySettings& settings, shell::Context&) override {
    if (settings.mode != Mode::kServe) {
      return absl::FailedPreconditionError("mode changes only with a restart");
    }
    number_.Set(static_cast<double>(settings.number));
    return absl::OkStatus();
  }

 private:
  metrics::Gauge number_;
};

}  // namespace
}  // namespace netsentinel

int main(int argc, char** argv) {
  netsentinel::TinyProgram program;
  return netsentinel::shell::Main({"tiny-program", "Does next to nothing."}, program, argc, argv);
}
