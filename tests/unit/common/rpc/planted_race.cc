// Races on purpose, of the two kinds that a service can have: ThreadSanitizer has to report each,
// so what grpc_happens_before.cc tells it about gRPC hides none of ours. The argument chooses:
//   handlers  calls that are inside at once write what no lock guards
//   reader    the thread that started the server reads it meanwhile
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "common/base/check.h"
#include "common/io/system_clock.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "netsentinel/v1/collector.grpc.pb.h"
#include "tests/unit/common/rpc/server_surroundings.h"

namespace netsentinel::rpc {
namespace {

constexpr int kCalls = 1000;
constexpr std::chrono::milliseconds kMeeting{50};
constexpr int kThreads = 4;

class PlantedRace final : public v1::CollectorService::CallbackService {
 public:
  // `meet`: calls wait for each other, as far as they come at once.
  explicit PlantedRace(bool meet) : meet_(meet) {}

  grpc::ServerUnaryReactor* ListRouterStates(grpc::CallbackServerContext* context,
                                             const v1::ListRouterStatesRequest*,
                                             v1::ListRouterStatesResponse*) override {
    if (meet_) Meet();
    ++calls_;
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  int calls() const { return calls_; }

 private:
  // Waits a little until another call is here as well. Relaxed: gives the two no order.
  void Meet() {
    const int come = come_.fetch_add(1, std::memory_order_relaxed);
    const auto end = std::chrono::steady_clock::now() + kMeeting;
    while (come_.load(std::memory_order_relaxed) == come + 1 &&
           std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
  }

  const bool meet_;
  std::atomic<int> come_ = 0;
  int calls_ = 0;
};

void CallMany(const std::shared_ptr<grpc::Channel>& channel) {
  const auto stub = v1::CollectorService::NewStub(channel);
  for (int i = 0; i < kCalls; ++i) {
    grpc::ClientContext context;
    v1::ListRouterStatesResponse response;
    NS_CHECK(stub->ListRouterStates(&context, {}, &response).ok(), "a call failed");
  }
}

void Run(absl::string_view race) {
  ServerSurroundings around;
  const io::SystemClock& clock = around.clock;
  PlantedRace service(race == "handlers");
  const std::vector<grpc::Service*> services = {&service};
  auto server = Server::Start({.address = {"127.0.0.1", 0}, .security = {true, {}}},
                              around.authority, services, around.all());
  NS_CHECK(server.ok(), "the server does not start");
  const auto channel =
      MakeChannel({.peer = {absl::StrCat("127.0.0.1:", (*server)->port()), {true, {}}}}, clock);
  NS_CHECK(channel.ok(), "no channel");
  std::vector<std::thread> callers;
  for (int i = 0; i < (race == "handlers" ? kThreads : 1); ++i) {
    callers.emplace_back(CallMany, *channel);
  }
  if (race == "reader") {
    while (service.calls() < kCalls) std::this_thread::yield();
  }
  for (std::thread& caller : callers) caller.join();
}

}  // namespace
}  // namespace netsentinel::rpc

int main(int count, char** arguments) {
  NS_CHECK(count == 2, "name the race");
  netsentinel::rpc::Run(arguments[1]);
}
