#include "collector/routeros/asio_client.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "collector/routeros/asio_name_service.h"
#include "collector/routeros/openssl_md5.h"
#include "collector/routeros/parsers.h"
#include "collector/routeros/router_error.h"

namespace netsentinel::routeros {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

// One TLS record; a larger buffer buys no speed and costs memory for every router.
constexpr std::size_t kReadBytes = 16 * 1024;
// A router that vanished without a word is noticed after 30 + 3 · 10 s, well below the time after
// which firewalls forget an idle connection.
constexpr int kKeepAliveIdleSeconds = 30;
constexpr int kKeepAliveIntervalSeconds = 10;
constexpr int kKeepAliveProbes = 3;
// A silence is noticed when so many looks in a row find none of the router's bytes.
constexpr int kLooksAtSilence = 8;

std::uint16_t PortOf(const RouterEndpoint& endpoint) {
  if (endpoint.port != 0) return endpoint.port;
  return endpoint.use_tls ? kApiSslPort : kApiPort;
}

std::string AddressOf(const RouterEndpoint& endpoint) {
  const bool v6 = absl::StrContains(endpoint.host, ':');
  return absl::StrCat(v6 ? "[" : "", endpoint.host, v6 ? "]:" : ":", PortOf(endpoint));
}

// "eth0" of "fe80::1%eth0".
absl::string_view ZoneOf(absl::string_view host) {
  const std::size_t percent = host.find('%');
  return percent == absl::string_view::npos ? "" : host.substr(percent + 1);
}

// 0 when there is no such interface.
unsigned InterfaceIndex(absl::string_view zone) {
  unsigned number = 0;
  if (absl::SimpleAtoi(zone, &number)) return number;
  return if_nametoindex(std::string(zone).c_str());
}

absl::Status Unreachable(absl::string_view message) {
  return RouterStatus(RouterError::kUnreachable, message);
}

}  // namespace

struct AsioClient::Guard {
  bool done = false;
  bool expired = false;
  bool closed = false;  // by Close
  // What ran out, in words for a sentence; once expired.
  std::string why;
  absl::Duration deadline;
  // Bytes have come since the last look at it, and looks at which none had.
  bool heard = false;
  int silent_looks = 0;
};

AsioClient::AsioClient(asio::any_io_executor executor, RouterEndpoint endpoint,
                       SessionLimits limits, std::optional<asio::any_io_executor> workers)
    : executor_(std::move(executor)),
      endpoint_(std::move(endpoint)),
      limits_(limits),
      workers_(std::move(workers)),
      address_(AddressOf(endpoint_)),
      deadline_timer_(executor_),
      silence_timer_(executor_),
      dial_timer_(executor_),
      socket_(executor_),
      busy_(std::make_shared<bool>(false)) {}

AsioClient::~AsioClient() { DropConnection(); }

void AsioClient::DropConnection() {
  connected_ = false;
  error_code ignored;
  socket_.close(ignored);
  if (resolve_wake_ != nullptr) resolve_wake_->cancel();
}

void AsioClient::Close() {
  if (guard_ != nullptr) guard_->closed = true;
  DropConnection();
}

absl::Status AsioClient::Named(const absl::Status& status) const {
  return RouterStatus(RouterErrorOf(status).value_or(RouterError::kUnreachable),
                      absl::StrCat(address_, ": ", status.message()));
}

std::shared_ptr<AsioClient::Guard> AsioClient::Arm(asio::steady_timer& timer,
                                                   absl::Duration deadline) {
  auto guard = std::make_shared<Guard>();
  guard->deadline = deadline;
  timer.expires_after(absl::ToChronoNanoseconds(deadline));
  timer.async_wait([this, guard](const error_code& error) {
    // `done` is set before the client can go, so it is looked at first.
    if (guard->done || error) return;
    Expire(*guard, absl::StrCat("no end within ", absl::FormatDuration(guard->deadline)));
  });
  return guard;
}

void AsioClient::Expire(Guard& guard, std::string why) {
  guard.expired = true;
  guard.why = std::move(why);
  DropConnection();
}

// Bytes only leave a note that they came; a timer looks at it several times in the time allowed.
void AsioClient::WatchSilence(const std::shared_ptr<Guard>& guard, absl::Duration silence) {
  silence_timer_.expires_after(absl::ToChronoNanoseconds(silence / kLooksAtSilence));
  silence_timer_.async_wait([this, guard, silence](const error_code& error) {
    if (guard->done || error) return;
    guard->silent_looks = std::exchange(guard->heard, false) ? 0 : guard->silent_looks + 1;
    if (guard->silent_looks < kLooksAtSilence) return WatchSilence(guard, silence);
    Expire(*guard, absl::StrCat("nothing came for ", absl::FormatDuration(silence)));
  });
}

asio::awaitable<absl::StatusOr<AsioClient::Endpoints>> AsioClient::Resolve(
    absl::Duration deadline) {
  const absl::string_view zone = ZoneOf(endpoint_.host);
  if (!zone.empty() && InterfaceIndex(zone) == 0) {
    co_return Unreachable(absl::StrCat("this host has no interface '", zone,
                                       "': give the one that leads to the router"));
  }
  error_code error;
  const asio::ip::address address = asio::ip::make_address(endpoint_.host, error);
  if (!error) co_return Endpoints{tcp::endpoint(address, PortOf(endpoint_))};

  struct Answer {
    bool done = false;
    error_code error;
    Endpoints endpoints;
  };
  auto answer = std::make_shared<Answer>();
  auto wake = std::make_shared<asio::steady_timer>(executor_);
  resolve_wake_ = wake;
  wake->expires_after(absl::ToChronoNanoseconds(deadline));
  asio::use_service<NameService>(asio::query(executor_, asio::execution::context))
      .Ask(endpoint_.host, std::to_string(PortOf(endpoint_)),
           [executor = executor_, answer, wake](const NameService::Answer& found) {
             asio::post(executor, [answer, wake, found] {
               *answer = {.done = true, .error = found.error, .endpoints = found.endpoints};
               wake->cancel();
             });
           });
  co_await wake->async_wait(asio::redirect_error(asio::use_awaitable, error));
  resolve_wake_.reset();
  if (!answer->done) {
    co_return Unreachable(absl::StrCat("no answer of the name service for '", endpoint_.host,
                                       "': give the router's address, or check DNS"));
  }
  if (answer->error || answer->endpoints.empty()) {
    co_return Unreachable(absl::StrCat("the name '", endpoint_.host, "' has no address (",
                                       answer->error.message(), "): check its spelling and DNS"));
  }
  co_return std::move(answer->endpoints);
}

asio::awaitable<error_code> AsioClient::DialOne(tcp::endpoint endpoint, absl::Duration deadline) {
  error_code error;
  socket_.close(error);
  const std::shared_ptr<Guard> guard = Arm(dial_timer_, deadline);
  error.clear();
  co_await socket_.async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
  guard->done = true;
  dial_timer_.cancel();
  co_return guard->expired ? error_code(asio::error::timed_out) : error;
}

asio::awaitable<absl::Status> AsioClient::Dial(absl::Duration deadline) {
  const absl::StatusOr<Endpoints> endpoints = co_await Resolve(deadline);
  if (!endpoints.ok()) co_return endpoints.status();
  // A first address that swallows packets must leave time for the others.
  const absl::Duration share = deadline / static_cast<std::int64_t>(endpoints->size());
  std::string tried;
  for (const tcp::endpoint& endpoint : *endpoints) {
    if (guard_->closed || guard_->expired) break;
    const error_code error = co_await DialOne(endpoint, share);
    if (!error) {
      KeepAlive();
      co_return absl::OkStatus();
    }
    absl::StrAppend(&tried, tried.empty() ? "" : "; ", endpoint.address().to_string(), ": ",
                    error.message());
  }
  if (guard_->closed) co_return Unreachable("closed while connecting");
  const char* service = endpoint_.use_tls ? "api-ssl" : "api";
  co_return Unreachable(
      absl::StrCat("cannot connect (", tried,
                   "): check the address, the firewall between, and that /ip/service ", service,
                   " is enabled on this port"));
}

void AsioClient::KeepAlive() {
  error_code ignored;
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  const int native = socket_.native_handle();
  const std::array<std::pair<int, int>, 3> options = {{{TCP_KEEPIDLE, kKeepAliveIdleSeconds},
                                                       {TCP_KEEPINTVL, kKeepAliveIntervalSeconds},
                                                       {TCP_KEEPCNT, kKeepAliveProbes}}};
  for (const auto& [option, value] : options) {
    setsockopt(native, IPPROTO_TCP, option, &value, sizeof(value));
  }
}

asio::awaitable<absl::Status> AsioClient::Handshake() {
  absl::StatusOr<std::unique_ptr<asio::ssl::context>> context = MakeTlsContext(endpoint_.tls);
  if (!context.ok()) co_return RouterStatus(RouterError::kTlsRefused, context.status().message());
  tls_context_ = *std::move(context);
  tls_.emplace(socket_, *tls_context_);
  const absl::Status prepared = PrepareTls(tls_->native_handle(), endpoint_.tls, endpoint_.host);
  if (!prepared.ok()) co_return prepared;
  error_code error;
  co_await tls_->async_handshake(asio::ssl::stream_base::client,
                                 asio::redirect_error(asio::use_awaitable, error));
  if (guard_->expired) {
    co_return Unreachable(absl::StrCat("no end of the TLS handshake within ",
                                       absl::FormatDuration(guard_->deadline),
                                       ": check that this is the port of api-ssl"));
  }
  if (error) co_return TlsFailure(tls_->native_handle(), endpoint_.tls, error);
  co_return JudgeTls(tls_->native_handle(), endpoint_.tls);
}

asio::awaitable<void> AsioClient::Transfer() {
  error_code error;
  if (!session_->output().empty()) {
    const absl::string_view output = session_->output();
    const asio::const_buffer buffer(output.data(), output.size());
    std::size_t written = 0;
    if (tls_.has_value()) {
      written = co_await asio::async_write(*tls_, buffer,
                                           asio::redirect_error(asio::use_awaitable, error));
    } else {
      written = co_await asio::async_write(socket_, buffer,
                                           asio::redirect_error(asio::use_awaitable, error));
    }
    session_->OnWritten(written);
  }
  if (!error) {
    const absl::Span<char> space = session_->ReadSpace(kReadBytes);
    const asio::mutable_buffer buffer(space.data(), space.size());
    std::size_t read = 0;
    if (tls_.has_value()) {
      read =
          co_await tls_->async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
    } else {
      read = co_await socket_.async_read_some(buffer,
                                              asio::redirect_error(asio::use_awaitable, error));
    }
    session_->OnRead(read);
    guard_->heard = guard_->heard || read > 0;
  }
  if (guard_->expired) {
    session_->OnDisconnect(absl::DeadlineExceededError(guard_->why));
  } else if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
    session_->OnDisconnect(absl::OkStatus());
  } else if (error) {
    session_->OnDisconnect(absl::UnavailableError(error.message()));
  }
}

asio::awaitable<absl::Status> AsioClient::Login() {
  session_.emplace(limits_, Md5WithOpenSsl);
  session_->Login(endpoint_.credentials, endpoint_.login);
  while (true) {
    const SessionEvent event = session_->Next();
    switch (event.kind) {
      case SessionEvent::Kind::kNeedInput:
        co_await Transfer();
        break;
      case SessionEvent::Kind::kLoggedIn:
        co_return absl::OkStatus();
      case SessionEvent::Kind::kClosed:
        co_return session_->failure();
      case SessionEvent::Kind::kRow:
      case SessionEvent::Kind::kDone:
        break;
    }
  }
}

asio::awaitable<absl::Status> AsioClient::ConnectUnderDeadline(absl::Duration deadline) {
  absl::Status status = co_await Dial(deadline);
  if (status.ok() && endpoint_.use_tls) status = co_await Handshake();
  if (status.ok()) status = co_await Login();
  co_return status;
}

asio::awaitable<absl::Status> AsioClient::Connect(absl::Duration deadline) {
  const BusyScope busy(busy_);
  DropConnection();
  tls_.reset();
  guard_ = Arm(deadline_timer_, deadline);
  const absl::Status status = co_await ConnectUnderDeadline(deadline);
  guard_->done = true;
  deadline_timer_.cancel();
  if (!status.ok()) {
    DropConnection();
    co_return Named(status);
  }
  connected_ = true;
  readers_.clear();
  co_return absl::OkStatus();
}

void AsioClient::HandRow(const Call& call, Sentence row) const {
  const auto found = [this](absl::string_view word) { return session_->mask().Finds(word); };
  if (call.raw_rows || std::none_of(row.begin(), row.end(), found)) return call.on_row(row);
  std::vector<std::string> masked;
  for (const absl::string_view word : row) {
    // Only what stands behind the key is the router's to choose.
    const std::optional<Attribute> attribute = ParseAttribute(word);
    masked.push_back(attribute.has_value() ? absl::StrCat("=", attribute->key, "=",
                                                          session_->mask().Masked(attribute->value))
                                           : std::string(word));
  }
  const std::vector<absl::string_view> words(masked.begin(), masked.end());
  call.on_row(words);
}

asio::awaitable<absl::Status> AsioClient::RunAll(absl::Span<Call> calls, Patience patience) {
  if (!connected_) co_return Named(Unreachable("not connected"));
  for (Call& call : calls) {
    const absl::StatusOr<RequestTag> tag = session_->Send(call.words);
    if (!tag.ok()) co_return Named(tag.status());
    call.tag = *tag;
  }
  guard_ = Arm(deadline_timer_, patience.total);
  WatchSilence(guard_, patience.silence);
  std::size_t running = calls.size();
  while (running > 0) {
    const SessionEvent event = session_->Next();
    if (event.kind == SessionEvent::Kind::kNeedInput) {
      co_await Transfer();
      continue;
    }
    if (event.kind == SessionEvent::Kind::kClosed) break;
    for (Call& call : calls) {
      if (call.tag != event.tag) continue;
      if (event.kind == SessionEvent::Kind::kRow) {
        HandRow(call, event.row);
      } else {
        call.result = *event.result;
        --running;
      }
    }
  }
  guard_->done = true;
  deadline_timer_.cancel();
  silence_timer_.cancel();
  if (session_->closed()) {
    DropConnection();
    co_return Named(session_->failure());
  }
  co_return absl::OkStatus();
}

asio::awaitable<absl::StatusOr<CommandResult>> AsioClient::Run(
    absl::Span<const absl::string_view> words, absl::FunctionRef<void(Sentence)> on_row,
    Patience patience) {
  const BusyScope busy(busy_);
  std::array<Call, 1> calls = {Call{words, on_row}};
  const absl::Status status = co_await RunAll(absl::MakeSpan(calls), patience);
  if (!status.ok()) co_return status;
  if (!calls[0].result.status.ok()) co_return Named(calls[0].result.status);
  co_return std::move(calls[0].result);
}

}  // namespace netsentinel::routeros
