#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/config/address.h"
#include "common/http/health.h"
#include "common/log/logger.h"
#include "common/metrics/registry.h"

namespace netsentinel::http {

// A GET or HEAD request. The path is as sent, without the query; nothing is decoded.
struct Request {
  std::string path;
  std::string query;                           // behind the '?', may be empty
  std::map<std::string, std::string> headers;  // names in lower case; the last of equal names
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  // further ones
};

// Called on the server's thread; must return soon and must not throw.
using Handler = std::function<Response(const Request&)>;

struct ServerOptions {
  config::Address address;  // port 0: the kernel chooses
  // At the limit the newest connection is let in and the slowest one cut: see ConnectionTable.
  std::size_t max_connections = 128;
  std::size_t max_connections_per_address = 32;
  std::size_t max_header_bytes = 8192;  // beyond it: 431 and closed
  int max_requests_per_connection = 1000;
  absl::Duration timeout = absl::Seconds(10);  // to send a request, to take the answer, or idle
  // Names under which pages are asked for beside localhost and the address that is listened on: a
  // request by any other name is answered with 421. The probes of StandardHandlers answer to any.
  std::vector<std::string> hosts = {};
  // The key of the configuration that holds them, for the words of that answer.
  std::string hosts_key = {};
};

// A small HTTP/1.1 server on one thread of its own, for pages and probes. Takes GET and HEAD
// without a body; anything else is answered with 405 or 413 and the connection is closed. Every
// answer says nosniff and forbids framing. The destructor stops it.
class Server {
 public:
  // Exact paths, or with a '/' at their end all paths that begin so; the longest wins. Unknown
  // paths are answered with 404. Fails with kUnavailable when the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options, std::vector<std::pair<std::string, Handler>> handlers,
      log::Logger& logger);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::uint16_t port() const;
  // Closes all connections and joins the thread. Idempotent; not from a handler.
  void Stop();

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The pages that every process has: /metrics, /healthz and /readyz (503 while not, with the
// reasons in words). The three must outlive the server.
std::vector<std::pair<std::string, Handler>> StandardHandlers(const metrics::Registry& metrics,
                                                              const Liveness& liveness,
                                                              const Readiness& readiness);

}  // namespace netsentinel::http
