#include "common/rpc/asio_pulse.h"

#include <array>
#include <utility>

#include "absl/strings/string_view.h"
#include <sys/socket.h>

#include "common/rpc/front_socket.h"

namespace netsentinel::rpc {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;
using Result = ByteStream::Result;

constexpr absl::string_view kHello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
constexpr char kSettings = 4;
constexpr std::size_t kFrameHead = 9;

SSL_CTX* MakeContext(bool tls) {
  if (!tls) return nullptr;
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  // Whether somebody answers, not who: the files are watched elsewhere.
  if (context != nullptr) SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nullptr);
  return context;
}

std::string OwnAddress(int fd) {
  sockaddr_storage own{};
  socklen_t length = sizeof(own);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) != 0) return "";
  return AddressText(own);
}

}  // namespace

AsioPulse::AsioPulse(boost::asio::io_context& io, io::FileDescriptor dialled,
                     io::FileDescriptor within, bool tls, std::function<void()> beat)
    : dialled_(io, dialled.Release()),
      context_(MakeContext(tls)),
      port_(dialled_.native_handle(), context_.get(), /*accepting=*/false),
      within_(io, within.Release()),
      beat_(std::move(beat)),
      address_(OwnAddress(port_.fd())) {}

void AsioPulse::Start() {
  ::send(within_.native_handle(), kHello.data(), kHello.size(), MSG_NOSIGNAL);
  Listen();
  if (!port_.tls()) return;
  dialled_.async_wait(stream_descriptor::wait_write,
                      [self = shared_from_this()](const error_code& error) {
                        if (!error) self->Shake();
                      });
}

void AsioPulse::Accepted() {
  if (!port_.tls()) Answered(port_answered_);
}

void AsioPulse::Drop() {
  beat_ = nullptr;
  error_code ignored;
  dialled_.close(ignored);
  within_.close(ignored);
}

void AsioPulse::Shake() {
  const Result result = port_.Handshake();
  if (result == Result::kDone) return Answered(port_answered_);
  if (result != Result::kWantRead && result != Result::kWantWrite) return;
  dialled_.async_wait(
      result == Result::kWantRead ? stream_descriptor::wait_read : stream_descriptor::wait_write,
      [self = shared_from_this()](const error_code& error) {
        if (!error) self->Shake();
      });
}

void AsioPulse::Listen() {
  within_.async_wait(
      stream_descriptor::wait_read, [self = shared_from_this()](const error_code& error) {
        if (error) return;
        std::array<char, 256> piece;
        const ssize_t got = ::recv(self->within_.native_handle(), piece.data(), piece.size(), 0);
        if (got <= 0) return;
        self->heard_.append(piece.data(), static_cast<std::size_t>(got));
        if (self->heard_.size() < kFrameHead) return self->Listen();
        if (self->heard_[3] == kSettings) self->Answered(self->grpc_answered_);
      });
}

void AsioPulse::Answered(bool& which) {
  which = true;
  if (port_answered_ && grpc_answered_ && beat_ != nullptr) std::exchange(beat_, nullptr)();
}

}  // namespace netsentinel::rpc
