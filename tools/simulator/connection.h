#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "collector/routeros/word_codec.h"
#include "tools/simulator/byte_stream.h"
#include "tools/simulator/router_host.h"
#include "tools/simulator/session.h"
#include "tools/simulator/wire_writer.h"

namespace netsentinel::simulator {

// One client of one router: reads commands, sends the replies of running ones sentence by sentence
// in a random order between tags. At most 32 commands run at a time; while that many do, nothing
// more is read. One thread; the host outlives it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(boost::asio::io_context& io, RouterHost& host, std::unique_ptr<ByteStream> stream);

  // Starts its coroutines, which keep it alive until it is closed.
  void Start();
  // The peer sees an EOF; replies under way are logged as incomplete.
  void Close();

 private:
  struct Running {
    std::string tag;
    std::deque<WirePiece> pieces;
    bool endless = false;
    // No pieces are taken before this time; nothing: at once.
    std::optional<boost::asio::steady_timer::time_point> stalled_until;
    std::optional<SnapshotRecord> record;
    bool reboot = false;
  };
  using RunningList = std::list<Running>;

  boost::asio::awaitable<void> Read();
  boost::asio::awaitable<void> Write();
  boost::asio::awaitable<bool> HandshakeInTime();
  boost::asio::awaitable<bool> SendStyled(const std::string& bytes,
                                          const std::deque<std::uint32_t>& tears);
  void Take(const std::vector<std::string>& words);
  void Cancel(const Reply& reply);
  // Fills the send buffer from running commands; what is finished by it goes to `finished`.
  void Gather(RunningList& finished);
  RunningList::iterator PickRunning();
  void Finish(RunningList& finished, bool complete);

  boost::asio::io_context& io_;
  RouterHost& host_;
  std::unique_ptr<ByteStream> stream_;
  std::uint64_t session_id_;
  Session session_;
  routeros::SentenceDecoder decoder_;
  RunningList running_;
  std::string send_buffer_;
  std::deque<std::uint32_t> tears_;
  bool close_after_send_ = false;
  bool closed_ = false;
  // Cancelled to wake the writer and the reader.
  boost::asio::steady_timer writer_wake_;
  boost::asio::steady_timer reader_wake_;
};

}  // namespace netsentinel::simulator
