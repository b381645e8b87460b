#include "common/rpc/grpc_library.h"

#include <mutex>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include <grpc/support/log.h>

#include "common/base/mutex.h"
#include "common/io/environment.h"
#include "common/io/system_clock.h"

namespace netsentinel::rpc {
namespace {

// gRPC takes a plain function without a context, so the logger it reports to has to be found here.
struct Sink {
  static constexpr int kPerSecond = 20;

  base::Mutex mutex;
  log::Logger* logger ABSL_GUARDED_BY(mutex) = nullptr;
  absl::Duration window ABSL_GUARDED_BY(mutex);
  int in_window ABSL_GUARDED_BY(mutex) = 0;
  int suppressed ABSL_GUARDED_BY(mutex) = 0;

  void Report(const gpr_log_func_args& args) {
    const absl::string_view message = args.message == nullptr ? "" : args.message;
    const bool handshake = absl::StrContains(message, "andshake");
    if (args.severity != GPR_LOG_SEVERITY_ERROR && !handshake) return;
    base::MutexLock lock(mutex);
    if (logger == nullptr) return;
    const absl::Duration now = io::SystemClock().MonotonicNow();
    if (now - window >= absl::Seconds(1)) {
      window = now;
      in_window = 0;
    }
    if (++in_window > kPerSecond) {
      ++suppressed;
      return;
    }
    if (suppressed > 0) {
      logger->Warn("rpc.library", message, {{"suppressed", suppressed}});
      suppressed = 0;
    } else {
      logger->Warn("rpc.library", message);
    }
  }
};

Sink& TheSink() {
  static Sink& sink = *new Sink;  // never destroyed: gRPC's threads may outlive main
  return sink;
}

}  // namespace

void PrepareLibrary() {
  static std::once_flag once;
  // TLS 1.2 needs a cipher of this list, and neither a PSK callback nor a PSK is ever set: no 1.2
  // handshake can succeed, whatever the certificate's kind. TLS 1.3 ciphers are another list.
  std::call_once(once, [] {
    io::SetEnvironment("GRPC_SSL_CIPHER_SUITES",
                       "PSK-AES256-GCM-SHA384:PSK-CHACHA20-POLY1305:PSK-AES128-GCM-SHA256");
  });
}

LibraryLog::LibraryLog(log::Logger& logger) : logger_(logger) {
  Sink& sink = TheSink();
  {
    base::MutexLock lock(sink.mutex);
    sink.logger = &logger;
  }
  gpr_set_log_function([](gpr_log_func_args* args) { TheSink().Report(*args); });
  // Why a handshake failed is said at this level only.
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_INFO);
}

LibraryLog::~LibraryLog() {
  Sink& sink = TheSink();
  base::MutexLock lock(sink.mutex);
  if (sink.logger == &logger_) sink.logger = nullptr;
}

}  // namespace netsentinel::rpc
