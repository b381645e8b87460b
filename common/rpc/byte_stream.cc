#include "common/rpc/byte_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include "common/base/check.h"

namespace netsentinel::rpc {
namespace {

constexpr int kMaxLateMessages = 1000;
constexpr std::size_t kBulkBytes = 64 * 1024;

// What OpenSSL says about a failure, and why a certificate was not taken.
std::string TlsError(SSL* ssl) {
  const unsigned long error = ERR_peek_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  std::string words = reason == nullptr ? "the connection broke" : reason;
  if (const long verdict = SSL_get_verify_result(ssl); verdict != X509_V_OK) {
    absl::StrAppend(&words, ": ", X509_verify_cert_error_string(verdict));
  }
  ERR_clear_error();
  return words;
}

}  // namespace

ByteStream::ByteStream(int fd, SSL_CTX* context, bool accepting) : fd_(fd) {
  if (context == nullptr) return;
  ssl_.reset(SSL_new(context));
  NS_CHECK(ssl_ != nullptr, "no memory for TLS");
  SSL_set_fd(ssl_.get(), fd_);
  late_messages_ = std::make_unique<int>(0);
  SSL_set_msg_callback(ssl_.get(), &CountKeyUpdates);
  SSL_set_msg_callback_arg(ssl_.get(), late_messages_.get());
  if (accepting) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

void ByteStream::CountKeyUpdates(int write, int, int type, const void*, std::size_t, SSL* ssl,
                                 void* counter) {
  if (write == 0 && type == SSL3_RT_HANDSHAKE && SSL_is_init_finished(ssl) == 1) {
    ++*static_cast<int*>(counter);
  }
}

ByteStream::Result ByteStream::Judge(int returned) {
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      return Result::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Result::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kEnd;
    default:
      error_ = TlsError(ssl_.get());
      return Result::kFailed;
  }
}

ByteStream::Result ByteStream::PlainFailure(const char* what) {
  error_ = absl::StrCat(what, ": ", std::strerror(errno));
  return Result::kFailed;
}

ByteStream::Result ByteStream::Handshake() {
  if (!tls()) return Result::kDone;
  ERR_clear_error();
  const int returned = SSL_do_handshake(ssl_.get());
  return returned == 1 ? Result::kDone : Judge(returned);
}

ByteStream::Result ByteStream::Read(absl::Span<char> into, std::size_t& count) {
  count = 0;
  if (!tls()) {
    const ssize_t got = ::recv(fd(), into.data(), into.size(), 0);
    if (got == 0) return Result::kEnd;
    if (got < 0) {
      return errno == EAGAIN || errno == EINTR ? Result::kWantRead : PlainFailure("reading");
    }
    count = static_cast<std::size_t>(got);
    return Result::kDone;
  }
  ERR_clear_error();
  // A record at a time: filling the whole saves the way to the other socket.
  while (count < into.size()) {
    std::size_t got = 0;
    const int returned = SSL_read_ex(ssl_.get(), into.data() + count, into.size() - count, &got);
    if (returned == 1) {
      count += got;
      continue;
    }
    if (*late_messages_ > kMaxLateMessages) {
      error_ = "too many TLS messages after the handshake";
      return Result::kFailed;
    }
    if (count > 0 && SSL_get_error(ssl_.get(), returned) != SSL_ERROR_SSL) return Result::kDone;
    return Judge(returned);
  }
  return Result::kDone;
}

ByteStream::Result ByteStream::Write(absl::string_view bytes, std::size_t& count) {
  count = 0;
  if (!tls()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0) {
      return errno == EAGAIN || errno == EINTR ? Result::kWantWrite : PlainFailure("writing");
    }
    count = static_cast<std::size_t>(sent);
    return Result::kDone;
  }
  ERR_clear_error();
  const int returned = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
  return returned == 1 ? Result::kDone : Judge(returned);
}

void ByteStream::Finish() {
  if (tls()) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  ::shutdown(fd(), SHUT_WR);
}

void ByteStream::ExpectBulk() {
  if (!tls()) return;
  SSL_set_default_read_buffer_len(ssl_.get(), kBulkBytes);
  SSL_set_read_ahead(ssl_.get(), 1);
}

std::string ByteStream::PeerChain() const {
  if (!tls()) return "";
  const STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl_.get());
  BIO* text = BIO_new(BIO_s_mem());
  for (int i = 0; chain != nullptr && i < sk_X509_num(chain); ++i) {
    PEM_write_bio_X509(text, sk_X509_value(chain, i));
  }
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text, &bytes);
  std::string pem(bytes, static_cast<std::size_t>(std::max(0L, size)));
  BIO_free(text);
  return pem;
}

}  // namespace netsentinel::rpc
