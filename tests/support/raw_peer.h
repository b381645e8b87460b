#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include <openssl/ssl.h>

#include "common/config/shared_sections.h"
#include "common/io/file_descriptor.h"

namespace netsentinel::test {

// A client on a loopback port that sends what a test wants, over TLS 1.3 or plain. Blocking, with a
// deadline of 20 s for every step. The constructor connects; what fails shows in what comes later.
class RawPeer {
 public:
  // Plain.
  explicit RawPeer(std::uint16_t port);
  // With the certificate of `files` if it has one. The server's certificate is not checked.
  RawPeer(std::uint16_t port, const config::TlsFiles& files);

  // True when all has been written; false when the other end has closed.
  bool Send(absl::string_view bytes);
  // What comes until the other end closes or `limit` bytes are there.
  std::string Read(std::size_t limit = std::size_t{1} << 20);
  // Whether the other end closes within `limit`; what it sends is thrown away.
  bool ClosedWithin(absl::Duration limit);
  bool connected() const { return connected_; }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  void SetTimeout(absl::Duration limit);

  io::FileDescriptor socket_;
  std::unique_ptr<SSL_CTX, Free> context_;
  std::unique_ptr<SSL, Free> ssl_;
  bool connected_ = false;
};

// The first 16 KiB of a ClientHello that never ends.
std::string HalfHello();

}  // namespace netsentinel::test
