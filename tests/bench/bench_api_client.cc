// CPU time of one poll of /queue/simple through the whole client, sockets included: connects to a
// router, polls it and prints the median as JSON. run_api_reader runs it beside a peer.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "collector/routeros/asio_client.h"
#include "common/base/check.h"
#include "common/counters/descriptor_table.h"

namespace netsentinel::routeros {
namespace {

struct Options {
  RouterEndpoint router;
  int rounds = 20;
  bool print_command = false;
};

double CpuMilliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

boost::asio::awaitable<void> Poll(AsioClient& client, QueueMenuReader& reader, int rounds) {
  const absl::Status connected = co_await client.Connect();
  NS_CHECK(connected.ok(), connected.ToString());
  std::vector<double> times;
  std::size_t rows = 0;
  for (int i = 0; i <= rounds; ++i) {
    const double begin = CpuMilliseconds();
    const absl::StatusOr<QueueReply> reply = co_await client.ReadQueues(reader);
    NS_CHECK(reply.ok(), reply.status().ToString());
    times.push_back(CpuMilliseconds() - begin);
    rows = reply->readings.size();
  }
  const double first = times.front();
  times.erase(times.begin());
  std::sort(times.begin(), times.end());
  std::printf("{\"rows\":%zu,\"first_ms\":%.3f,\"median_ms\":%.3f,\"best_ms\":%.3f}\n", rows, first,
              times[times.size() / 2], times.front());
  client.Close();
}

int Run(Options options) {
  counters::DescriptorTable table;
  QueueMenuReader reader(counters::Menu::kSimple, table);
  if (options.print_command) {
    for (const absl::string_view word : reader.PrintCommand()) std::cout << word << "\n";
    return 0;
  }
  boost::asio::io_context io(1);
  AsioClient client(io.get_executor(), std::move(options.router));
  boost::asio::co_spawn(
      io,
      [&client, &reader, rounds = options.rounds]() -> boost::asio::awaitable<void> {
        co_await Poll(client, reader, rounds);
      },
      boost::asio::detached);
  io.run();
  return 0;
}

}  // namespace
}  // namespace netsentinel::routeros

int main(int argc, char** argv) {
  netsentinel::routeros::Options options;
  options.router.host = "127.0.0.1";
  options.router.use_tls = false;
  std::string password;
  CLI::App app("CPU time of a poll through the API client");
  app.add_option("--port", options.router.port, "port of the router's API");
  app.add_option("--user", options.router.credentials.username, "user");
  app.add_option("--password", password, "password");
  app.add_option("--rounds", options.rounds, "polls to measure")->check(CLI::Range(1, 100'000));
  app.add_flag("--print-command", options.print_command, "only print the words of the command");
  CLI11_PARSE(app, argc, argv);
  options.router.credentials.password = netsentinel::base::Secret(password);
  return netsentinel::routeros::Run(std::move(options));
}
