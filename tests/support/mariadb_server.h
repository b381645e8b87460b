#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include <sys/types.h>

#include "tests/support/temp_folder.h"

namespace netsentinel::test {

// A private MariaDB in a temporary folder, on a port of the kernel's choice and a local socket,
// with the user root without a password. Ended with the object. One thread.
class MariaDbServer {
 public:
  // kFast leaves flushing to the kernel: what is committed survives a kill, not a power cut.
  enum class Flushing { kFast, kDurable };
  // Creates the folder and starts the server; kFailedPrecondition when it is not installed or does
  // not start.
  static absl::StatusOr<std::unique_ptr<MariaDbServer>> Start(Flushing flushing = Flushing::kFast);
  MariaDbServer(const MariaDbServer&) = delete;
  MariaDbServer& operator=(const MariaDbServer&) = delete;
  ~MariaDbServer();

  std::uint16_t port() const { return port_; }
  const std::string& socket_path() const { return socket_path_; }

  // kill -9 and wait for its end.
  void Kill();
  // Starts it again on the same data and port.
  absl::Status Restart();
  // SIGSTOP and SIGCONT: a server that is there and does not answer.
  void Freeze();
  void Thaw();
  // Runs statements as root through the command-line client; the error text on failure.
  absl::Status Run(const std::string& sql);

 private:
  MariaDbServer() = default;
  absl::Status Launch();

  TempFolder folder_;
  std::string socket_path_;
  std::uint16_t port_ = 0;
  pid_t pid_ = -1;
  Flushing flushing_ = Flushing::kFast;
};

}  // namespace netsentinel::test
