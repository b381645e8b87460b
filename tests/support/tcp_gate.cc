#include "tests/support/tcp_gate.h"

#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"

namespace netsentinel::test {
namespace {

constexpr int kPollMilliseconds = 50;

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

bool Forward(int to, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

// Waits until the server has answered or hung up, so that it has surely done what it was sent.
void AwaitAnswer(int server) {
  pollfd waiting{server, POLLIN, 0};
  ::poll(&waiting, 1, 10'000);
}

}  // namespace

TcpGate::TcpGate(std::uint16_t server_port) : server_port_(server_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  NS_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  NS_CHECK(::listen(listener_, 16) == 0, "listen");
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Accept(); });
}

TcpGate::~TcpGate() {
  stopping_ = true;
  thread_.join();
  ::close(listener_);
}

void TcpGate::CutOn(absl::string_view bytes, Cut cut) {
  base::MutexLock lock(mutex_);
  awaited_ = std::string(bytes);
  cut_ = cut;
}

bool TcpGate::Matches(absl::string_view piece, Cut& cut) {
  base::MutexLock lock(mutex_);
  if (awaited_.empty() || piece.find(awaited_) == absl::string_view::npos) return false;
  awaited_.clear();
  cut = cut_;
  ++cuts_;
  return true;
}

void TcpGate::Accept() {
  std::vector<std::thread> relays;
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (::poll(&waiting, 1, kPollMilliseconds) <= 0) continue;
    const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    if (closed_) {
      ::close(client);
      continue;
    }
    const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(server_port_);
    if (::connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      ::close(client);
      ::close(server);
      continue;
    }
    relays.emplace_back([this, client, server] { Relay(client, server); });
  }
  for (std::thread& relay : relays) relay.join();
}

void TcpGate::Relay(int client, int server) {
  std::vector<char> buffer(64 * 1024);
  bool open = true;
  while (open && !stopping_ && !closed_) {
    pollfd waiting[2] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
    if (::poll(waiting, 2, kPollMilliseconds) <= 0) continue;
    for (int side = 0; side < 2 && open; ++side) {
      if (waiting[side].revents == 0) continue;
      const ssize_t size = ::recv(waiting[side].fd, buffer.data(), buffer.size(), 0);
      const absl::string_view piece(buffer.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
      Cut cut = Cut::kBefore;
      if (size <= 0) {
        open = false;
      } else if (side == 0 && Matches(piece, cut)) {
        if (cut == Cut::kAfter && Forward(server, piece)) AwaitAnswer(server);
        open = false;
      } else {
        open = Forward(side == 0 ? server : client, piece);
      }
    }
  }
  ::close(client);
  ::close(server);
}

}  // namespace netsentinel::test
