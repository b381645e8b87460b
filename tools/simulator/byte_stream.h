#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>

namespace netsentinel::simulator {

// A connection, plain or TLS. One thread; at most one read and one write at a time.
class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // The TLS handshake of a server; nothing for a plain connection. False when it failed.
  virtual boost::asio::awaitable<bool> Handshake() = 0;
  // At least one byte, or 0 when the connection ended.
  virtual boost::asio::awaitable<std::size_t> ReadSome(char* to, std::size_t size) = 0;
  // All bytes; false when the connection ended.
  virtual boost::asio::awaitable<bool> Write(absl::string_view bytes) = 0;
  // Ends reads and writes; the peer sees an EOF. Repeats do nothing.
  virtual void Close() = 0;
  virtual bool tls() const = 0;
};

std::unique_ptr<ByteStream> MakePlainStream(boost::asio::ip::tcp::socket socket);
// `context` must outlive the stream.
std::unique_ptr<ByteStream> MakeTlsStream(boost::asio::ip::tcp::socket socket,
                                          boost::asio::ssl::context& context);

// A server's side of TLS with a certificate and its key, both PEM files.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> MakeTlsContext(
    const std::string& cert_file, const std::string& key_file);
// As api-ssl with certificate=none: anonymous Diffie-Hellman, up to TLS 1.2.
absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> MakeAnonymousContext();

// MD5 for the challenge login.
std::string Md5(const std::string& bytes);

}  // namespace netsentinel::simulator
