#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "collector/routeros/asio_client.h"
#include "collector/routeros/queue_menu_reader.h"

namespace netsentinel::poll {

// One session with a router, as the poller needs it; AsioClient's contract holds.
class RouterSession {
 public:
  virtual ~RouterSession() = default;
  virtual boost::asio::awaitable<absl::Status> Connect(absl::Duration deadline) = 0;
  virtual boost::asio::awaitable<absl::StatusOr<routeros::DeviceReport>> ReadDevice(
      routeros::Patience patience) = 0;
  virtual boost::asio::awaitable<absl::StatusOr<routeros::QueueReply>> ReadQueues(
      routeros::QueueMenuReader& reader, routeros::Patience patience) = 0;
  virtual void Close() = 0;
  virtual bool connected() const = 0;
};

// A session for each connection: credentials are read anew for every login.
using SessionFactory = std::function<absl::StatusOr<std::unique_ptr<RouterSession>>()>;

// Sessions of AsioClient on `executor`, with its `workers`; `endpoint` is asked before every
// connection.
SessionFactory AsioSessions(boost::asio::any_io_executor executor,
                            std::optional<boost::asio::any_io_executor> workers,
                            std::function<absl::StatusOr<routeros::RouterEndpoint>()> endpoint);

}  // namespace netsentinel::poll
