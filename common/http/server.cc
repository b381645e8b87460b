#include "common/http/server.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "common/base/display_name.h"
#include "common/http/connection_table.h"
#include "common/http/host_rule.h"

namespace netsentinel::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using tcp = asio::ip::tcp;

// Answered whoever asks for whom: a probe sends the address of its pod or host.
constexpr absl::string_view kProbePaths[] = {"/metrics", "/healthz", "/readyz"};
// Places for requests that have come in whole, of so many in all.
constexpr std::size_t kReservedShare = 8;
constexpr std::size_t kShownHostBytes = 100;
constexpr auto kCrowdedTold = std::chrono::minutes(1);

absl::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

std::string GroupOf(const tcp::socket& socket) {
  beast::error_code error;
  const asio::ip::address address = socket.remote_endpoint(error).address();
  if (error) return "";
  if (address.is_v4()) {
    const auto bytes = address.to_v4().to_bytes();
    return AddressGroup(bytes.data(), bytes.size());
  }
  const auto bytes = address.to_v6().to_bytes();
  return AddressGroup(bytes.data(), bytes.size());
}

bool IsProbe(absl::string_view path) {
  return std::find(std::begin(kProbePaths), std::end(kProbePaths), path) != std::end(kProbePaths);
}

Response Plain(int status, absl::string_view text) {
  Response response;
  response.status = status;
  response.body = absl::StrCat(text, "\n");
  return response;
}

}  // namespace

// Everything below runs on the one thread, but for Start and Stop.
class Server::Impl {
 public:
  Impl(const ServerOptions& options, std::vector<std::pair<std::string, Handler>> handlers,
       log::Logger& logger)
      : options_(options),
        handlers_(std::move(handlers)),
        logger_(logger),
        acceptor_(context_),
        places_({.total = options.max_connections,
                 .reserved = options.max_connections / kReservedShare,
                 .per_address = options.max_connections_per_address}) {}
  ~Impl() { Stop(); }

  absl::Status Listen();
  void Run() {
    Accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  void Stop();
  std::uint16_t port() const { return port_; }

 private:
  class Connection;

  void Accept();
  void OnAccept(const beast::error_code& error, tcp::socket socket);
  void OnClosed(std::uint64_t id);
  void Cut(std::uint64_t id);
  Response Answer(const Request& request, absl::string_view own_address) const;

  const ServerOptions options_;
  const std::vector<std::pair<std::string, Handler>> handlers_;
  log::Logger& logger_;
  asio::io_context context_{1};
  tcp::acceptor acceptor_;
  std::optional<asio::steady_timer> retry_;
  ConnectionTable places_;
  std::map<std::uint64_t, Connection*> connections_;  // those that were cut, too, until they end
  std::uint64_t last_id_ = 0;
  std::uint64_t cut_ = 0;                      // since the log was told last
  std::optional<asio::steady_timer> crowded_;  // while it was told of lately
  bool stopping_ = false;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

// One client. Keeps itself alive by the handler of the operation that is under way.
class Server::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl& server, std::uint64_t id, tcp::socket socket)
      : server_(server), id_(id), stream_(std::move(socket)) {}
  ~Connection() { server_.OnClosed(id_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Read() {
    server_.places_.Waits(id_);
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(server_.options_.max_header_bytes));
    parser_->body_limit(std::uint64_t{0});
    stream_.expires_after(absl::ToChronoMilliseconds(server_.options_.timeout));
    beast::http::async_read(stream_, buffer_, *parser_,
                            [self = shared_from_this()](const beast::error_code& error,
                                                        std::size_t) { self->OnRead(error); });
  }
  void Cancel() {
    beast::error_code ignored;
    stream_.socket().close(ignored);
  }

 private:
  void OnRead(const beast::error_code& error) {
    if (!error) {
      server_.places_.Answers(id_);
      Serve();
    } else if (error == beast::http::error::header_limit ||
               error == beast::http::error::buffer_overflow) {
      Reply(Plain(431, "the request's header is too large"), false, false);
    } else if (error == beast::http::error::body_limit) {
      Reply(Plain(413, "a request has no body here"), false, false);
    } else if (error.category() == beast::error_code(beast::http::error::bad_method).category()) {
      if (error != beast::http::error::end_of_stream) {
        Reply(Plain(400, "this is no HTTP request"), false, false);
      }
    }
    // Anything else: the client went away or was too slow, and the connection ends here.
  }

  void Serve() {
    const auto& message = parser_->get();
    const bool head = message.method() == beast::http::verb::head;
    if (!head && message.method() != beast::http::verb::get) {
      Response refusal = Plain(405, "only GET and HEAD are served here");
      refusal.headers.emplace_back("Allow", "GET, HEAD");
      Reply(std::move(refusal), false, false);
      return;
    }
    if (message.count(beast::http::field::host) > 1) {
      Reply(Plain(400, "a request names one Host"), head, false);
      return;
    }
    Request request;
    const absl::string_view target = View(message.target());
    const std::size_t question = target.find('?');
    request.path = std::string(target.substr(0, question));
    if (question != absl::string_view::npos)
      request.query = std::string(target.substr(question + 1));
    for (const auto& field : message) {
      request.headers[absl::AsciiStrToLower(View(field.name_string()))] =
          std::string(View(field.value()));
    }
    const bool keep =
        message.keep_alive() && ++served_ < server_.options_.max_requests_per_connection;
    beast::error_code error;
    const std::string own = stream_.socket().local_endpoint(error).address().to_string();
    Reply(server_.Answer(request, error ? "" : own), head, keep);
  }

  void Reply(Response response, bool head, bool keep) {
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(beast::http::field::content_type, response.content_type);
    response_.set("X-Content-Type-Options", "nosniff");
    response_.set("X-Frame-Options", "DENY");
    response_.set(beast::http::field::cache_control, "no-store");
    for (const auto& [name, value] : response.headers) response_.set(name, value);
    response_.keep_alive(keep);
    response_.content_length(response.body.size());
    if (!head) response_.body() = std::move(response.body);
    stream_.expires_after(absl::ToChronoMilliseconds(server_.options_.timeout));
    beast::http::async_write(
        stream_, response_,
        [self = shared_from_this(), keep](const beast::error_code& error, std::size_t) {
          if (error) return;
          if (keep) {
            self->Read();
            return;
          }
          self->Linger();
        });
  }

  // Reads the rest of a refused request, within bounds: closing at once would reset the connection
  // and take the answer away from the client.
  void Linger() {
    server_.places_.Waits(id_);
    beast::error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(std::chrono::seconds(1));
    Drain(64);
  }
  void Drain(int blocks_left) {
    if (blocks_left == 0) return;
    buffer_.clear();
    stream_.async_read_some(
        buffer_.prepare(8192),
        [self = shared_from_this(), blocks_left](const beast::error_code& error, std::size_t) {
          if (!error) self->Drain(blocks_left - 1);
        });
  }

  Impl& server_;
  const std::uint64_t id_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{64 * 1024};
  std::optional<beast::http::request_parser<beast::http::empty_body>> parser_;
  beast::http::response<beast::http::string_body> response_;
  int served_ = 0;
};

absl::Status Server::Impl::Listen() {
  beast::error_code error;
  const std::string host =
      options_.address.host == "localhost" ? "127.0.0.1" : options_.address.host;
  const asio::ip::address address = asio::ip::make_address(host, error);
  const std::string shown = config::FormatAddress(options_.address);
  if (error) return absl::InvalidArgumentError(absl::StrCat(shown, " has no IP address"));
  const tcp::endpoint endpoint(address, options_.address.port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen for HTTP on ", shown, ": ", error.message(),
                     "; is another process using the port? choose another one as listen.http"));
  }
  port_ = acceptor_.local_endpoint().port();
  return absl::OkStatus();
}

void Server::Impl::Accept() {
  if (stopping_) return;
  acceptor_.async_accept([this](const beast::error_code& error, tcp::socket socket) {
    OnAccept(error, std::move(socket));
  });
}

void Server::Impl::OnAccept(const beast::error_code& error, tcp::socket socket) {
  if (stopping_) return;
  if (error) {
    // Out of descriptors: one of ours is given back, if there is any; a probe may have it.
    if (const std::uint64_t slowest = places_.TakeSlowest(); slowest != 0) Cut(slowest);
    // Accepting again at once would spin.
    logger_.Warn("http.accept_failed", "cannot accept an HTTP connection; trying again in 1 s",
                 {{"reason", error.message()}});
    retry_.emplace(context_, std::chrono::seconds(1));
    retry_->async_wait([this](const beast::error_code& cancelled) {
      if (!cancelled) Accept();
    });
    return;
  }
  const std::uint64_t id = ++last_id_;
  const std::vector<std::uint64_t> lost = places_.Add(id, GroupOf(socket));
  const auto connection = std::make_shared<Connection>(*this, id, std::move(socket));
  connections_.emplace(id, connection.get());
  for (const std::uint64_t slow : lost) Cut(slow);
  connection->Read();
  Accept();
}

void Server::Impl::Cut(std::uint64_t id) {
  const auto connection = connections_.find(id);
  if (connection == connections_.end()) return;
  connection->second->Cancel();
  ++cut_;
  if (crowded_.has_value()) return;
  crowded_.emplace(context_, kCrowdedTold);
  crowded_->async_wait([this](const beast::error_code&) { crowded_.reset(); });
  logger_.Warn("http.crowded",
               "more connections than there are places for: the slowest are cut, probes go on",
               {{"cut", std::exchange(cut_, 0)},
                {"places", options_.max_connections},
                {"places_per_address", options_.max_connections_per_address}});
}

void Server::Impl::OnClosed(std::uint64_t id) {
  places_.Remove(id);
  connections_.erase(id);
}

Response Server::Impl::Answer(const Request& request, absl::string_view own_address) const {
  const std::pair<std::string, Handler>* best = nullptr;
  for (const auto& handler : handlers_) {
    const std::string& path = handler.first;
    const bool match =
        request.path == path || (absl::EndsWith(path, "/") && absl::StartsWith(request.path, path));
    if (match && (best == nullptr || path.size() > best->first.size())) best = &handler;
  }
  if (best == nullptr) return Plain(404, "there is no such page");
  if (IsProbe(best->first)) return best->second(request);
  const auto host = request.headers.find("host");
  absl::string_view asked;
  if (host != request.headers.end()) asked = host->second;
  if (AsksForUs(asked, own_address, options_.hosts)) return best->second(request);
  return Plain(
      421,
      absl::StrCat("this server is not \"", base::DisplayName(asked.substr(0, kShownHostBytes)),
                   "\": ask for it as localhost or by its address",
                   options_.hosts_key.empty() ? "" : ", or add the name to ", options_.hosts_key));
}

void Server::Impl::Stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] {
    stopping_ = true;
    beast::error_code ignored;
    acceptor_.close(ignored);
    if (retry_.has_value()) retry_->cancel();
    if (crowded_.has_value()) crowded_->cancel();
    for (const auto& [id, connection] : connections_) connection->Cancel();
  });
  thread_.join();
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options, std::vector<std::pair<std::string, Handler>> handlers,
    log::Logger& logger) {
  auto impl = std::make_unique<Impl>(options, std::move(handlers), logger);
  if (absl::Status status = impl->Listen(); !status.ok()) return status;
  impl->Run();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

std::uint16_t Server::port() const { return impl_->port(); }
void Server::Stop() { impl_->Stop(); }

std::vector<std::pair<std::string, Handler>> StandardHandlers(const metrics::Registry& metrics,
                                                              const Liveness& liveness,
                                                              const Readiness& readiness) {
  return {
      {"/metrics",
       [&metrics](const Request&) {
         Response response;
         response.content_type = "text/plain; version=0.0.4; charset=utf-8";
         response.body = metrics.Text();
         return response;
       }},
      {"/healthz",
       [&liveness](const Request&) {
         Response response;
         response.body = liveness.Text();
         response.status = liveness.alive() ? 200 : 503;
         return response;
       }},
      {"/readyz",
       [&readiness](const Request&) {
         Response response;
         response.body = readiness.Text();
         response.status = readiness.ready() ? 200 : 503;
         return response;
       }},
  };
}

}  // namespace netsentinel::http
