#include "tools/simulator/connection.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace netsentinel::simulator {
namespace {

namespace asio = boost::asio;
using Timer = asio::steady_timer;

constexpr std::size_t kMaxRunning = 32;
constexpr std::size_t kSendBytes = 64 * 1024;
constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::chrono::seconds kHandshakeLimit{30};
// One command alone sends long runs; several take turns after so many sentences.
constexpr int kBurstSentences = 4;

asio::awaitable<void> Sleep(Timer& timer, Timer::time_point until) {
  boost::system::error_code ignored;
  timer.expires_at(until);
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

}  // namespace

Connection::Connection(asio::io_context& io, RouterHost& host, std::unique_ptr<ByteStream> stream)
    : io_(io),
      host_(host),
      stream_(std::move(stream)),
      session_id_(host.shared().next_session++),
      session_(host.router(), {.tls = stream_->tls(), .md5 = &Md5}),
      writer_wake_(io),
      reader_wake_(io) {}

void Connection::Start() {
  // The lambdas keep the connection alive as long as their coroutines run.
  asio::co_spawn(
      io_, [self = shared_from_this()]() -> asio::awaitable<void> { co_await self->Read(); },
      asio::detached);
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  stream_->Close();
  writer_wake_.cancel();
  reader_wake_.cancel();
  Finish(running_, /*complete=*/false);
}

asio::awaitable<bool> Connection::HandshakeInTime() {
  Timer limit(io_);
  limit.expires_after(kHandshakeLimit);
  limit.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;
    if (const auto self = weak.lock()) self->Close();
  });
  const bool done = co_await stream_->Handshake();
  limit.cancel();
  co_return done && !closed_;
}

asio::awaitable<void> Connection::Read() {
  const auto self = shared_from_this();
  if (co_await HandshakeInTime()) {
    asio::co_spawn(
        io_, [self]() -> asio::awaitable<void> { co_await self->Write(); }, asio::detached);
    while (!closed_) {
      const routeros::SentenceDecoder::Result result = decoder_.Next();
      if (result == routeros::SentenceDecoder::Result::kError) break;
      if (result == routeros::SentenceDecoder::Result::kSentence) {
        std::vector<std::string> words;
        for (const absl::string_view word : decoder_.sentence()) words.emplace_back(word);
        Take(words);
        while (!closed_ && running_.size() >= kMaxRunning) {
          co_await Sleep(reader_wake_, Timer::time_point::max());
        }
        continue;
      }
      const absl::Span<char> space = decoder_.WriteSpace(kReadBytes);
      const std::size_t count = co_await stream_->ReadSome(space.data(), space.size());
      if (count == 0) break;
      decoder_.Commit(count);
    }
  }
  Close();
  host_.Leave(this);
}

void Connection::Take(const std::vector<std::string>& words) {
  Shared& shared = host_.shared();
  const Stamp begin = shared.time.Now();
  Reply reply = session_.Handle(words, shared.time.NowUs(), shared.time.Wall());
  if (!reply.event.empty()) host_.LogClientEvent(reply.event);
  if (reply.is_cancel) {
    Cancel(reply);
    return;
  }
  Running running;
  running.tag = reply.tag;
  running.endless = reply.endless;
  running.reboot = reply.reboot;
  if (reply.served) {
    host_.LogMoved();
    running.record = SnapshotRecord{.router = host_.router().id(),
                                    .session = session_id_,
                                    .begin = begin,
                                    .end = begin,
                                    .complete = false,
                                    .served = *std::move(reply.served)};
  }
  Router& router = host_.router();
  running.pieces = EncodeReply(reply, router.spec().wire, router.random());
  running_.push_back(std::move(running));
  writer_wake_.cancel();
}

void Connection::Cancel(const Reply& reply) {
  Router& router = host_.router();
  const WireStyle& style = router.spec().wire;
  Running answer;
  RunningList cancelled;
  std::deque<WirePiece> ends;
  for (auto it = running_.begin(); it != running_.end();) {
    const auto next = std::next(it);
    if (reply.cancel_tag.empty() || it->tag == reply.cancel_tag) {
      answer.pieces.push_back(EncodeSentence({"!trap", "=category=2", "=message=interrupted"},
                                             it->tag, style, router.random()));
      ends.push_back(EncodeSentence({"!done"}, it->tag, style, router.random()));
      cancelled.splice(cancelled.end(), running_, it);
    }
    it = next;
  }
  answer.pieces.push_back(EncodeSentence({"!done"}, reply.tag, style, router.random()));
  for (WirePiece& end : ends) answer.pieces.push_back(std::move(end));
  Finish(cancelled, /*complete=*/false);
  running_.push_back(std::move(answer));
  writer_wake_.cancel();
}

Connection::RunningList::iterator Connection::PickRunning() {
  const Timer::time_point now = Timer::clock_type::now();
  std::size_t ready = 0;
  for (Running& each : running_) {
    if (each.stalled_until && *each.stalled_until <= now) each.stalled_until.reset();
    if (!each.pieces.empty() && !each.stalled_until) ++ready;
  }
  if (ready == 0) return running_.end();
  std::size_t pick = (host_.router().random().Next() >> 16) % ready;
  for (auto it = running_.begin(); it != running_.end(); ++it) {
    if (it->pieces.empty() || it->stalled_until) continue;
    if (pick-- == 0) return it;
  }
  return running_.end();
}

void Connection::Gather(RunningList& finished) {
  while (send_buffer_.size() < kSendBytes && !close_after_send_) {
    const auto it = PickRunning();
    if (it == running_.end()) return;
    for (int n = 0; n < kBurstSentences && !it->pieces.empty(); ++n) {
      WirePiece piece = std::move(it->pieces.front());
      it->pieces.pop_front();
      for (const std::uint32_t tear : piece.tears) {
        tears_.push_back(static_cast<std::uint32_t>(send_buffer_.size()) + tear);
      }
      send_buffer_.append(piece.bytes);
      if (piece.after == After::kClose) {
        // A fault's end leaves its command unfinished; a fatal reply or /quit has no record.
        close_after_send_ = true;
        return;
      }
      if (piece.after == After::kStall) {
        it->stalled_until = piece.stall_ms == 0 ? Timer::time_point::max()
                                                : Timer::clock_type::now() +
                                                      std::chrono::milliseconds(piece.stall_ms);
        break;
      }
    }
    if (it->pieces.empty() && !it->endless) finished.splice(finished.end(), running_, it);
  }
}

asio::awaitable<bool> Connection::SendStyled(const std::string& bytes,
                                             const std::deque<std::uint32_t>& tears) {
  const WireStyle style = host_.router().spec().wire;
  if (style.chunk_bytes == 0 && tears.empty()) co_return co_await stream_->Write(bytes);
  std::size_t at = 0;
  auto tear = tears.begin();
  Timer pause(io_);
  while (at < bytes.size()) {
    std::size_t end = bytes.size();
    if (style.chunk_bytes != 0) end = std::min<std::size_t>(end, at + style.chunk_bytes);
    while (tear != tears.end() && *tear <= at) ++tear;
    if (tear != tears.end()) end = std::min<std::size_t>(end, *tear);
    if (!co_await stream_->Write(absl::string_view(bytes).substr(at, end - at))) co_return false;
    at = end;
    if (style.chunk_delay_us != 0) {
      co_await Sleep(pause,
                     Timer::clock_type::now() + std::chrono::microseconds(style.chunk_delay_us));
    }
  }
  co_return true;
}

void Connection::Finish(RunningList& finished, bool complete) {
  for (Running& each : finished) {
    if (!each.record) continue;
    each.record->end = host_.shared().time.Now();
    each.record->complete = complete;
    host_.LogSnapshot(*each.record);
  }
  const bool reboot = complete && std::any_of(finished.begin(), finished.end(),
                                              [](const Running& each) { return each.reboot; });
  finished.clear();
  // Through /system/reboot; the result cannot fail and cuts this connection too.
  if (reboot) static_cast<void>(host_.Apply("reboot", Arguments()));
}

asio::awaitable<void> Connection::Write() {
  const auto self = shared_from_this();
  while (!closed_) {
    RunningList finished;
    Gather(finished);
    if (send_buffer_.empty() && !close_after_send_) {
      Timer::time_point wake = Timer::time_point::max();
      for (const Running& each : running_) {
        if (each.stalled_until) wake = std::min(wake, *each.stalled_until);
      }
      Finish(finished, /*complete=*/true);
      if (!closed_) co_await Sleep(writer_wake_, wake);
      continue;
    }
    const std::string bytes = std::exchange(send_buffer_, std::string());
    const std::deque<std::uint32_t> tears = std::exchange(tears_, std::deque<std::uint32_t>());
    const bool sent = co_await SendStyled(bytes, tears);
    Finish(finished, sent);
    if (!sent || close_after_send_) break;
    if (running_.size() < kMaxRunning) reader_wake_.cancel();
  }
  Close();
}

}  // namespace netsentinel::simulator
