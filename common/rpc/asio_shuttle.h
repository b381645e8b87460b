#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "common/base/clock.h"
#include "common/http2/frame_filter.h"
#include "common/io/file_descriptor.h"
#include "common/rpc/byte_stream.h"

namespace netsentinel::rpc {

// What all connections of one thread read into.
struct ShuttleScratch {
  static constexpr std::size_t kBytes = 64 * 1024;
  std::unique_ptr<char[]> bytes = std::make_unique<char[]>(kBytes);
};

// Carries the bytes of one connection between its peer and gRPC's end of an in-process socket, and
// holds what the peer sends against the filter. At most 64 KiB are kept in each direction: while
// the one side does not take them the other is not read, and a peer that takes nothing for kStall
// is cut off. When either side ends, what is under way is still brought to the other, for at most
// kFlush. One thread: that of its io_context.
class AsioShuttle : public std::enable_shared_from_this<AsioShuttle> {
 public:
  static constexpr absl::Duration kFlush = absl::Seconds(5);
  static constexpr absl::Duration kStall = absl::Seconds(30);

  struct Parts {
    boost::asio::io_context& loop;
    const base::Clock& clock;
    ShuttleScratch& scratch;
    ByteStream peer;            // owned by it from now on, with its descriptor
    io::FileDescriptor local;   // this end of the in-process socket
    http2::FrameFilter filter;  // has seen `opening`
    std::string opening;        // what the peer has sent so far
    // Called once, from Start or later, when nothing is left to carry. `violation`: why the peer
    // was cut off, null unless it was.
    std::function<void(const http2::FrameFilter::Violation* violation)> done;
  };

  explicit AsioShuttle(Parts parts);

  void Start();
  // Ends both sides at once.
  void Cut();

 private:
  // Carry on until nothing moves; one call at a time each.
  void PumpIn();
  void PumpOut();
  bool SendIn();   // what is kept for gRPC; true when nothing is left
  bool SendOut();  // what is kept for the peer
  void ReadPeer();
  void EndIn();    // the peer sends nothing more
  void EndOut();   // gRPC sends nothing more, and all of it has been written
  void Discard();  // reads what the peer still sends, so that its side closes in peace
  void Await(boost::asio::posix::stream_descriptor& where, bool to_read,
             void (AsioShuttle::*then)());
  void LimitTheRest(absl::Duration limit) { CloseAfter(limit_, limit); }
  void CloseAfter(boost::asio::steady_timer& timer, absl::Duration limit);
  void Close(const http2::FrameFilter::Violation* violation);

  const base::Clock& clock_;
  ShuttleScratch& scratch_;
  ByteStream peer_;
  http2::FrameFilter filter_;
  std::function<void(const http2::FrameFilter::Violation*)> done_;
  boost::asio::posix::stream_descriptor peer_socket_;
  boost::asio::posix::stream_descriptor local_;
  boost::asio::steady_timer limit_;  // of what is left when one side has ended
  boost::asio::steady_timer stall_;
  std::string kept_in_;
  std::string kept_out_;
  std::size_t discarded_ = 0;
  bool in_ended_ = false;    // nothing more goes to gRPC
  bool peer_ended_ = false;  // the peer has sent all
  bool out_ended_ = false;   // gRPC has sent all
  bool stalled_ = false;
  bool closed_ = false;
};

}  // namespace netsentinel::rpc
