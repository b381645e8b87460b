#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/execution_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/system/error_code.hpp>

#include "common/base/mutex.h"

namespace netsentinel::routeros {

// Looks up names for every session of one io_context. Asio's own resolver does it on one thread,
// where a name that takes long keeps all others waiting; here a few are looked up at a time, each
// name once however many ask for it. Thread-safe.
class NameService final : public boost::asio::execution_context::service {
 public:
  struct Answer {
    boost::system::error_code error;
    std::vector<boost::asio::ip::tcp::endpoint> endpoints;
  };
  // Blocks until there is an answer. Called from several threads.
  using Lookup = std::function<Answer(const std::string& host, const std::string& port)>;
  using key_type = NameService;
  // As Asio finds it.
  static boost::asio::execution_context::id id;
  // So many names may be slow before they are in the way of others.
  static constexpr std::size_t kThreads = 4;

  // By default the system is asked.
  explicit NameService(boost::asio::execution_context& owner, Lookup lookup = AskSystem);

  // `done` is called once, on a thread of the service: must be quick. It is dropped, uncalled, when
  // the context goes first.
  void Ask(const std::string& host, const std::string& port,
           std::function<void(const Answer&)> done);

 private:
  using Name = std::pair<std::string, std::string>;

  static Answer AskSystem(const std::string& host, const std::string& port);
  void shutdown() override;
  void LookUp(const Name& name);

  const Lookup lookup_;
  base::Mutex mutex_;
  // Who waits for a name that is being looked up.
  std::map<Name, std::vector<std::function<void(const Answer&)>>> waiting_ ABSL_GUARDED_BY(mutex_);
  boost::asio::thread_pool threads_{kThreads};
};

}  // namespace netsentinel::routeros
