#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "common/base/clock.h"
#include "common/http2/frame_filter.h"
#include "common/io/file_descriptor.h"
#include "common/rpc/byte_stream.h"

namespace netsentinel::rpc {

// The begin of a connection: the TLS handshake, the look at who it is, and the first bytes of
// HTTP/2, all before gRPC knows of it. TLS is set up with the first byte that comes, so that idle
// sockets cost next to nothing. One thread: that of its io_context.
class AsioOpening : public std::enable_shared_from_this<AsioOpening> {
 public:
  enum class Outcome {
    kReady,      // to be handed over: take what is below
    kRefused,    // by `prove`; the peer has been told
    kGone,       // left by itself before anything went wrong
    kHandshake,  // of TLS failed: `words`
    kProtocol,   // what came is not to be let through: violation()
  };
  struct Parts {
    boost::asio::io_context& loop;
    const base::Clock& clock;
    io::FileDescriptor socket;
    // Of TLS; null: plain. Asked for once, when the first byte is there.
    std::function<SSL_CTX*()> context;
    std::string address;
    // Judges the peer once: with TLS after the handshake, by its verified chain as PEM, and plain
    // when it has begun to speak HTTP/2. What an error says is told to the peer.
    std::function<absl::Status(const std::string& chain)> prove;
    std::function<void(Outcome outcome, const std::string& words)> done;
  };

  explicit AsioOpening(Parts parts);

  void Start();
  // Closes it; `done` is not called.
  void Drop();

  const std::string& address() const { return address_; }
  absl::Duration begun() const { return begun_; }
  // "idle", "handshake", "preface" or "refused", for words.
  absl::string_view where() const;

  // The socket goes with it.
  ByteStream TakeStream();
  http2::FrameFilter& filter() { return filter_; }
  std::string& bytes() { return bytes_; }
  // Of kProtocol.
  const http2::FrameFilter::Violation& violation() const { return *violation_; }

 private:
  enum class Phase { kIdle, kHandshake, kPreface, kLinger };

  void Step();
  bool StepHandshake();  // true: go on
  bool StepPreface();
  void StepLinger();
  void Await(ByteStream::Result wanted);
  // True when the peer may go on.
  bool Prove();
  void Refuse(absl::string_view words);
  void End(Outcome outcome, const std::string& words = "");

  const base::Clock& clock_;
  boost::asio::posix::stream_descriptor socket_;
  ByteStream stream_;
  std::function<SSL_CTX*()> context_;
  const std::string address_;
  std::function<absl::Status(const std::string&)> prove_;
  std::function<void(Outcome, const std::string&)> done_;
  const absl::Duration begun_;
  Phase phase_ = Phase::kIdle;
  http2::FrameFilter filter_;
  std::string bytes_;
  std::optional<http2::FrameFilter::Violation> violation_;
  bool ended_ = false;
};

}  // namespace netsentinel::rpc
