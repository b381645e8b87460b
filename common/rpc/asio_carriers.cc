#include "common/rpc/asio_carriers.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include <boost/asio/post.hpp>

namespace netsentinel::rpc {

namespace asio = boost::asio;

void RunLoop(asio::io_context& loop) {
  sigset_t pipe;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
  loop.run();
}

AsioCarriers::AsioCarriers(asio::io_context& door, std::function<void()> turned)
    : door_(door), turned_(std::move(turned)) {
  const auto count = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 4);
  for (std::size_t i = 0; i < count; ++i) {
    runners_.push_back(std::make_unique<Runner>());
    asio::io_context& loop = runners_.back()->carrier.io;
    runners_.back()->thread = std::thread([&loop] { RunLoop(loop); });
  }
}

void AsioCarriers::Ask() {
  for (const auto& runner : runners_) {
    if (std::exchange(runner->asked, true)) continue;
    asio::post(runner->carrier.io,
               [this, &owing = *runner] { asio::post(door_, [this, &owing] { Answer(owing); }); });
  }
}

void AsioCarriers::Answer(Runner& runner) {
  runner.asked = false;
  if (AllTurn()) turned_();
}

bool AsioCarriers::AllTurn() const {
  return std::none_of(runners_.begin(), runners_.end(),
                      [](const auto& runner) { return runner->asked; });
}

void AsioCarriers::Stop() {
  for (const auto& runner : runners_) runner->work.reset();
  for (const auto& runner : runners_) runner->thread.join();
}

}  // namespace netsentinel::rpc
