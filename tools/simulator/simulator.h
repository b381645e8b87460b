#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "tools/simulator/control.h"
#include "tools/simulator/router_host.h"
#include "tools/simulator/scenario.h"

namespace netsentinel::simulator {

struct SimulatorOptions {
  std::uint64_t seed = 1;
  std::string listen = "127.0.0.1";
  // Empty for none, "unix:PATH" or "ADDRESS:PORT" (port 0: the kernel chooses).
  std::string control;
  std::string ports_file;
  // Ends by itself after so much simulated time; 0: never.
  std::int64_t stop_after_us = 0;
};

// All routers of a scenario, their listeners, events and the control channel, on the io_context's
// one thread. `time` and `truth` outlive it.
class Simulator final : public ControlTarget {
 public:
  Simulator(boost::asio::io_context& io, const SimulatedTime& time, TruthLog& truth,
            SimulatorOptions options);

  // Makes the routers, opens all listeners and writes the ports file.
  absl::Status Start(const Scenario& scenario);
  // Ends listeners and connections; io_context::run then returns by itself.
  void Stop();
  // Called once, when Stop is.
  void OnStopped(std::function<void()> callback) { on_stopped_ = std::move(callback); }

  // ControlTarget:
  RouterHost* FindHost(const std::string& id) override;
  std::vector<std::string> RouterIds() const override;
  void RequestStop() override { Stop(); }

 private:
  using Acceptor = boost::asio::ip::tcp::acceptor;

  absl::Status AddRouter(const RouterEntry& entry, std::uint64_t seed);
  absl::StatusOr<std::uint16_t> Listen(RouterHost& host, std::uint16_t port,
                                       const std::shared_ptr<boost::asio::ssl::context>& tls);
  boost::asio::awaitable<void> Accept(Acceptor& acceptor, RouterHost& host,
                                      std::shared_ptr<boost::asio::ssl::context> tls);
  boost::asio::awaitable<void> Hang(boost::asio::ip::tcp::socket socket);
  boost::asio::awaitable<void> RunEvents(std::vector<TimedEvent> events);
  absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> TlsContext(const RouterEntry& entry);
  absl::Status WritePortsFile() const;

  boost::asio::io_context& io_;
  SimulatorOptions options_;
  Shared shared_;
  std::int64_t start_us_;
  std::map<std::string, std::unique_ptr<RouterHost>> hosts_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::map<std::string, std::shared_ptr<boost::asio::ssl::context>> tls_contexts_;
  std::unique_ptr<ControlServer> control_;
  boost::asio::steady_timer event_timer_;
  std::function<void()> on_stopped_;
  bool stopping_ = false;
};

}  // namespace netsentinel::simulator
