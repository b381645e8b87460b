#pragma once

#include <condition_variable>
#include <stop_token>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"

#include "common/base/mutex.h"
#include "common/base/secret.h"
#include "common/io/file_descriptor.h"

namespace netsentinel::rpc {

// The newest certificate and key that fit, of two files that are replaced one after the other: gRPC
// itself would take a certificate beside the key of another and refuse every handshake from then
// on. Looks at the files every `refresh` on a thread of its own. The pair is in memory, as one
// file.
class KeptPair {
 public:
  KeptPair(std::string cert, std::string key, absl::Duration refresh);
  ~KeptPair();
  KeptPair(const KeptPair&) = delete;
  KeptPair& operator=(const KeptPair&) = delete;

  // Certificate chain and key in one PEM text, for as long as this lives: what is opened there is
  // of one pair. Empty when there was no pair to begin with.
  const std::string& path() const { return path_; }

 private:
  absl::Status Take();
  void Watch(const std::stop_token& stop);

  const std::string cert_;
  const std::string key_;
  const absl::Duration refresh_;
  io::FileDescriptor kept_;
  std::string path_;
  base::Secret text_;  // what is kept; the thread's once it runs
  base::Mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread watch_;
};

}  // namespace netsentinel::rpc
