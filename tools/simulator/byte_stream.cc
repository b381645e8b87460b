#include "tools/simulator/byte_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <openssl/evp.h>
#include <openssl/ssl.h>

namespace netsentinel::simulator {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

void CloseSocket(tcp::socket& socket) {
  boost::system::error_code ignored;
  socket.shutdown(tcp::socket::shutdown_both, ignored);
  socket.close(ignored);
}

template <typename Stream>
asio::awaitable<std::size_t> ReadFrom(Stream& stream, char* to, std::size_t size) {
  boost::system::error_code error;
  const std::size_t count = co_await stream.async_read_some(
      asio::buffer(to, size), asio::redirect_error(asio::use_awaitable, error));
  co_return error ? 0 : count;
}

template <typename Stream>
asio::awaitable<bool> WriteTo(Stream& stream, absl::string_view bytes) {
  boost::system::error_code error;
  co_await asio::async_write(stream, asio::buffer(bytes.data(), bytes.size()),
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(tcp::socket socket) : socket_(std::move(socket)) {}
  asio::awaitable<bool> Handshake() override { co_return true; }
  asio::awaitable<std::size_t> ReadSome(char* to, std::size_t size) override {
    return ReadFrom(socket_, to, size);
  }
  asio::awaitable<bool> Write(absl::string_view bytes) override { return WriteTo(socket_, bytes); }
  void Close() override { CloseSocket(socket_); }
  bool tls() const override { return false; }

 private:
  tcp::socket socket_;
};

class TlsStream final : public ByteStream {
 public:
  TlsStream(tcp::socket socket, asio::ssl::context& context)
      : stream_(std::move(socket), context) {}
  asio::awaitable<bool> Handshake() override {
    boost::system::error_code error;
    co_await stream_.async_handshake(asio::ssl::stream_base::server,
                                     asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }
  asio::awaitable<std::size_t> ReadSome(char* to, std::size_t size) override {
    return ReadFrom(stream_, to, size);
  }
  asio::awaitable<bool> Write(absl::string_view bytes) override { return WriteTo(stream_, bytes); }
  void Close() override { CloseSocket(stream_.next_layer()); }
  bool tls() const override { return true; }

 private:
  asio::ssl::stream<tcp::socket> stream_;
};

}  // namespace

std::unique_ptr<ByteStream> MakePlainStream(tcp::socket socket) {
  return std::make_unique<PlainStream>(std::move(socket));
}

std::unique_ptr<ByteStream> MakeTlsStream(tcp::socket socket, asio::ssl::context& context) {
  return std::make_unique<TlsStream>(std::move(socket), context);
}

absl::StatusOr<std::shared_ptr<asio::ssl::context>> MakeTlsContext(const std::string& cert_file,
                                                                   const std::string& key_file) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  boost::system::error_code error;
  context->use_certificate_chain_file(cert_file, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot use the certificate ", cert_file, ": ", error.message()));
  }
  context->use_private_key_file(key_file, asio::ssl::context::pem, error);
  if (error) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot use the key ", key_file, ": ", error.message()));
  }
  return context;
}

absl::StatusOr<std::shared_ptr<asio::ssl::context>> MakeAnonymousContext() {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_max_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_dh_auto(native, 1);
  if (SSL_CTX_set_cipher_list(native, "ADH:@SECLEVEL=0") != 1) {
    return absl::InternalError("this OpenSSL has no anonymous Diffie-Hellman");
  }
  return context;
}

std::string Md5(const std::string& bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_md5(), nullptr) != 1) return "";
  return std::string(reinterpret_cast<const char*>(digest), size);
}

}  // namespace netsentinel::simulator
