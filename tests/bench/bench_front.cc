// Ingest throughput through the front of common/rpc beside gRPC's own TLS, in one run: a client
// that streams messages over mutual TLS 1.3 on loopback and waits for the count of what arrived.
// The same client, the same certificates, the same service; only what stands before gRPC differs.
// Turns alternate, so that a busy machine hits both alike. Prints bytes a second and CPU of both
// and the ratios; with --min-ratio it fails when the front has less than that of gRPC's own
// throughput.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/resource.h>

#include "common/base/check.h"
#include "common/io/os_random.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "netsentinel/v1/ingest.grpc.pb.h"
#include "tests/support/test_certificates.h"

namespace netsentinel {
namespace {

struct Settings {
  int turns = 5;
  int streams = 2;
  std::size_t message_bytes = 64 * 1024;
  std::size_t megabytes = 256;  // a turn and stream
  double min_ratio = 0;
};

// Reads everything, answers once at the end, as an acknowledgement.
class Sink final : public v1::IngestService::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* Ingest(
      grpc::CallbackServerContext*) override {
    class Reactor final : public grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse> {
     public:
      Reactor() { StartRead(&request_); }
      void OnReadDone(bool ok) override {
        if (ok) {
          StartRead(&request_);
        } else {
          StartWriteLast(&response_, {});
        }
      }
      void OnWriteDone(bool) override { Finish(grpc::Status::OK); }
      void OnDone() override { delete this; }

     private:
      v1::IngestRequest request_;
      v1::IngestResponse response_;
    };
    return new Reactor;
  }
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

v1::IngestRequest Message(std::size_t bytes) {
  v1::IngestRequest message;
  message.mutable_snapshot()->set_router_id(std::string(bytes, 'x'));
  return message;
}

// Streams all of a turn over one connection.
void Stream(const std::shared_ptr<grpc::Channel>& channel, const v1::IngestRequest& message,
            std::size_t count) {
  grpc::ClientContext context;
  const auto stream = v1::IngestService::NewStub(channel)->Ingest(&context);
  for (std::size_t i = 0; i < count; ++i) NS_CHECK(stream->Write(message), "the stream broke");
  stream->WritesDone();
  v1::IngestResponse response;
  NS_CHECK(stream->Read(&response), "no answer");
  const grpc::Status status = stream->Finish();
  NS_CHECK(status.ok(), status.error_message());
}

struct Result {
  double bytes_per_second = 0;
  double cpu_per_gigabyte = 0;
};

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings) {}

  int Run();

 private:
  Result Turn(std::uint16_t port);
  std::unique_ptr<grpc::Server> StartOwnTls(std::uint16_t& port);
  std::unique_ptr<rpc::Server> StartFront();

  const Settings settings_;
  const test::TestCertificates certificates_;
  const io::SystemClock clock_;
  io::OsRandom random_;
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  http::Readiness readiness_;
  http::Liveness liveness_{clock_};
  const rpc::PeerAuthority authority_{clock_, logger_, metrics_};
  Sink own_sink_, front_sink_;
};

std::unique_ptr<grpc::Server> Bench::StartOwnTls(std::uint16_t& port) {
  namespace tls = grpc::experimental;
  const config::TlsFiles files = certificates_.Issue(rpc::Role::kAggregator, "own");
  tls::TlsServerCredentialsOptions options(
      std::make_shared<tls::FileWatcherCertificateProvider>(files.key, files.cert, files.ca, 60));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  grpc::ServerBuilder builder;
  int bound = 0;
  builder.AddListeningPort("127.0.0.1:0", tls::TlsServerCredentials(options), &bound);
  builder.RegisterService(&own_sink_);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  NS_CHECK(server != nullptr && bound > 0, "gRPC's own server does not start");
  port = static_cast<std::uint16_t>(bound);
  return server;
}

std::unique_ptr<rpc::Server> Bench::StartFront() {
  rpc::ServerOptions options;
  options.address = {"127.0.0.1", 0};
  options.security = certificates_.Secure(rpc::Role::kAggregator, "front");
  options.admits = {rpc::Role::kCollector};
  const std::vector<grpc::Service*> services = {&front_sink_};
  auto server = rpc::Server::Start(options, authority_, services,
                                   {clock_, random_, logger_, metrics_, readiness_, liveness_});
  NS_CHECK(server.ok(), server.status().message());
  return *std::move(server);
}

Result Bench::Turn(std::uint16_t port) {
  const v1::IngestRequest message = Message(settings_.message_bytes);
  const std::size_t count = (settings_.megabytes << 20) / settings_.message_bytes;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < settings_.streams; ++i) {
    auto channel =
        rpc::MakeChannel({.peer = {absl::StrCat("127.0.0.1:", port),
                                   certificates_.Secure(rpc::Role::kCollector, "bench")}},
                         clock_);
    NS_CHECK(channel.ok(), channel.status().message());
    NS_CHECK((*channel)->WaitForConnected(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                                       gpr_time_from_seconds(20, GPR_TIMESPAN))),
             "no connection");
    channels.push_back(*std::move(channel));
  }
  const absl::Duration begin = clock_.MonotonicNow();
  const double cpu = CpuSeconds();
  std::vector<std::thread> writers;
  for (const auto& channel : channels) writers.emplace_back(Stream, channel, message, count);
  for (std::thread& writer : writers) writer.join();
  const double bytes = static_cast<double>(count * settings_.message_bytes) * settings_.streams;
  return {bytes / absl::ToDoubleSeconds(clock_.MonotonicNow() - begin),
          (CpuSeconds() - cpu) / (bytes / 1e9)};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int Bench::Run() {
  std::uint16_t own_port = 0;
  const std::unique_ptr<grpc::Server> own = StartOwnTls(own_port);
  const std::unique_ptr<rpc::Server> front = StartFront();
  std::vector<double> ratios, cpu_ratios;
  for (int turn = 0; turn < settings_.turns; ++turn) {
    // Who goes first changes.
    Result of_own, of_front;
    if (turn % 2 == 0) of_own = Turn(own_port);
    of_front = Turn(front->port());
    if (turn % 2 == 1) of_own = Turn(own_port);
    ratios.push_back(of_front.bytes_per_second / of_own.bytes_per_second);
    cpu_ratios.push_back(of_front.cpu_per_gigabyte / of_own.cpu_per_gigabyte);
    std::printf(
        "turn %d: gRPC's own TLS %4.0f MB/s, %.2f CPU-s/GB; front %4.0f MB/s, %.2f CPU-s/GB; "
        "ratio %.2f\n",
        turn + 1, of_own.bytes_per_second / 1e6, of_own.cpu_per_gigabyte,
        of_front.bytes_per_second / 1e6, of_front.cpu_per_gigabyte, ratios.back());
    std::fflush(stdout);
  }
  front->Shutdown(absl::Seconds(1));
  const double ratio = Median(ratios);
  std::printf(
      "front / gRPC's own TLS, %zu byte messages, %d streams, median of %d: throughput %.2f, "
      "CPU %.2f\n",
      settings_.message_bytes, settings_.streams, settings_.turns, ratio, Median(cpu_ratios));
  return ratio >= settings_.min_ratio ? 0 : 1;
}

}  // namespace
}  // namespace netsentinel

int main(int argc, char** argv) {
  netsentinel::Settings settings;
  CLI::App app("Throughput through the front beside gRPC's own TLS");
  app.add_option("--turns", settings.turns, "How often both are measured");
  app.add_option("--streams", settings.streams, "Connections at once");
  app.add_option("--message-bytes", settings.message_bytes, "Bytes of a message");
  app.add_option("--megabytes", settings.megabytes, "What each stream sends in a turn");
  app.add_option("--min-ratio", settings.min_ratio, "Fail below this ratio of throughput");
  CLI11_PARSE(app, argc, argv);
  return netsentinel::Bench(settings).Run();
}
