#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include "collector/routeros/asio_tls.h"
#include "collector/routeros/queue_menu_reader.h"
#include "collector/routeros/session.h"
#include "common/base/check.h"
#include "common/counters/snapshot.h"

namespace netsentinel::routeros {

inline constexpr std::uint16_t kApiPort = 8728;
inline constexpr std::uint16_t kApiSslPort = 8729;

// Where a router is and how to be let in.
struct RouterEndpoint {
  // A name or an IPv4 or IPv6 address, without brackets.
  std::string host = {};
  // 0: the port of the transport.
  std::uint16_t port = 0;
  // api-ssl. There is never a way back to plain text.
  bool use_tls = true;
  TlsOptions tls = {};
  Credentials credentials = {};
  LoginMethod login = LoginMethod::kPlain;
};

// How long a reply is waited for.
struct Patience {
  // Without a single byte of the router, to within an eighth.
  absl::Duration silence = absl::Seconds(30);
  // In all, however steadily it trickles.
  absl::Duration total = absl::Minutes(5);
};

struct DeviceReport {
  std::uint64_t uptime_s = 0;
  counters::DeviceIdentity device;
  // What the router did not answer and could be done without; empty when there is none.
  std::string remark = {};
};

struct QueueReply {
  // The whole menu, in its order. Indices are those of the reader's table.
  std::vector<counters::QueueReading> readings;
  std::uint64_t uptime_s = 0;
  // QueueMenuReader::remark.
  std::string remark = {};
};

// One session with one router. Every failure is a RouterStatus whose message begins with the
// address and says what to do; no text of it holds the password, whatever the router says. An
// operation that fails with kMenuAbsent, kPolicyMissing, kRefused or for the content of a reply
// leaves the session connected; after any other failure and when patience ran out it is closed, and
// Connect may be called again.
//
// One operation at a time (NS_CHECK), all on the executor given, which must run on one thread or
// be a strand. Must not go while an operation is under way: Close it and let it end.
class AsioClient {
 public:
  static constexpr absl::Duration kDefaultDeadline = absl::Seconds(30);

  // A long reply is made into readings on `workers`, so that it delays nobody on `executor`;
  // without one, where it is.
  AsioClient(boost::asio::any_io_executor executor, RouterEndpoint endpoint,
             SessionLimits limits = {}, std::optional<boost::asio::any_io_executor> workers = {});
  ~AsioClient();
  AsioClient(const AsioClient&) = delete;
  AsioClient& operator=(const AsioClient&) = delete;

  // Resolves, tries every address in turn (each for its share of the deadline), sets up TLS and
  // logs in.
  boost::asio::awaitable<absl::Status> Connect(absl::Duration deadline = kDefaultDeadline);

  // Resource, identity, serial number; without one, the license's id. What identifies the device is
  // enough: anything else that the router refuses is a remark. A board that shows no serial number
  // is asked twice before its license's id stands for it.
  boost::asio::awaitable<absl::StatusOr<DeviceReport>> ReadDevice(Patience patience = {});

  boost::asio::awaitable<absl::StatusOr<std::uint64_t>> ReadUptime(Patience patience = {});

  // Uptime and menu, asked for together. When there are fewer rows than in the reply before, the
  // router is also asked for their number, and for the rows once more if it has another: fails with
  // kIncompleteReply when both replies fell short of it, each in another place. Each request has
  // the patience for itself. `reader` must outlive the session.
  boost::asio::awaitable<absl::StatusOr<QueueReply>> ReadQueues(QueueMenuReader& reader,
                                                                Patience patience = {});

  // Any command whose rows the caller wants to see, without the password where they hold it;
  // `words` must outlive the operation.
  boost::asio::awaitable<absl::StatusOr<CommandResult>> Run(
      absl::Span<const absl::string_view> words, absl::FunctionRef<void(Sentence)> on_row,
      Patience patience = {});

  // Ends the connection at once; an operation under way fails with kUnreachable.
  void Close();
  // Logged in, and no failure has closed the session since.
  bool connected() const { return connected_; }
  // "192.168.88.1:8729"
  const std::string& address() const { return address_; }

 private:
  struct Guard;
  // One operation at a time.
  class BusyScope {
   public:
    explicit BusyScope(std::shared_ptr<bool> busy) : busy_(std::move(busy)) {
      NS_CHECK(!*busy_, "a RouterOS session runs one operation at a time");
      *busy_ = true;
    }
    ~BusyScope() { *busy_ = false; }
    BusyScope(const BusyScope&) = delete;
    BusyScope& operator=(const BusyScope&) = delete;

   private:
    const std::shared_ptr<bool> busy_;
  };
  // A command of one operation and where its rows go.
  struct Call {
    absl::Span<const absl::string_view> words;
    absl::FunctionRef<void(Sentence)> on_row;
    // The rows are handed on as they came: their reader masks them.
    bool raw_rows = false;
    RequestTag tag = 0;
    bool done = false;
    CommandResult result = {};
  };
  using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

  // Closes the connection unless the guard is done first.
  std::shared_ptr<Guard> Arm(boost::asio::steady_timer& timer, absl::Duration deadline);
  void Expire(Guard& guard, std::string why);
  void WatchSilence(const std::shared_ptr<Guard>& guard, absl::Duration silence);
  boost::asio::awaitable<absl::StatusOr<Endpoints>> Resolve(absl::Duration deadline);
  boost::asio::awaitable<absl::Status> Dial(absl::Duration deadline);
  boost::asio::awaitable<boost::system::error_code> DialOne(boost::asio::ip::tcp::endpoint endpoint,
                                                            absl::Duration deadline);
  boost::asio::awaitable<absl::Status> Handshake();
  boost::asio::awaitable<absl::Status> Login();
  boost::asio::awaitable<absl::Status> ConnectUnderDeadline(absl::Duration deadline);
  // Sends what the session has to say, then reads once.
  boost::asio::awaitable<void> Transfer();
  // Runs all calls to their end. OK when all have ended, whatever their results.
  boost::asio::awaitable<absl::Status> RunAll(absl::Span<Call> calls, Patience patience);
  void HandRow(const Call& call, Sentence row) const;
  using SerialNumber = absl::StatusOr<std::optional<std::string>>;
  // Of a board that showed none the first time.
  boost::asio::awaitable<SerialNumber> AskSerialNumberAgain(Patience patience);
  // Tells the device by what its menus answered, or why that cannot be.
  absl::StatusOr<DeviceReport> Identify(DeviceReport report, const SerialNumber& serial_number,
                                        const absl::StatusOr<std::string>& system_id) const;
  // Tells a reader that this session has not read yet that it is a new one.
  void JoinSession(QueueMenuReader& reader);
  // The uptime; the rows are in the reader, which has not taken them yet.
  boost::asio::awaitable<absl::StatusOr<std::uint64_t>> PrintQueues(QueueMenuReader& reader,
                                                                    Patience patience);
  boost::asio::awaitable<absl::StatusOr<std::uint64_t>> PrintAllQueues(QueueMenuReader& reader,
                                                                       Patience patience);
  boost::asio::awaitable<absl::Status> FinishReading(QueueMenuReader& reader, QueueReply& reply);
  void KeepAlive();
  absl::Status Named(const absl::Status& status) const;
  void DropConnection();

  const boost::asio::any_io_executor executor_;
  const RouterEndpoint endpoint_;
  const SessionLimits limits_;
  const std::optional<boost::asio::any_io_executor> workers_;
  const std::string address_;
  boost::asio::steady_timer deadline_timer_;
  boost::asio::steady_timer silence_timer_;
  boost::asio::steady_timer dial_timer_;
  boost::asio::ip::tcp::socket socket_;
  std::unique_ptr<boost::asio::ssl::context> tls_context_;
  std::optional<boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>> tls_;
  std::optional<Session> session_;
  // Ends the wait for a resolver, which itself cannot be interrupted.
  std::shared_ptr<boost::asio::steady_timer> resolve_wake_;
  std::shared_ptr<Guard> guard_;
  bool connected_ = false;
  // Those that have read in this session: one for each menu.
  std::vector<const QueueMenuReader*> readers_;
  // Shared with the operation under way, which may be destroyed after the client is.
  std::shared_ptr<bool> busy_;
};

}  // namespace netsentinel::routeros
