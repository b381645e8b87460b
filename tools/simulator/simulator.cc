#include "tools/simulator/simulator.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "common/base/status_macros.h"
#include "tools/simulator/byte_stream.h"
#include "tools/simulator/connection.h"
#include "tools/simulator/json_text.h"

namespace netsentinel::simulator {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr std::chrono::minutes kHangLimit{10};

}  // namespace

Simulator::Simulator(asio::io_context& io, const SimulatedTime& time, TruthLog& truth,
                     SimulatorOptions options)
    : io_(io),
      options_(std::move(options)),
      shared_{.time = time, .truth = truth},
      start_us_(time.NowUs()),
      event_timer_(io) {}

RouterHost* Simulator::FindHost(const std::string& id) {
  const auto found = hosts_.find(id);
  return found == hosts_.end() ? nullptr : found->second.get();
}

std::vector<std::string> Simulator::RouterIds() const {
  std::vector<std::string> ids;
  ids.reserve(hosts_.size());
  for (const auto& [id, host] : hosts_) ids.push_back(id);
  return ids;
}

absl::StatusOr<std::shared_ptr<asio::ssl::context>> Simulator::TlsContext(
    const RouterEntry& entry) {
  if (!entry.anonymous_tls && entry.cert_file.empty()) return nullptr;
  std::shared_ptr<asio::ssl::context>& context =
      tls_contexts_[entry.anonymous_tls ? "" : absl::StrCat(entry.cert_file, "\n", entry.key_file)];
  if (context == nullptr) {
    NS_ASSIGN_OR_RETURN(context, entry.anonymous_tls
                                     ? MakeAnonymousContext()
                                     : MakeTlsContext(entry.cert_file, entry.key_file));
  }
  return context;
}

absl::StatusOr<std::uint16_t> Simulator::Listen(RouterHost& host, std::uint16_t port,
                                                const std::shared_ptr<asio::ssl::context>& tls) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(options_.listen, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen is not an address: ", options_.listen));
  }
  auto acceptor = std::make_unique<Acceptor>(io_);
  const tcp::endpoint endpoint(address, port);
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(Acceptor::reuse_address(true), error);
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    return absl::UnavailableError(absl::StrCat("router ", host.router().id(), " cannot listen on ",
                                               options_.listen, ":", port, ": ", error.message()));
  }
  const std::uint16_t chosen = acceptor->local_endpoint().port();
  asio::co_spawn(
      io_,
      [this, &acceptor = *acceptor, &host, tls]() -> asio::awaitable<void> {
        co_await Accept(acceptor, host, tls);
      },
      asio::detached);
  acceptors_.push_back(std::move(acceptor));
  return chosen;
}

asio::awaitable<void> Simulator::Accept(Acceptor& acceptor, RouterHost& host,
                                        std::shared_ptr<asio::ssl::context> tls) {
  while (!stopping_) {
    boost::system::error_code error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (stopping_) co_return;
    if (error) {
      // Out of descriptors, or a client that left: not a reason to stop, nor to spin.
      asio::steady_timer pause(io_);
      pause.expires_after(std::chrono::milliseconds(50));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    socket.set_option(tcp::no_delay(true), error);
    const std::string from = socket.remote_endpoint(error).address().to_string();
    const Denial denial = host.router().DenialOf(tls != nullptr, from);
    if (denial == Denial::kHang) {
      auto held = std::make_shared<tcp::socket>(std::move(socket));
      asio::co_spawn(
          io_, [this, held]() -> asio::awaitable<void> { co_await Hang(std::move(*held)); },
          asio::detached);
      continue;
    }
    if (denial == Denial::kClose || !host.Admit()) continue;
    auto connection =
        std::make_shared<Connection>(io_, host,
                                     tls == nullptr ? MakePlainStream(std::move(socket))
                                                    : MakeTlsStream(std::move(socket), *tls));
    host.Enter(connection);
    connection->Start();
  }
}

asio::awaitable<void> Simulator::Hang(tcp::socket socket) {
  // Says nothing until the client gives up, the simulator stops or ten minutes are over.
  asio::steady_timer limit(io_);
  const auto until = asio::steady_timer::clock_type::now() + kHangLimit;
  while (!stopping_ && asio::steady_timer::clock_type::now() < until) {
    boost::system::error_code error;
    char ignored[256];
    socket.non_blocking(true, error);
    const std::size_t count = socket.read_some(asio::buffer(ignored), error);
    if (count == 0 && error != asio::error::would_block) co_return;
    limit.expires_after(std::chrono::milliseconds(100));
    co_await limit.async_wait(asio::redirect_error(asio::use_awaitable, error));
  }
}

absl::Status Simulator::AddRouter(const RouterEntry& entry, std::uint64_t seed) {
  NS_ASSIGN_OR_RETURN(Router router, Router::Create(entry.spec, seed, start_us_));
  auto host = std::make_unique<RouterHost>(std::move(router), shared_);
  NS_ASSIGN_OR_RETURN(const std::shared_ptr<asio::ssl::context> tls, TlsContext(entry));
  if (entry.plain) {
    NS_ASSIGN_OR_RETURN(host->api_port, Listen(*host, entry.api_port, nullptr));
  }
  if (tls != nullptr) {
    NS_ASSIGN_OR_RETURN(host->api_ssl_port, Listen(*host, entry.api_ssl_port, tls));
  }
  hosts_.emplace(entry.spec.id, std::move(host));
  return absl::OkStatus();
}

absl::Status Simulator::Start(const Scenario& scenario) {
  shared_.truth.Start(shared_.time.Now(), options_.seed, shared_.time.speed());
  base::SeededRandom seeds(options_.seed);
  for (const RouterEntry& entry : scenario.routers) {
    NS_RETURN_IF_ERROR(AddRouter(entry, seeds.Next()));
  }
  if (!options_.control.empty()) {
    NS_ASSIGN_OR_RETURN(control_, StartControl(io_, options_.control, *this));
  }
  NS_RETURN_IF_ERROR(WritePortsFile());
  asio::co_spawn(
      io_,
      [this, events = scenario.events]() -> asio::awaitable<void> { co_await RunEvents(events); },
      asio::detached);
  return absl::OkStatus();
}

asio::awaitable<void> Simulator::RunEvents(std::vector<TimedEvent> events) {
  std::size_t next = 0;
  while (!stopping_) {
    const std::int64_t now_us = shared_.time.NowUs() - start_us_;
    if (options_.stop_after_us != 0 && now_us >= options_.stop_after_us) {
      Stop();
      co_return;
    }
    while (next < events.size() && events[next].at_us <= now_us) {
      const TimedEvent& event = events[next++];
      const auto result = FindHost(event.router)->Apply(event.verb, event.arguments);
      if (!result.ok()) {
        std::fprintf(stderr, "netsentinel-simulator: event %s at router %s: %s\n",
                     event.verb.c_str(), event.router.c_str(),
                     std::string(result.status().message()).c_str());
      }
    }
    std::int64_t wait_us = -1;
    if (next < events.size()) wait_us = events[next].at_us - now_us;
    if (options_.stop_after_us != 0) {
      const std::int64_t rest_us = options_.stop_after_us - now_us;
      wait_us = wait_us < 0 ? rest_us : std::min(wait_us, rest_us);
    }
    if (wait_us < 0) co_return;
    boost::system::error_code ignored;
    event_timer_.expires_after(absl::ToChronoMicroseconds(shared_.time.HostDuration(wait_us)) +
                               std::chrono::microseconds(1));
    co_await event_timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
}

absl::Status Simulator::WritePortsFile() const {
  if (options_.ports_file.empty()) return absl::OkStatus();
  std::string json = "{";
  if (control_ != nullptr) {
    absl::StrAppend(&json, "\"control\":", JsonString(control_->address()), ",");
  }
  absl::StrAppend(&json, "\"routers\":{");
  const char* separator = "";
  for (const auto& [id, host] : hosts_) {
    absl::StrAppend(&json, separator, "\n", JsonString(id),
                    ":{\"address\":", JsonString(options_.listen), ",\"api\":", host->api_port);
    absl::StrAppend(&json, ",\"api_ssl\":", host->api_ssl_port, "}");
    separator = ",";
  }
  absl::StrAppend(&json, "}}\n");
  // Whoever waits for the file must never see half of it.
  const std::string temporary = absl::StrCat(options_.ports_file, ".new");
  std::FILE* file = std::fopen(temporary.c_str(), "wb");
  if (file == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", temporary));
  }
  const bool written = std::fwrite(json.data(), 1, json.size(), file) == json.size();
  if (std::fclose(file) != 0 || !written ||
      std::rename(temporary.c_str(), options_.ports_file.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", options_.ports_file));
  }
  return absl::OkStatus();
}

void Simulator::Stop() {
  if (stopping_) return;
  stopping_ = true;
  boost::system::error_code ignored;
  for (const auto& acceptor : acceptors_) acceptor->close(ignored);
  event_timer_.cancel();
  if (control_ != nullptr) control_->Stop();
  for (const auto& [id, host] : hosts_) {
    host->CutConnections();
    host->router().engine().AdvanceTo(shared_.time.NowUs());
    host->LogMoved();
  }
  shared_.truth.Stop(shared_.time.Now());
  if (on_stopped_) on_stopped_();
}

}  // namespace netsentinel::simulator
