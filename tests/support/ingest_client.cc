#include "tests/support/ingest_client.h"

#include <chrono>

namespace netsentinel::test {

IngestClient::IngestClient(const std::shared_ptr<grpc::Channel>& channel)
    : stub_(v1::IngestService::NewStub(channel)) {
  context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  stream_ = stub_->Ingest(&context_);
}

IngestClient::~IngestClient() {
  if (finished_) return;
  context_.TryCancel();
  Finish();
}

bool IngestClient::Send(const v1::IngestRequest& request) { return stream_->Write(request); }

bool IngestClient::Send(const v1::Hello& hello) {
  v1::IngestRequest request;
  *request.mutable_hello() = hello;
  return Send(request);
}

bool IngestClient::Send(const v1::SnapshotFrame& frame) {
  v1::IngestRequest request;
  *request.mutable_snapshot() = frame;
  return Send(request);
}

std::optional<v1::IngestResponse> IngestClient::Read() {
  v1::IngestResponse response;
  if (!stream_->Read(&response)) return std::nullopt;
  return response;
}

std::optional<v1::IngestResponse> IngestClient::ReadUntil(
    const std::function<bool(const v1::IngestResponse&)>& wanted) {
  for (;;) {
    std::optional<v1::IngestResponse> response = Read();
    if (!response.has_value() || wanted(*response)) return response;
  }
}

std::optional<v1::Welcome> IngestClient::ReadWelcome() {
  const auto response = ReadUntil([](const auto& message) { return message.has_welcome(); });
  if (!response.has_value()) return std::nullopt;
  return response->welcome();
}

std::optional<v1::Refusal> IngestClient::ReadRefusal() {
  const auto response = ReadUntil([](const auto& message) { return message.has_refusal(); });
  if (!response.has_value()) return std::nullopt;
  return response->refusal();
}

std::optional<v1::Ack> IngestClient::ReadAck() {
  const auto response = ReadUntil([](const auto& message) { return message.has_ack(); });
  if (!response.has_value()) return std::nullopt;
  return response->ack();
}

grpc::Status IngestClient::Finish() {
  while (Read().has_value()) {
  }
  finished_ = true;
  return stream_->Finish();
}

v1::Hello MakeHello(const std::string& collector, const std::string& spool_uuid,
                    const std::vector<std::string>& routers) {
  v1::Hello hello;
  hello.set_protocol_version(1);
  hello.set_collector_id(collector);
  hello.set_software_version("test");
  hello.set_host_boot_id("boot-1");
  hello.set_spool_uuid(spool_uuid);
  for (const std::string& router : routers) hello.add_routers()->set_router_id(router);
  return hello;
}

v1::SnapshotFrame MakeSnapshot(const ClientPosition& position, const std::vector<ClientQueue>& rows,
                               absl::Time at) {
  v1::SnapshotFrame frame;
  frame.set_router_id(position.router);
  frame.set_menu(v1::MENU_SIMPLE);
  frame.set_lease_epoch(position.lease_epoch);
  frame.set_spool_uuid(position.spool_uuid);
  frame.set_sequence(position.sequence);
  frame.set_previous_sequence(position.previous);
  frame.set_last_part(true);
  frame.set_absolute(true);
  v1::SnapshotHeader* header = frame.mutable_header();
  header->set_host_boot_id("boot-1");
  const std::int64_t boot_us = absl::ToUnixMicros(at) - 1'700'000'000'000'000;
  header->set_begin_us(boot_us);
  header->set_end_us(boot_us + 1000);
  header->set_session_id(1);
  header->set_attribution_us(absl::ToUnixMicros(at));
  header->set_clock(v1::ATTRIBUTION_CLOCK_AGGREGATOR);
  header->set_router_uptime_s(static_cast<std::uint64_t>(boot_us / 1'000'000));
  header->mutable_device()->set_serial_number("SERIAL-" + position.router);
  header->set_queue_count(static_cast<std::uint32_t>(rows.size()));
  for (std::size_t i = 0; i < rows.size(); ++i) {
    v1::QueueDescriptor* queue = frame.add_added();
    queue->set_row_id(i + 1);
    queue->set_name(rows[i].name);
    queue->set_target("10.0.0.1/32");
    frame.add_queue_index(i == 0 ? 0 : 1);
    frame.add_upload(static_cast<std::int64_t>(rows[i].upload));
    frame.add_download(static_cast<std::int64_t>(rows[i].download));
    frame.add_packets(static_cast<std::int64_t>((rows[i].upload + rows[i].download) / 1000 + 10));
  }
  return frame;
}

}  // namespace netsentinel::test
