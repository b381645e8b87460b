#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "common/io/out_of_memory.h"
#include "tools/simulator/scenario.h"
#include "tools/simulator/simulated_time.h"
#include "tools/simulator/simulator.h"
#include "tools/simulator/truth_log.h"

namespace netsentinel::simulator {
namespace {

struct CommandLine {
  std::string scenario;
  std::string truth_log;
  double speed = 1.0;
  double stop_after_s = 0;
  bool check = false;
  SimulatorOptions options;
};

int Fail(const absl::Status& status) {
  std::cerr << "netsentinel-simulator: " << std::string(status.message()) << "\n";
  return 1;
}

// What only shows when the routers are made: names that are there twice, unknown parents.
int Check(const Scenario& scenario) {
  for (const RouterEntry& entry : scenario.routers) {
    const absl::StatusOr<Router> router = Router::Create(entry.spec, 1, 0);
    if (!router.ok()) return Fail(router.status());
  }
  return 0;
}

int Run(const CommandLine& line) {
  std::ifstream file(line.scenario, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  if (!file) return Fail(absl::NotFoundError("cannot read the scenario " + line.scenario));
  const absl::StatusOr<Scenario> scenario = ParseScenario(text.str(), line.scenario);
  if (!scenario.ok()) return Fail(scenario.status());
  if (line.check) return Check(*scenario);

  absl::StatusOr<std::unique_ptr<TruthLog>> truth = TruthLog::Open(line.truth_log);
  if (!truth.ok()) return Fail(truth.status());
  const HostClock clock;
  const SimulatedTime time(clock, line.speed);
  boost::asio::io_context io(1);
  Simulator simulator(io, time, **truth, line.options);
  if (absl::Status started = simulator.Start(*scenario); !started.ok()) return Fail(started);
  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&simulator](const boost::system::error_code& error, int /*signal*/) {
    if (!error) simulator.Stop();
  });
  simulator.OnStopped([&signals]() { signals.cancel(); });
  std::cerr << "netsentinel-simulator: " << scenario->routers.size()
            << " simulated routers are listening\n";
  io.run();
  if (!(*truth)->status().ok()) return Fail((*truth)->status());
  return 0;
}

}  // namespace
}  // namespace netsentinel::simulator

int main(int argc, char** argv) {
  netsentinel::io::ExitWhenOutOfMemory("netsentinel-simulator");
  netsentinel::simulator::CommandLine line;
  CLI::App app("Simulated MikroTik routers that speak the RouterOS API");
  app.add_option("--scenario", line.scenario, "YAML file with routers and events")->required();
  app.add_option("--ports-file", line.options.ports_file,
                 "written as JSON once all routers listen: their ports");
  app.add_option("--truth-log", line.truth_log, "JSON lines: what was served and what moved");
  app.add_option("--seed", line.options.seed, "seed of all chance");
  app.add_option("--control", line.options.control, "unix:PATH or ADDRESS:PORT, port 0 for any");
  app.add_option("--listen", line.options.listen, "address that the routers listen on");
  app.add_option("--speed", line.speed, "simulated seconds in a second")
      ->check(CLI::Range(0.001, 100000.0));
  app.add_option("--stop-after", line.stop_after_s, "end after so many simulated seconds")
      ->check(CLI::Range(0.0, 1e9));
  app.add_flag("--check", line.check, "only check the scenario");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGPIPE, SIG_IGN);
  line.options.stop_after_us = static_cast<std::int64_t>(line.stop_after_s * 1e6);
  return netsentinel::simulator::Run(line);
}
