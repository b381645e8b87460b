#include "tools/simulator/control.h"

#include <chrono>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <unistd.h>

#include "tools/simulator/json_text.h"
#include "tools/simulator/scenario.h"

namespace netsentinel::simulator {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMaxCommandBytes = 1 << 20;
constexpr std::chrono::milliseconds kWaitStep{5};

std::string ErrorLine(const absl::Status& status) {
  return absl::StrCat("{\"ok\":false,\"error\":", JsonString(status.message()), "}\n");
}

// What a line asks for, apart from what routers do by themselves.
struct Line {
  std::string verb;
  std::string router;
  Arguments arguments;
};

absl::StatusOr<Line> ReadLine(const std::string& text) {
  absl::StatusOr<Arguments> all = ParseControlLine(text);
  if (!all.ok()) return all.status();
  Line line;
  for (const auto& [key, value] : all->values()) {
    if (key == "do") {
      line.verb = value;
    } else if (key == "router") {
      line.router = value;
    } else {
      line.arguments.Set(key, value);
    }
  }
  if (line.verb.empty()) return absl::InvalidArgumentError("\"do\" is missing");
  return line;
}

template <typename Protocol>
class Server final : public ControlServer {
 public:
  using Socket = typename Protocol::socket;

  Server(asio::io_context& io, ControlTarget& target) : io_(io), acceptor_(io), target_(target) {}

  absl::Status Listen(const typename Protocol::endpoint& endpoint) {
    boost::system::error_code error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      return absl::UnavailableError(
          absl::StrCat("cannot listen for control connections: ", error.message()));
    }
    asio::co_spawn(
        io_, [this]() -> asio::awaitable<void> { co_await Accept(); }, asio::detached);
    return absl::OkStatus();
  }

  std::string address() const override { return address_; }
  void set_address(std::string address) { address_ = std::move(address); }
  typename Protocol::endpoint local_endpoint() const { return acceptor_.local_endpoint(); }

  void Stop() override {
    stopped_ = true;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (Socket* socket : sockets_) socket->close(ignored);
    if (absl::StartsWith(address_, "unix:")) ::unlink(address_.substr(5).c_str());
  }

 private:
  asio::awaitable<void> Accept() {
    while (!stopped_) {
      boost::system::error_code error;
      Socket socket =
          co_await acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (stopped_) co_return;
      if (error) continue;
      auto shared = std::make_shared<Socket>(std::move(socket));
      asio::co_spawn(
          io_, [this, shared]() -> asio::awaitable<void> { co_await Serve(*shared); },
          asio::detached);
    }
  }

  asio::awaitable<void> Serve(Socket& socket) {
    sockets_.insert(&socket);
    std::string buffer;
    boost::system::error_code error;
    while (!stopped_) {
      const std::size_t size =
          co_await asio::async_read_until(socket, asio::dynamic_buffer(buffer, kMaxCommandBytes),
                                          '\n', asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      const std::string text = buffer.substr(0, size);
      buffer.erase(0, size);
      const std::string answer = co_await Answer(text);
      co_await asio::async_write(socket, asio::buffer(answer),
                                 asio::redirect_error(asio::use_awaitable, error));
      if (error) break;
      if (stop_after_answer_) target_.RequestStop();
    }
    sockets_.erase(&socket);
  }

  asio::awaitable<std::string> Answer(const std::string& text) {
    const absl::StatusOr<Line> line = ReadLine(text);
    if (!line.ok()) co_return ErrorLine(line.status());
    if (line->verb == "ping") co_return "{\"ok\":true}\n";
    if (line->verb == "stop") {
      stop_after_answer_ = true;
      co_return "{\"ok\":true}\n";
    }
    if (line->verb == "list") co_return List();
    RouterHost* host = target_.FindHost(line->router);
    if (host == nullptr) {
      co_return ErrorLine(absl::NotFoundError(absl::StrCat("no router ", line->router)));
    }
    if (line->verb == "wait") co_return co_await Wait(*host, line->arguments);
    const absl::StatusOr<ActionResult> result = host->Apply(line->verb, line->arguments);
    if (!result.ok()) co_return ErrorLine(result.status());
    co_return absl::StrCat("{\"ok\":true", result->json.empty() ? "" : ",", result->json, "}\n");
  }

  std::string List() {
    std::string json = "{\"ok\":true,\"routers\":[";
    const char* separator = "";
    for (const std::string& id : target_.RouterIds()) {
      RouterHost* host = target_.FindHost(id);
      absl::StrAppend(&json, separator, "{\"router\":", JsonString(id), ",\"api\":", host->api_port,
                      ",\"api_ssl\":", host->api_ssl_port,
                      ",\"connections\":", host->connection_count(), "}");
      separator = ",";
    }
    return absl::StrCat(json, "]}\n");
  }

  // Answers when so many complete prints of a menu, begun after the command, were served.
  asio::awaitable<std::string> Wait(RouterHost& host, Arguments arguments) {
    std::string menu = "/queue/simple";
    std::uint64_t snapshots = 1;
    std::uint64_t timeout_ms = 30'000;
    absl::Status read = arguments.CheckKeys("menu snapshots timeout_ms");
    if (read.ok()) read = arguments.Read("menu", menu);
    if (read.ok()) read = arguments.Read("snapshots", snapshots);
    if (read.ok()) read = arguments.Read("timeout_ms", timeout_ms);
    if (read.ok() && timeout_ms > 3'600'000) {
      read = absl::InvalidArgumentError("\"timeout_ms\" is at most an hour");
    }
    if (!read.ok()) co_return ErrorLine(read);
    if (menu == "simple" || menu == "tree") menu = absl::StrCat("/queue/", menu);
    const std::shared_ptr<SnapshotWaiter> waiter = host.Wait(menu);
    asio::steady_timer timer(io_);
    const auto until =
        asio::steady_timer::clock_type::now() + std::chrono::milliseconds(timeout_ms);
    while (waiter->seen < snapshots && !stopped_) {
      if (asio::steady_timer::clock_type::now() >= until) {
        co_return ErrorLine(absl::DeadlineExceededError(absl::StrCat(
            "only ", waiter->seen, " of ", snapshots, " snapshots of ", menu, " were served")));
      }
      boost::system::error_code ignored;
      timer.expires_after(kWaitStep);
      co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
    co_return absl::StrCat("{\"ok\":true,\"snapshots\":", waiter->seen, "}\n");
  }

  asio::io_context& io_;
  typename Protocol::acceptor acceptor_;
  ControlTarget& target_;
  std::string address_;
  std::set<Socket*> sockets_;
  bool stopped_ = false;
  bool stop_after_answer_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ControlServer>> StartControl(asio::io_context& io,
                                                            const std::string& address,
                                                            ControlTarget& target) {
  if (absl::StartsWith(address, "unix:")) {
    using Local = asio::local::stream_protocol;
    const std::string path = address.substr(5);
    if (path.empty() || path.size() > 100) {
      return absl::InvalidArgumentError("the control socket's path must have 1 to 100 characters");
    }
    ::unlink(path.c_str());
    auto server = std::make_unique<Server<Local>>(io, target);
    if (absl::Status status = server->Listen(Local::endpoint(path)); !status.ok()) return status;
    server->set_address(address);
    return server;
  }
  using asio::ip::tcp;
  const std::size_t colon = address.rfind(':');
  boost::system::error_code error;
  std::uint32_t port = 0;
  const auto ip = asio::ip::make_address(address.substr(0, colon), error);
  if (error || colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("the control address must be unix:PATH or ADDRESS:PORT, not ", address));
  }
  auto server = std::make_unique<Server<tcp>>(io, target);
  const tcp::endpoint endpoint(ip, static_cast<std::uint16_t>(port));
  if (absl::Status status = server->Listen(endpoint); !status.ok()) return status;
  server->set_address(absl::StrCat(address.substr(0, colon), ":", server->local_endpoint().port()));
  return server;
}

}  // namespace netsentinel::simulator
