#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "common/rpc/asio_shuttle.h"

namespace netsentinel::rpc {

// Runs `loop` until it is out of work. A write to a socket that its peer has closed is an error
// there, not a signal that ends the process.
void RunLoop(boost::asio::io_context& loop);

// The threads that carry the bytes of connections: one for each core, at most four. A connection
// stays with the thread that its id gives it. Called from one thread only, that of `door`'s loop
// once it runs.
class AsioCarriers {
 public:
  struct Carrier {
    boost::asio::io_context io{1};
    ShuttleScratch scratch;
  };

  // Starts them. `turned` is called on `door`, which outlives this, whenever all threads that have
  // been asked have answered.
  AsioCarriers(boost::asio::io_context& door, std::function<void()> turned);
  // Stop() has to come first.
  ~AsioCarriers() = default;

  Carrier& For(std::uint64_t id) { return runners_[id % runners_.size()]->carrier; }
  // Asks every thread whether it turns; one that owes an answer is not asked again.
  void Ask();
  // No thread owes an answer.
  bool AllTurn() const;
  // Waits until all is carried.
  void Stop();

 private:
  struct Runner {
    Carrier carrier;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work{
        carrier.io.get_executor()};
    bool asked = false;
    std::thread thread;
  };
  void Answer(Runner& runner);

  boost::asio::io_context& door_;
  const std::function<void()> turned_;
  std::vector<std::unique_ptr<Runner>> runners_;
};

}  // namespace netsentinel::rpc
