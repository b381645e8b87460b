#include "common/rpc/asio_opening.h"

#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include <sys/socket.h>

namespace netsentinel::rpc {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;
using Result = ByteStream::Result;

// SETTINGS without content and GOAWAY with words: what every HTTP/2 client understands, and gRPC's
// clients show.
std::string GoAway(absl::string_view words) {
  words = words.substr(0, 400);
  std::string frames("\0\0\0\4\0\0\0\0\0", 9);
  const auto length = static_cast<std::uint32_t>(8 + words.size());
  frames.push_back('\0');
  frames.push_back(static_cast<char>(length >> 8));
  frames.push_back(static_cast<char>(length & 0xFF));
  // GOAWAY of no stream, INADEQUATE_SECURITY.
  frames.append("\7\0\0\0\0\0\0\0\0\0\0\0\0\xC", 14);
  absl::StrAppend(&frames, words);
  return frames;
}

}  // namespace

AsioOpening::AsioOpening(Parts parts)
    : clock_(parts.clock),
      socket_(parts.loop),
      stream_(parts.socket.get(), nullptr),
      context_(std::move(parts.context)),
      address_(std::move(parts.address)),
      prove_(std::move(parts.prove)),
      done_(std::move(parts.done)),
      begun_(clock_.MonotonicNow()) {
  // Where the kernel has no room to watch it, it is closed with `parts`; its time runs out then.
  error_code error;
  socket_.assign(parts.socket.get(), error);
  if (!error) parts.socket.Release();
}

void AsioOpening::Start() { Await(Result::kWantRead); }

absl::string_view AsioOpening::where() const {
  switch (phase_) {
    case Phase::kIdle:
      return "idle";
    case Phase::kHandshake:
      return "handshake";
    case Phase::kPreface:
      return "preface";
    case Phase::kLinger:
      return "refused";
  }
  return "";
}

void AsioOpening::Await(Result wanted) {
  socket_.async_wait(
      wanted == Result::kWantWrite ? stream_descriptor::wait_write : stream_descriptor::wait_read,
      [self = shared_from_this()](const error_code& error) {
        if (!error && !self->ended_) self->Step();
      });
}

void AsioOpening::Step() {
  if (phase_ == Phase::kIdle) {
    char first = 0;
    if (::recv(stream_.fd(), &first, 1, MSG_PEEK) <= 0) return End(Outcome::kGone);
    if (SSL_CTX* context = context_(); context != nullptr) {
      stream_ = ByteStream(stream_.fd(), context);
      phase_ = Phase::kHandshake;
    } else {
      phase_ = Phase::kPreface;
    }
  }
  if (phase_ == Phase::kHandshake && !StepHandshake()) return;
  if (phase_ == Phase::kPreface && !StepPreface()) return;
  if (phase_ == Phase::kLinger) StepLinger();
}

bool AsioOpening::StepHandshake() {
  const Result result = stream_.Handshake();
  if (result == Result::kWantRead || result == Result::kWantWrite) {
    Await(result);
    return false;
  }
  if (result != Result::kDone) {
    End(Outcome::kHandshake, stream_.error().empty() ? "it ended" : stream_.error());
    return false;
  }
  phase_ = Phase::kPreface;
  return Prove();
}

bool AsioOpening::Prove() {
  const absl::Status verdict = prove_(stream_.PeerChain());
  if (verdict.ok()) return true;
  Refuse(verdict.message());
  return true;
}

void AsioOpening::Refuse(absl::string_view words) {
  // A fresh connection has room for so few bytes.
  std::size_t count = 0;
  const std::string frames = GoAway(words);
  stream_.Write(frames, count);
  stream_.Finish();
  phase_ = Phase::kLinger;
}

bool AsioOpening::StepPreface() {
  std::array<char, 4096> piece;
  while (!filter_.opened()) {
    std::size_t count = 0;
    const Result result = stream_.Read({piece.data(), piece.size()}, count);
    if (result == Result::kWantRead || result == Result::kWantWrite) {
      Await(result);
      return false;
    }
    if (result != Result::kDone) {
      End(Outcome::kGone);
      return false;
    }
    const absl::string_view bytes(piece.data(), count);
    violation_ = filter_.Look(bytes, clock_.MonotonicNow());
    if (violation_.has_value()) {
      End(Outcome::kProtocol);
      return false;
    }
    absl::StrAppend(&bytes_, bytes);
  }
  if (!stream_.tls()) {
    Prove();
    if (phase_ == Phase::kLinger) return true;
  }
  End(Outcome::kReady);
  return false;
}

void AsioOpening::StepLinger() {
  std::array<char, 4096> piece;
  for (int turn = 0; turn < 16; ++turn) {
    const ssize_t got = ::recv(stream_.fd(), piece.data(), piece.size(), 0);
    if (got < 0 && errno == EAGAIN) return Await(Result::kWantRead);
    if (got <= 0) break;
  }
  End(Outcome::kRefused);
}

ByteStream AsioOpening::TakeStream() {
  socket_.release();
  return std::move(stream_);
}

void AsioOpening::Drop() {
  ended_ = true;
  error_code ignored;
  socket_.close(ignored);
}

void AsioOpening::End(Outcome outcome, const std::string& words) {
  std::exchange(done_, nullptr)(outcome, words);
  Drop();
}

}  // namespace netsentinel::rpc
