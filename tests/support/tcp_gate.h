#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"

#include "common/base/mutex.h"

namespace netsentinel::test {

// A relay on 127.0.0.1 between a client and a server that can lose the connection at a chosen
// moment. Thread-safe; serves any number of connections, one after the other or beside each other.
class TcpGate {
 public:
  // What happens when the client sends the awaited bytes.
  enum class Cut {
    kBefore,  // the server never sees them
    kAfter,   // the server gets them, its answer is lost
  };

  explicit TcpGate(std::uint16_t server_port);
  TcpGate(const TcpGate&) = delete;
  TcpGate& operator=(const TcpGate&) = delete;
  ~TcpGate();

  std::uint16_t port() const { return port_; }
  // Cuts the connection on which `bytes` come next, once.
  void CutOn(absl::string_view bytes, Cut cut);
  // Ends every connection and takes no more, until Open.
  void Close() { closed_ = true; }
  void Open() { closed_ = false; }
  // How many connections were cut so far.
  int cuts() const { return cuts_.load(); }

 private:
  void Accept();
  void Relay(int client, int server);
  // Whether the gate takes the connection down at this piece, and how.
  bool Matches(absl::string_view piece, Cut& cut);

  const std::uint16_t server_port_;
  std::uint16_t port_ = 0;
  int listener_ = -1;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> closed_{false};
  std::atomic<int> cuts_{0};
  base::Mutex mutex_;
  std::string awaited_ ABSL_GUARDED_BY(mutex_);
  Cut cut_ ABSL_GUARDED_BY(mutex_) = Cut::kBefore;
  std::thread thread_;
};

}  // namespace netsentinel::test
