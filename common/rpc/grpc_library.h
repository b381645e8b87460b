#pragma once

#include "common/log/logger.h"

namespace netsentinel::rpc {

// Prepares the gRPC library for TLS 1.3 only: the library's one knob is an environment variable
// that it reads once, when the first TLS connection is set up. Called by Server::Start and
// MakeChannel; a program calls it at its start as well, while it has one thread.
void PrepareLibrary();

// Sends what the gRPC library itself reports (failed handshakes, above all) to a logger as
// `rpc.library` events, at most 20 a second; what is over is counted in the next event. The
// library has one place for that: of two objects the later one wins until it goes.
class LibraryLog {
 public:
  explicit LibraryLog(log::Logger& logger);
  ~LibraryLog();
  LibraryLog(const LibraryLog&) = delete;
  LibraryLog& operator=(const LibraryLog&) = delete;

 private:
  log::Logger& logger_;
};

}  // namespace netsentinel::rpc
