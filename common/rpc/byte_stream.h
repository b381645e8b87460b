#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include <openssl/ssl.h>

namespace netsentinel::rpc {

// A connected socket that does not block, with TLS 1.3 on it or plain. Does not own the descriptor.
// Every call returns at once. Not thread-safe; may move between threads while nothing is called.
class ByteStream {
 public:
  enum class Result {
    kDone,       // of Handshake and Close; of Read and Write: some bytes
    kWantRead,   // call again when the socket can be read
    kWantWrite,  // … can be written
    kEnd,        // the other end has sent all it wants to send
    kFailed,     // error() says why; the stream is of no use any more
  };

  // `context` null: plain. `accepting`: the server's side of the handshake.
  ByteStream(int fd, SSL_CTX* context, bool accepting = true);

  int fd() const { return fd_; }
  bool tls() const { return ssl_ != nullptr; }

  Result Handshake();
  // Fills as much of `into` as is there: `count` bytes.
  Result Read(absl::Span<char> into, std::size_t& count);
  // Takes the first `count` of `bytes`, at least one with kDone. After kWant… the same bytes must
  // be given again (at any address).
  Result Write(absl::string_view bytes, std::size_t& count);
  // Tells the other end that nothing more comes (close_notify, FIN). Never waits.
  void Finish();
  // From now on this is a long stream: reads ahead, with larger buffers.
  void ExpectBulk();

  // The verified chain of the other end as PEM, its own certificate first; empty without TLS.
  std::string PeerChain() const;

  const std::string& error() const { return error_; }

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  Result Judge(int returned);
  Result PlainFailure(const char* what);
  static void CountKeyUpdates(int write, int version, int type, const void* bytes,
                              std::size_t length, SSL* ssl, void* counter);

  int fd_;
  // Messages of TLS itself after the handshake: a peer may send them for ever, and each costs us.
  std::unique_ptr<int> late_messages_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::string error_;
};

}  // namespace netsentinel::rpc
