#include "collector/routeros/asio_name_service.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

namespace netsentinel::routeros {

namespace asio = boost::asio;
using asio::ip::tcp;

asio::execution_context::id NameService::id;

NameService::NameService(asio::execution_context& owner, Lookup lookup)
    : asio::execution_context::service(owner), lookup_(std::move(lookup)) {}

NameService::Answer NameService::AskSystem(const std::string& host, const std::string& port) {
  asio::io_context unused;
  tcp::resolver resolver(unused);
  Answer answer;
  for (const auto& entry : resolver.resolve(host, port, answer.error)) {
    answer.endpoints.push_back(entry.endpoint());
  }
  return answer;
}

void NameService::Ask(const std::string& host, const std::string& port,
                      std::function<void(const Answer&)> done) {
  const Name name(host, port);
  {
    base::MutexLock lock(mutex_);
    auto& callers = waiting_[name];
    callers.push_back(std::move(done));
    if (callers.size() > 1) return;
  }
  asio::post(threads_, [this, name] { LookUp(name); });
}

void NameService::LookUp(const Name& name) {
  const Answer answer = lookup_(name.first, name.second);
  std::vector<std::function<void(const Answer&)>> callers;
  {
    base::MutexLock lock(mutex_);
    callers = std::move(waiting_[name]);
    waiting_.erase(name);
  }
  for (const auto& done : callers) done(answer);
}

// What is being looked up is waited for: nothing can interrupt it.
void NameService::shutdown() {
  threads_.stop();
  threads_.join();
  base::MutexLock lock(mutex_);
  waiting_.clear();
}

}  // namespace netsentinel::routeros
