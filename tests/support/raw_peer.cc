#include "tests/support/raw_peer.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/base/check.h"

namespace netsentinel::test {

RawPeer::RawPeer(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  NS_CHECK(socket_.valid(), "no descriptor for a test's client");
  SetTimeout(absl::Seconds(20));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  connected_ = ::connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) == 0;
}

RawPeer::RawPeer(std::uint16_t port, const config::TlsFiles& files) : RawPeer(port) {
  // A server that refuses closes its end while we may still be writing.
  std::signal(SIGPIPE, SIG_IGN);
  context_.reset(SSL_CTX_new(TLS_client_method()));
  if (!files.cert.empty()) {
    NS_CHECK(SSL_CTX_use_certificate_chain_file(context_.get(), files.cert.c_str()) == 1,
             files.cert);
    NS_CHECK(SSL_CTX_use_PrivateKey_file(context_.get(), files.key.c_str(), SSL_FILETYPE_PEM) == 1,
             files.key);
  }
  ssl_.reset(SSL_new(context_.get()));
  constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl_.get(), kHttp2.data(), kHttp2.size());
  SSL_set_fd(ssl_.get(), socket_.get());
  connected_ = SSL_connect(ssl_.get()) == 1;
  ERR_clear_error();
}

void RawPeer::SetTimeout(absl::Duration limit) {
  const timeval time = absl::ToTimeval(std::max(limit, absl::Milliseconds(1)));
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
  ::setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

bool RawPeer::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t sent = 0;
    if (ssl_ != nullptr) {
      if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &sent) != 1) {
        ERR_clear_error();
        return false;
      }
    } else {
      const ssize_t count = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      sent = static_cast<std::size_t>(count);
    }
    bytes.remove_prefix(sent);
  }
  return true;
}

std::string RawPeer::Read(std::size_t limit) {
  std::string all;
  std::array<char, 4096> piece;
  while (all.size() < limit) {
    std::size_t got = 0;
    if (ssl_ != nullptr) {
      if (SSL_read_ex(ssl_.get(), piece.data(), piece.size(), &got) != 1) {
        ERR_clear_error();
        break;
      }
    } else {
      const ssize_t count = ::recv(socket_.get(), piece.data(), piece.size(), 0);
      if (count <= 0) break;
      got = static_cast<std::size_t>(count);
    }
    all.append(piece.data(), got);
  }
  return all;
}

bool RawPeer::ClosedWithin(absl::Duration limit) {
  SetTimeout(limit);
  std::array<char, 4096> piece;
  ssize_t count = 0;
  while ((count = ::recv(socket_.get(), piece.data(), piece.size(), 0)) > 0) {
  }
  return count == 0 || errno == ECONNRESET;
}

std::string HalfHello() {
  // A handshake record of 16,379 bytes, in it a ClientHello of 32 KiB.
  std::string hello("\x16\x03\x01\x3f\xfb\x01\x00\x80\x00\x03\x03", 11);
  hello.append(32, 'r');
  hello.append("\0\0\2\x13\x01\1\0\x7f\x00\x00\x15\x7e\xfc", 13);
  hello.append(16 * 1024 - hello.size(), '\0');
  return hello;
}

}  // namespace netsentinel::test
