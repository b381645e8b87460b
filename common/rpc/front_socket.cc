#include "common/rpc/front_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "common/base/status_macros.h"

namespace netsentinel::rpc {
namespace {

// What waits for the door's turn; the kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;
constexpr int kSocketFlags = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;

absl::Status Failed(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(what, ": ", std::strerror(errno)));
}

bool IsWildcard(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

socklen_t ToSocketAddress(const config::Address& address, sockaddr_storage& out) {
  out = {};
  const std::string host = address.host == "localhost" ? "127.0.0.1" : address.host;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&out);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(address.port);
    return sizeof(sockaddr_in);
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) != 1) return 0;
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(address.port);
  return sizeof(sockaddr_in6);
}

absl::StatusOr<io::FileDescriptor> ListenOn(const config::Address& address, bool both_kinds) {
  sockaddr_storage where;
  const socklen_t length = ToSocketAddress(address, where);
  if (length == 0) return absl::UnavailableError("is not an IP address");
  io::FileDescriptor listening(::socket(where.ss_family, kSocketFlags, 0));
  if (!listening.valid()) return Failed("socket");
  const int on = 1;
  ::setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (where.ss_family == AF_INET6) {
    const int v6_only = both_kinds ? 0 : 1;
    ::setsockopt(listening.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
  }
  if (::bind(listening.get(), reinterpret_cast<sockaddr*>(&where), length) != 0) {
    return Failed("bind");
  }
  if (::listen(listening.get(), kBacklog) != 0) return Failed("listen");
  return listening;
}

}  // namespace

absl::StatusOr<io::FileDescriptor> Listen(const config::Address& address) {
  if (!IsWildcard(address.host)) return ListenOn(address, false);
  absl::StatusOr<io::FileDescriptor> both = ListenOn({"::", address.port}, true);
  if (both.ok() || errno == EADDRINUSE) return both;
  return ListenOn({"0.0.0.0", address.port}, false);
}

std::uint16_t LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

std::string AddressText(const sockaddr_storage& address, std::string* host) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  std::string network;
  config::Address out;
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      inet_ntop(AF_INET, &v6.sin6_addr.s6_addr[12], text.data(), text.size());
    } else {
      in6_addr begin = v6.sin6_addr;
      std::fill(&begin.s6_addr[8], &begin.s6_addr[8] + 8, std::uint8_t{0});
      inet_ntop(AF_INET6, &begin, text.data(), text.size());
      network = absl::StrCat(text.data(), "/64");
      inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    }
    out.port = ntohs(v6.sin6_port);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    out.port = ntohs(v4.sin_port);
  }
  out.host = text.data();
  if (host != nullptr) *host = network.empty() ? out.host : network;
  return config::FormatAddress(out);
}

absl::StatusOr<InProcess> ConnectInProcess(base::RandomSource& random) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, kSocketFlags, 0, ends.data()) != 0) return Failed("socketpair");
  InProcess made{io::FileDescriptor(ends[0]), io::FileDescriptor(ends[1]),
                 absl::StrFormat("netsentinel-%016x%016x", random.Next(), random.Next())};
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // A leading zero byte makes it a name that is not a file.
  std::memcpy(&name.sun_path[1], made.token.data(), made.token.size());
  const auto length =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + made.token.size());
  if (::bind(made.ours.get(), reinterpret_cast<sockaddr*>(&name), length) != 0) {
    return Failed("bind");
  }
  return made;
}

absl::StatusOr<io::FileDescriptor> DialOwn(int listening) {
  sockaddr_storage where{};
  socklen_t length = sizeof(where);
  if (::getsockname(listening, reinterpret_cast<sockaddr*>(&where), &length) != 0) {
    return Failed("getsockname");
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&where);
  auto* v4 = reinterpret_cast<sockaddr_in*>(&where);
  if (where.ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
    // A host without IPv6 on loopback still has 127.0.0.1.
    const std::uint16_t port = v6->sin6_port;
    where = {};
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    length = sizeof(sockaddr_in);
  } else if (where.ss_family == AF_INET && v4->sin_addr.s_addr == htonl(INADDR_ANY)) {
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  io::FileDescriptor dialled(::socket(where.ss_family, kSocketFlags, 0));
  if (!dialled.valid()) return Failed("socket");
  if (::connect(dialled.get(), reinterpret_cast<sockaddr*>(&where), length) != 0 &&
      errno != EINPROGRESS) {
    return Failed("connect");
  }
  return dialled;
}

}  // namespace netsentinel::rpc
