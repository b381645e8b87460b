#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "tools/simulator/router_host.h"
#include "tools/simulator/simulated_time.h"

namespace boost::asio {
class io_context;
}

namespace netsentinel::simulator {

// What the control channel acts on. One thread.
class ControlTarget {
 public:
  virtual ~ControlTarget() = default;
  virtual RouterHost* FindHost(const std::string& id) = 0;
  virtual std::vector<std::string> RouterIds() const = 0;
  virtual void RequestStop() = 0;
};

// The control channel: one JSON object a line in, one JSON object a line out, in order. Lines are
// at most 1 MiB. On the thread of the io_context.
class ControlServer {
 public:
  virtual ~ControlServer() = default;
  // "unix:PATH" or "ADDRESS:PORT" as it listens.
  virtual std::string address() const = 0;
  // Ends the listener and its connections.
  virtual void Stop() = 0;
};

// Listens on "unix:PATH" (an old socket there is replaced) or "ADDRESS:PORT".
absl::StatusOr<std::unique_ptr<ControlServer>> StartControl(boost::asio::io_context& io,
                                                            const std::string& address,
                                                            ControlTarget& target);

}  // namespace netsentinel::simulator
