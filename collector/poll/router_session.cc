#include "collector/poll/router_session.h"

#include "common/base/status_macros.h"

namespace netsentinel::poll {
namespace {

namespace asio = boost::asio;

class AsioSession final : public RouterSession {
 public:
  AsioSession(asio::any_io_executor executor, std::optional<asio::any_io_executor> workers,
              routeros::RouterEndpoint endpoint)
      : client_(std::move(executor), std::move(endpoint), {}, std::move(workers)) {}
  asio::awaitable<absl::Status> Connect(absl::Duration deadline) override {
    return client_.Connect(deadline);
  }
  asio::awaitable<absl::StatusOr<routeros::DeviceReport>> ReadDevice(
      routeros::Patience patience) override {
    return client_.ReadDevice(patience);
  }
  asio::awaitable<absl::StatusOr<routeros::QueueReply>> ReadQueues(
      routeros::QueueMenuReader& reader, routeros::Patience patience) override {
    return client_.ReadQueues(reader, patience);
  }
  void Close() override { client_.Close(); }
  bool connected() const override { return client_.connected(); }

 private:
  routeros::AsioClient client_;
};

}  // namespace

SessionFactory AsioSessions(asio::any_io_executor executor,
                            std::optional<asio::any_io_executor> workers,
                            std::function<absl::StatusOr<routeros::RouterEndpoint>()> endpoint) {
  return [executor = std::move(executor), workers = std::move(workers),
          endpoint = std::move(endpoint)]() -> absl::StatusOr<std::unique_ptr<RouterSession>> {
    NS_ASSIGN_OR_RETURN(routeros::RouterEndpoint to, endpoint());
    return std::make_unique<AsioSession>(executor, workers, std::move(to));
  };
}

}  // namespace netsentinel::poll
