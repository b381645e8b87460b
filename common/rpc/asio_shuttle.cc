#include "common/rpc/asio_shuttle.h"

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace netsentinel::rpc {
namespace {

using boost::asio::posix::stream_descriptor;
using boost::system::error_code;
using Result = ByteStream::Result;

// After that much the others of the thread have their turn.
constexpr int kTurns = 8;
constexpr std::size_t kDiscardMost = std::size_t{1} << 20;

}  // namespace

AsioShuttle::AsioShuttle(Parts parts)
    : clock_(parts.clock),
      scratch_(parts.scratch),
      peer_(std::move(parts.peer)),
      filter_(std::move(parts.filter)),
      done_(std::move(parts.done)),
      peer_socket_(parts.loop),
      local_(parts.loop),
      limit_(parts.loop),
      stall_(parts.loop),
      kept_in_(std::move(parts.opening)) {
  peer_.ExpectBulk();
  // Where the kernel has no room to watch one of them, both ends close when it starts.
  error_code error;
  peer_socket_.assign(peer_.fd(), error);
  if (error) ::close(peer_.fd());
  if (!error) local_.assign(parts.local.get(), error);
  if (!error) parts.local.Release();
}

void AsioShuttle::Start() {
  if (closed_ || !peer_socket_.is_open() || !local_.is_open()) return Close(nullptr);
  PumpIn();
  if (!closed_) PumpOut();
}

void AsioShuttle::Await(stream_descriptor& where, bool to_read, void (AsioShuttle::*then)()) {
  where.async_wait(to_read ? stream_descriptor::wait_read : stream_descriptor::wait_write,
                   [self = shared_from_this(), then](const error_code& error) {
                     if (!self->closed_ && !error) ((*self).*then)();
                   });
}

bool AsioShuttle::SendIn() {
  std::size_t sent_in_all = 0;
  while (sent_in_all < kept_in_.size()) {
    const ssize_t sent = ::send(local_.native_handle(), kept_in_.data() + sent_in_all,
                                kept_in_.size() - sent_in_all, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      // gRPC has closed its end: nobody wants these bytes, what it has sent goes out.
      kept_in_.clear();
      in_ended_ = true;
      return true;
    }
    if (sent < 0) break;
    sent_in_all += static_cast<std::size_t>(sent);
  }
  kept_in_.erase(0, sent_in_all);
  if (kept_in_.empty()) return true;
  Await(local_, false, &AsioShuttle::PumpIn);
  return false;
}

void AsioShuttle::PumpIn() {
  if (!kept_in_.empty() && !SendIn()) return;
  if (!in_ended_) ReadPeer();
}

void AsioShuttle::ReadPeer() {
  for (int turn = 0; turn < kTurns; ++turn) {
    std::size_t count = 0;
    const Result result = peer_.Read({scratch_.bytes.get(), ShuttleScratch::kBytes}, count);
    if (result == Result::kWantRead) return Await(peer_socket_, true, &AsioShuttle::PumpIn);
    if (result == Result::kWantWrite) return Await(peer_socket_, false, &AsioShuttle::PumpIn);
    if (result != Result::kDone) return EndIn();
    const absl::string_view bytes(scratch_.bytes.get(), count);
    if (const auto violation = filter_.Look(bytes, clock_.MonotonicNow())) {
      return Close(&*violation);
    }
    const ssize_t sent = ::send(local_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    const std::size_t taken = sent < 0 ? 0 : static_cast<std::size_t>(sent);
    if (taken == bytes.size()) continue;
    kept_in_.assign(bytes.data() + taken, bytes.size() - taken);
    if (!SendIn()) return;
    if (in_ended_) return;
  }
  boost::asio::post(peer_socket_.get_executor(), [self = shared_from_this()] {
    if (!self->closed_) self->PumpIn();
  });
}

void AsioShuttle::EndIn() {
  in_ended_ = true;
  peer_ended_ = true;
  ::shutdown(local_.native_handle(), SHUT_WR);
  if (!out_ended_) LimitTheRest(kFlush);
}

bool AsioShuttle::SendOut() {
  std::size_t sent_in_all = 0;
  while (sent_in_all < kept_out_.size()) {
    std::size_t count = 0;
    const Result result = peer_.Write(absl::string_view(kept_out_).substr(sent_in_all), count);
    sent_in_all += count;
    if (result == Result::kDone) continue;
    kept_out_.erase(0, sent_in_all);
    if (result == Result::kWantRead || result == Result::kWantWrite) {
      if (sent_in_all > 0 || !std::exchange(stalled_, true)) CloseAfter(stall_, kStall);
      Await(peer_socket_, result == Result::kWantRead, &AsioShuttle::PumpOut);
    } else {
      Close(nullptr);
    }
    return false;
  }
  kept_out_.clear();
  if (std::exchange(stalled_, false)) stall_.cancel();
  return true;
}

void AsioShuttle::PumpOut() {
  for (int turn = 0; turn < kTurns; ++turn) {
    if (!kept_out_.empty() && !SendOut()) return;
    if (out_ended_) return EndOut();
    const ssize_t got =
        ::recv(local_.native_handle(), scratch_.bytes.get(), ShuttleScratch::kBytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
      return Await(local_, true, &AsioShuttle::PumpOut);
    }
    if (got <= 0) {
      out_ended_ = true;
      return EndOut();
    }
    absl::string_view bytes(scratch_.bytes.get(), static_cast<std::size_t>(got));
    while (!bytes.empty()) {
      std::size_t count = 0;
      const Result result = peer_.Write(bytes, count);
      bytes.remove_prefix(count);
      if (result != Result::kDone) break;
    }
    kept_out_.assign(bytes.data(), bytes.size());
  }
  boost::asio::post(peer_socket_.get_executor(), [self = shared_from_this()] {
    if (!self->closed_) self->PumpOut();
  });
}

void AsioShuttle::EndOut() {
  peer_.Finish();
  if (peer_ended_) return Close(nullptr);
  // gRPC reads no more. Closing while the peer still sends would throw away what is on its way to
  // it.
  in_ended_ = true;
  LimitTheRest(absl::Seconds(1));
  peer_socket_.cancel();
  Discard();
}

void AsioShuttle::Discard() {
  for (;;) {
    const ssize_t got = ::recv(peer_.fd(), scratch_.bytes.get(), ShuttleScratch::kBytes, 0);
    if (got < 0 && errno == EAGAIN) return Await(peer_socket_, true, &AsioShuttle::Discard);
    if (got > 0) discarded_ += static_cast<std::size_t>(got);
    if (got <= 0 || discarded_ > kDiscardMost) return Close(nullptr);
  }
}

void AsioShuttle::CloseAfter(boost::asio::steady_timer& timer, absl::Duration limit) {
  timer.expires_after(absl::ToChronoNanoseconds(limit));
  timer.async_wait([self = shared_from_this()](const error_code& error) {
    if (!error) self->Close(nullptr);
  });
}

void AsioShuttle::Cut() { Close(nullptr); }

void AsioShuttle::Close(const http2::FrameFilter::Violation* violation) {
  if (std::exchange(closed_, true)) return;
  if (violation != nullptr) peer_.Finish();
  limit_.cancel();
  stall_.cancel();
  error_code ignored;
  peer_socket_.close(ignored);
  local_.close(ignored);
  std::exchange(done_, nullptr)(violation);
}

}  // namespace netsentinel::rpc
