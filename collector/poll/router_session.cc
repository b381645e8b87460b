#include "collector/poll/router_session.h"

#include "common/base/status_macros.h"

namespace netsentinel::poll {
namespace {

namespace asio = boost::asio;

class AsioSession final : public RouterSession {
 public:
  AsioSession(asio::any_io_executor executor, routeros::RouterEndpoint endpoint)
      : client_(std::move(executor), std::move(endpoint)) {}
  asio::awaitable<absl::Status> Connect(absl::Duration deadline) override {
    return client_.Connect(deadline);
  }
  asio::awaitable<absl::StatusOr<routeros::DeviceReport>> ReadDevice(
      absl::Duration deadline) override {
    return client_.ReadDevice(deadline);
  }
  asio::awaitable<absl::StatusOr<routeros::QueueReply>> ReadQueues(
      routeros::QueueMenuReader& reader, absl::Duration deadline) override {
    return client_.ReadQueues(reader, deadline);
  }
  void Close() override { client_.Close(); }
  bool connected() const override { return client_.connected(); }

 private:
  routeros::AsioClient client_;
};

}  // namespace

SessionFactory AsioSessions(asio::any_io_executor executor,
                            std::function<absl::StatusOr<routeros::RouterEndpoint>()> endpoint) {
  return [executor = std::move(executor),
          endpoint = std::move(endpoint)]() -> absl::StatusOr<std::unique_ptr<RouterSession>> {
    NS_ASSIGN_OR_RETURN(routeros::RouterEndpoint to, endpoint());
    return std::make_unique<AsioSession>(executor, std::move(to));
  };
}

}  // namespace netsentinel::poll
