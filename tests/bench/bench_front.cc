// Ingest throughput through the front of common/rpc beside gRPC's own TLS, in one run: clients that
// stream messages over mutual TLS 1.3 on loopback, have each acknowledged, and keep at most as much
// unacknowledged as a collector does. The same clients, in a process of their own as collectors
// are, the same certificates, the same service; only what stands before gRPC differs. Nothing is
// stored: a COMMIT before each acknowledgement would cost both the same and bring the ratio closer
// to 1. Turns alternate, so that a busy machine hits both alike. Prints bytes a second, the
// server's CPU, and the ratios; with --min-ratio it fails when the front has less than that of
// gRPC's own throughput with messages of any size.
#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include <CLI/CLI.hpp>
#include <grpcpp/grpcpp.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <sys/resource.h>

#include "common/base/check.h"
#include "common/base/mutex.h"
#include "common/io/os_random.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "common/rpc/grpc_channel.h"
#include "common/rpc/grpc_server.h"
#include "netsentinel/v1/ingest.grpc.pb.h"
#include "tests/support/subprocess.h"
#include "tests/support/test_certificates.h"

namespace netsentinel {
namespace {

constexpr std::size_t kUnacknowledgedMost = std::size_t{8} << 20;

struct Settings {
  int turns = 5;
  int streams = 2;
  std::vector<std::size_t> message_bytes = {8 * 1024, 64 * 1024};
  std::size_t megabytes = 128;  // a turn and stream
  double min_ratio = 0;
};

// Acknowledges what it has read: one answer is under way at a time and stands for all until then.
class Sink final : public v1::IngestService::CallbackService {
 public:
  grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse>* Ingest(
      grpc::CallbackServerContext*) override {
    return new Reactor;
  }

 private:
  class Reactor final : public grpc::ServerBidiReactor<v1::IngestRequest, v1::IngestResponse> {
   public:
    Reactor() { StartRead(&request_); }
    void OnReadDone(bool ok) override {
      {
        base::MutexLock lock(mutex_);
        if (ok) ++read_;
        if (!ok) ended_ = true;
        Acknowledge();
      }
      if (ok) StartRead(&request_);
    }
    void OnWriteDone(bool) override {
      base::MutexLock lock(mutex_);
      writing_ = false;
      Acknowledge();
    }
    void OnDone() override { delete this; }

   private:
    void Acknowledge() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      if (writing_) return;
      if (acknowledged_ < read_) {
        writing_ = true;
        acknowledged_ = read_;
        response_.mutable_ack()->set_sequence(acknowledged_);
        StartWrite(&response_);
      } else if (ended_) {
        Finish(grpc::Status::OK);
      }
    }

    v1::IngestRequest request_;
    v1::IngestResponse response_;
    base::Mutex mutex_;
    std::uint64_t read_ ABSL_GUARDED_BY(mutex_) = 0;
    std::uint64_t acknowledged_ ABSL_GUARDED_BY(mutex_) = 0;
    bool writing_ ABSL_GUARDED_BY(mutex_) = false;
    bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  };
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// What the client's process is told.
struct Order {
  std::uint16_t port = 0;
  config::TlsFiles files;
  int streams = 0;
  std::size_t message_bytes = 0;
  std::size_t count = 0;  // of each stream
};

v1::IngestRequest Message(std::size_t bytes) {
  v1::IngestRequest message;
  message.mutable_snapshot()->set_spool_uuid(std::string(bytes, 'x'));
  return message;
}

// Streams all of an order over one connection, until the last of it is acknowledged.
void Stream(const std::shared_ptr<grpc::Channel>& channel, const Order& order) {
  grpc::ClientContext context;
  const auto stream = v1::IngestService::NewStub(channel)->Ingest(&context);
  const v1::IngestRequest message = Message(order.message_bytes);
  const std::size_t window = std::max<std::size_t>(1, kUnacknowledgedMost / order.message_bytes);
  base::Mutex mutex;
  std::condition_variable changed;
  std::size_t acknowledged = 0;
  std::thread reader([&] {
    v1::IngestResponse response;
    while (stream->Read(&response)) {
      base::MutexLock lock(mutex);
      acknowledged = response.ack().sequence();
      changed.notify_one();
    }
  });
  for (std::size_t sent = 0; sent < order.count; ++sent) {
    {
      base::MutexLock lock(mutex);
      changed.wait(lock.native(), [&] { return sent - acknowledged < window; });
    }
    NS_CHECK(stream->Write(message), "the stream broke");
  }
  stream->WritesDone();
  reader.join();
  const grpc::Status status = stream->Finish();
  NS_CHECK(status.ok(), status.error_message());
  NS_CHECK(acknowledged == order.count, "not everything was acknowledged");
}

// The client's process: prints how many seconds it took.
int RunClient(const Order& order) {
  const io::SystemClock clock;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < order.streams; ++i) {
    auto channel = rpc::MakeChannel(
        {.peer = {absl::StrCat("127.0.0.1:", order.port), {false, order.files}}}, clock);
    NS_CHECK(channel.ok(), channel.status().message());
    NS_CHECK((*channel)->WaitForConnected(gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                                                       gpr_time_from_seconds(20, GPR_TIMESPAN))),
             "no connection");
    channels.push_back(*std::move(channel));
  }
  const absl::Duration begin = clock.MonotonicNow();
  std::vector<std::thread> streams;
  for (const auto& channel : channels) {
    streams.emplace_back([&channel, &order] { Stream(channel, order); });
  }
  for (std::thread& stream : streams) stream.join();
  std::printf("%.6f\n", absl::ToDoubleSeconds(clock.MonotonicNow() - begin));
  return 0;
}

struct Result {
  double bytes_per_second = 0;
  double cpu_per_gigabyte = 0;  // of the server
};

class Bench {
 public:
  explicit Bench(const Settings& settings) : settings_(settings) {}

  int Run();

 private:
  double Compare(std::size_t message_bytes, std::uint16_t own, std::uint16_t front);
  Result Turn(std::uint16_t port, std::size_t message_bytes);
  std::unique_ptr<grpc::Server> StartOwnTls(std::uint16_t& port);
  std::unique_ptr<rpc::Server> StartFront();

  const Settings settings_;
  const test::TestCertificates certificates_;
  const config::TlsFiles client_files_ = certificates_.Issue(rpc::Role::kCollector, "bench");
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

Result Bench::Turn(std::uint16_t port, std::size_t message_bytes) {
  const std::size_t count = (settings_.megabytes << 20) / message_bytes;
  const double cpu = CpuSeconds();
  test::Subprocess client(
      "/proc/self/exe",
      {"--client", absl::StrCat(port), "--ca", client_files_.ca, "--cert", client_files_.cert,
       "--key", client_files_.key, "--streams", absl::StrCat(settings_.streams), "--message-bytes",
       absl::StrCat(message_bytes), "--count", absl::StrCat(count)});
  double seconds = 0;
  const int exit_code = client.Wait(absl::Minutes(5));
  NS_CHECK(exit_code == 0 && absl::SimpleAtod(client.Stdout(), &seconds),
           absl::StrCat("the client failed: ", client.Stderr()));
  const double bytes = static_cast<double>(count * message_bytes) * settings_.streams;
  return {bytes / seconds, (CpuSeconds() - cpu) / (bytes / 1e9)};
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double Bench::Compare(std::size_t message_bytes, std::uint16_t own, std::uint16_t front) {
  std::vector<double> ratios, cpu_ratios;
  for (int turn = 0; turn < settings_.turns; ++turn) {
    // Who goes first changes.
    Result of_own, of_front;
    if (turn % 2 == 0) of_own = Turn(own, message_bytes);
    of_front = Turn(front, message_bytes);
    if (turn % 2 == 1) of_own = Turn(own, message_bytes);
    ratios.push_back(of_front.bytes_per_second / of_own.bytes_per_second);
    cpu_ratios.push_back(of_front.cpu_per_gigabyte / of_own.cpu_per_gigabyte);
    std::printf(
        "turn %d: gRPC's own TLS %4.0f MB/s, %.2f CPU-s/GB; front %4.0f MB/s, %.2f CPU-s/GB; "
        "ratio %.2f\n",
        turn + 1, of_own.bytes_per_second / 1e6, of_own.cpu_per_gigabyte,
        of_front.bytes_per_second / 1e6, of_front.cpu_per_gigabyte, ratios.back());
    std::fflush(stdout);
  }
  const double ratio = Median(ratios);
  std::printf(
      "front / gRPC's own TLS, %zu byte messages, %d streams, median of %d: throughput %.2f, "
      "server's CPU %.2f\n",
      message_bytes, settings_.streams, settings_.turns, ratio, Median(cpu_ratios));
  return ratio;
}

int Bench::Run() {
  std::uint16_t own_port = 0;
  const std::unique_ptr<grpc::Server> own = StartOwnTls(own_port);
  const std::unique_ptr<rpc::Server> front = StartFront();
  bool enough = true;
  for (const std::size_t bytes : settings_.message_bytes) {
    if (Compare(bytes, own_port, front->port()) < settings_.min_ratio) enough = false;
  }
  front->Shutdown(absl::Seconds(1));
  return enough ? 0 : 1;
}

}  // namespace
}  // namespace netsentinel

int main(int argc, char** argv) {
  netsentinel::Settings settings;
  netsentinel::Order order;
  CLI::App app("Throughput through the front beside gRPC's own TLS");
  app.add_option("--turns", settings.turns, "How often both are measured");
  app.add_option("--streams", settings.streams, "Connections at once");
  app.add_option("--message-bytes", settings.message_bytes, "Bytes of a message; several sizes");
  app.add_option("--megabytes", settings.megabytes, "What each stream sends in a turn");
  app.add_option("--min-ratio", settings.min_ratio, "Fail below this ratio of throughput");
  CLI::Option* client =
      app.add_option("--client", order.port, "Be the client of this port (started by the bench)");
  app.add_option("--count", order.count, "Messages of each of the client's streams");
  app.add_option("--ca", order.files.ca, "The client's authority");
  app.add_option("--cert", order.files.cert, "The client's certificate");
  app.add_option("--key", order.files.key, "The client's key");
  CLI11_PARSE(app, argc, argv);
  if (client->count() == 0) return netsentinel::Bench(settings).Run();
  order.streams = settings.streams;
  order.message_bytes = settings.message_bytes.at(0);
  return netsentinel::RunClient(order);
}
