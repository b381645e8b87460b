#pragma once

#include <chrono>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "collector/routeros/asio_client.h"
#include "collector/routeros/router_error.h"
#include "common/counters/descriptor_table.h"
#include "tests/support/scripted_router.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {

namespace asio = boost::asio;
using counters::Menu;
using test::RouterConnection;
using test::ScriptedRouter;
using test::ScriptedRouterOptions;
using test::SentenceWords;
using test::TagOf;

inline constexpr absl::Duration kShort = absl::Milliseconds(300);

inline std::string Text(const absl::Status& status) { return std::string(status.message()); }

class AsioClientTest : public testing::Test {
 protected:
  RouterEndpoint PlainTo(const ScriptedRouter& router) {
    return {.host = "127.0.0.1",
            .port = router.port(),
            .use_tls = false,
            .tls = {},
            .credentials = {.username = "netsentinel", .password = base::Secret("s3cret")}};
  }
  RouterEndpoint TlsTo(const ScriptedRouter& router, TlsOptions tls) {
    RouterEndpoint endpoint = PlainTo(router);
    endpoint.use_tls = true;
    endpoint.tls = std::move(tls);
    return endpoint;
  }
  AsioClient& Client(RouterEndpoint endpoint) {
    client_.emplace(io_.get_executor(), std::move(endpoint));
    return *client_;
  }
  // Runs the operation to its end, which must come within 20 s.
  template <typename Result>
  Result Await(asio::awaitable<Result> operation) {
    std::optional<Result> result;
    asio::co_spawn(io_, std::move(operation), [&result](std::exception_ptr error, Result value) {
      EXPECT_FALSE(error);
      result = std::move(value);
    });
    io_.restart();
    io_.run_for(std::chrono::seconds(20));
    EXPECT_TRUE(result.has_value()) << "no end within 20 s";
    if (!result.has_value()) std::abort();
    return *std::move(result);
  }
  absl::Status Connect(RouterEndpoint endpoint,
                       absl::Duration deadline = AsioClient::kDefaultDeadline) {
    return Await(Client(std::move(endpoint)).Connect(deadline));
  }

  // Before the client, so that coroutines go last.
  asio::io_context io_;
  std::optional<AsioClient> client_;
  counters::DescriptorTable table_;
  QueueMenuReader simple_{Menu::kSimple, table_};
};

// Answers every command by its path; anything else gets "no such command".
using Answers = std::vector<std::pair<std::string, std::vector<SentenceWords>>>;
inline ScriptedRouter::Script Answering(Answers answers) {
  return [answers = std::move(answers)](RouterConnection& connection) {
    connection.AcceptLogin();
    while (const std::optional<SentenceWords> command = connection.Read()) {
      const std::string tag = TagOf(*command);
      const std::string& key = command->front();
      std::vector<SentenceWords> reply = {{"!trap", "=message=no such command prefix"}, {"!done"}};
      for (const auto& [path, sentences] : answers) {
        if (path == key) reply = sentences;
      }
      for (SentenceWords& words : reply) words.push_back(tag);
      connection.Send(reply);
    }
  };
}

inline const std::vector<SentenceWords> kResource = {
    {"!re", "=uptime=1d2h", "=version=7.18.2 (stable)", "=board-name=CHR"}, {"!done"}};
inline const std::vector<SentenceWords> kNoMenu = {{"!trap", "=message=no such command prefix"},
                                                   {"!done"}};

}  // namespace netsentinel::routeros
