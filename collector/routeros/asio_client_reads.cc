// What a session asks a router: who it is, and its queues.
#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "collector/routeros/asio_client.h"
#include "collector/routeros/device.h"
#include "collector/routeros/parsers.h"
#include "collector/routeros/router_error.h"

namespace netsentinel::routeros {
namespace {

namespace asio = boost::asio;

// Fewer rows are made into readings sooner than a thread is woken.
constexpr std::size_t kRowsForAWorker = 2000;

absl::Status NoRow(absl::string_view menu) {
  return RouterStatus(RouterError::kIncompleteReply, absl::StrCat(menu, " has no row"));
}

}  // namespace

asio::awaitable<absl::StatusOr<std::uint64_t>> AsioClient::ReadUptime(Patience patience) {
  absl::StatusOr<std::uint64_t> uptime = NoRow("/system/resource");
  const auto on_row = [&uptime](Sentence row) { uptime = routeros::ReadUptime(row); };
  const absl::StatusOr<CommandResult> result = co_await Run(UptimeCommand(), on_row, patience);
  if (!result.ok()) co_return result.status();
  if (!uptime.ok()) co_return Named(uptime.status());
  co_return uptime;
}

asio::awaitable<AsioClient::SerialNumber> AsioClient::AskSerialNumberAgain(Patience patience) {
  SerialNumber serial_number = NoRow("/system/routerboard");
  const auto on_board = [&serial_number](Sentence row) { serial_number = ReadSerialNumber(row); };
  std::array<Call, 1> calls = {Call{RouterboardCommand(), on_board}};
  const absl::Status status = co_await RunAll(absl::MakeSpan(calls), patience);
  if (!status.ok()) co_return status;
  if (!calls[0].result.status.ok()) co_return Named(calls[0].result.status);
  co_return serial_number;
}

// A refusal, and an answer without what it is asked for, must not make this device look like
// another one.
absl::StatusOr<DeviceReport> AsioClient::Identify(
    DeviceReport report, const SerialNumber& serial_number,
    const absl::StatusOr<std::string>& system_id) const {
  if (!serial_number.ok()) return Named(serial_number.status());
  report.device.serial_number = serial_number->value_or("");
  // The serial number alone tells the device; the license may be moved to another one.
  if (!report.device.serial_number.empty()) {
    if (!system_id.ok()) {
      report.remark =
          absl::StrCat("the license was not told, which the serial number makes up for: ",
                       system_id.status().message());
    }
    return report;
  }
  if (!system_id.ok()) return Named(system_id.status());
  report.device.system_id = *system_id;
  if (serial_number->has_value()) return report;
  if (system_id->empty()) {
    return Named(RouterStatus(RouterError::kIncompleteReply,
                              "/system/routerboard shows no serial-number and /system/license no "
                              "id, by one of which this device is known"));
  }
  report.remark = "the board shows no serial number: it is known by its license's id";
  return report;
}

asio::awaitable<absl::StatusOr<DeviceReport>> AsioClient::ReadDevice(Patience patience) {
  const BusyScope busy(busy_);
  absl::StatusOr<Resource> resource = NoRow("/system/resource");
  SerialNumber serial_number = NoRow("/system/routerboard");
  absl::StatusOr<std::string> system_id = NoRow("/system/license");
  DeviceReport report;
  const auto on_resource = [&resource](Sentence row) { resource = ReadResource(row); };
  const auto on_identity = [&report](Sentence row) { report.device.identity = ReadIdentity(row); };
  const auto on_board = [&serial_number](Sentence row) { serial_number = ReadSerialNumber(row); };
  const auto on_license = [&system_id](Sentence row) { system_id = ReadSystemId(row); };
  std::array<Call, 4> calls = {
      Call{ResourceCommand(), on_resource}, Call{IdentityCommand(), on_identity},
      Call{RouterboardCommand(), on_board}, Call{LicenseCommand(), on_license}};
  absl::Status status = co_await RunAll(absl::MakeSpan(calls), patience);
  if (!status.ok()) co_return status;
  if (!calls[0].result.status.ok()) resource = calls[0].result.status;
  if (!resource.ok()) co_return Named(resource.status());
  report.device.board_name = std::move(resource->board_name);
  report.device.version = std::move(resource->version);
  report.uptime_s = resource->uptime_s;
  const auto absent = [](const absl::Status& refusal) {
    return RouterErrorOf(refusal) == RouterError::kMenuAbsent;
  };
  if (!calls[2].result.status.ok()) serial_number = calls[2].result.status;
  if (absent(serial_number.status())) serial_number = "";
  if (!calls[3].result.status.ok()) system_id = calls[3].result.status;
  if (absent(system_id.status())) system_id = "";
  if (serial_number.ok() && !serial_number->has_value()) {
    serial_number = co_await AskSerialNumberAgain(patience);
    if (!connected_) co_return serial_number.status();
  }
  const absl::Status& unnamed = calls[1].result.status;
  absl::StatusOr<DeviceReport> known = Identify(std::move(report), serial_number, system_id);
  if (known.ok() && !unnamed.ok() && known->remark.empty()) {
    known->remark =
        absl::StrCat("the router's name was not told and is done without: ", unnamed.message());
  }
  co_return known;
}

void AsioClient::JoinSession(QueueMenuReader& reader) {
  if (std::find(readers_.begin(), readers_.end(), &reader) != readers_.end()) return;
  reader.BeginSession(session_->mask());
  readers_.push_back(&reader);
}

asio::awaitable<absl::StatusOr<std::uint64_t>> AsioClient::PrintQueues(QueueMenuReader& reader,
                                                                       Patience patience) {
  absl::StatusOr<std::uint64_t> uptime = NoRow("/system/resource");
  reader.Begin();
  const auto on_uptime = [&uptime](Sentence row) { uptime = routeros::ReadUptime(row); };
  const auto on_queue = [&reader](Sentence row) { reader.AddRow(row); };
  std::array<Call, 2> calls = {Call{UptimeCommand(), on_uptime},
                               Call{reader.PrintCommand(), on_queue, /*raw_rows=*/true}};
  const absl::Status status = co_await RunAll(absl::MakeSpan(calls), patience);
  if (!status.ok()) co_return status;
  for (const Call& call : calls) {
    if (!call.result.status.ok()) co_return Named(call.result.status);
  }
  if (!uptime.ok()) co_return Named(uptime.status());
  co_return uptime;
}

asio::awaitable<absl::StatusOr<std::uint64_t>> AsioClient::PrintAllQueues(QueueMenuReader& reader,
                                                                          Patience patience) {
  absl::StatusOr<std::uint64_t> uptime = co_await PrintQueues(reader, patience);
  if (!uptime.ok() || reader.rows() >= reader.known_rows()) co_return uptime;
  // Queues were removed, or the reply fell short.
  const auto on_row = [](Sentence) {};
  std::array<Call, 1> calls = {Call{reader.CountCommand(), on_row}};
  const absl::Status status = co_await RunAll(absl::MakeSpan(calls), patience);
  if (!status.ok()) co_return status;
  const std::optional<std::uint64_t> count = ParseUint64(calls[0].result.ret.value_or(""));
  const std::size_t rows = reader.rows();
  // What a router does not count cannot be checked.
  if (!calls[0].result.status.ok() || !count.has_value() || *count == rows) co_return uptime;
  uptime = co_await PrintQueues(reader, patience);
  // The same rows again are what there is, and queues come and go between two commands.
  if (!uptime.ok() || reader.rows() == rows || reader.rows() >= *count) co_return uptime;
  co_return Named(RouterStatus(
      RouterError::kIncompleteReply,
      absl::StrCat("/queue/", counters::MenuName(reader.menu()), " has ", *count,
                   " rows, of which the router sent ", rows, " and then ", reader.rows())));
}

asio::awaitable<absl::Status> AsioClient::FinishReading(QueueMenuReader& reader,
                                                        QueueReply& reply) {
  if (!workers_.has_value() || reader.rows() < kRowsForAWorker) {
    co_return reader.Finish(reply.readings);
  }
  co_return co_await asio::co_spawn(
      *workers_,
      [&reader, &reply]() -> asio::awaitable<absl::Status> {
        co_return reader.Finish(reply.readings);
      },
      asio::use_awaitable);
}

asio::awaitable<absl::StatusOr<QueueReply>> AsioClient::ReadQueues(QueueMenuReader& reader,
                                                                   Patience patience) {
  const BusyScope busy(busy_);
  JoinSession(reader);
  const absl::StatusOr<std::uint64_t> uptime = co_await PrintAllQueues(reader, patience);
  if (!uptime.ok()) {
    reader.Begin();
    co_return uptime.status();
  }
  QueueReply reply;
  const absl::Status finished = co_await FinishReading(reader, reply);
  if (!finished.ok()) co_return Named(finished);
  reply.uptime_s = *uptime;
  reply.remark = reader.remark();
  co_return std::move(reply);
}

}  // namespace netsentinel::routeros
