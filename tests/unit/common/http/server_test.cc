#include "common/http/server.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>

#include "common/http/client.h"
#include "common/io/system_clock.h"
#include "common/log/capturing_logger.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::http {
namespace {

using boost::asio::ip::tcp;
using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;
using testing::StartsWith;

class ServerTest : public testing::Test {
 protected:
  void Serve(ServerOptions options = {}) {
    options.address = {"127.0.0.1", 0};
    auto handlers = StandardHandlers(metrics_, liveness_, readiness_);
    handlers.emplace_back("/echo/", [](const Request& request) {
      Response response;
      const auto agent = request.headers.find("user-agent");
      response.body = absl::StrCat(request.path, "|", request.query, "|",
                                   agent == request.headers.end() ? "" : agent->second);
      response.headers.emplace_back("X-Test", "1");
      return response;
    });
    handlers.emplace_back("/big/", [](const Request&) {
      Response response;
      response.body.assign(1 << 20, 'x');
      return response;
    });
    auto server = Server::Start(options, std::move(handlers), logger_);
    ASSERT_THAT(server, IsOk());
    server_ = *std::move(server);
  }

  absl::StatusOr<FetchResult> Get(absl::string_view path) {
    return Fetch({"127.0.0.1", server_->port()}, path);
  }

  // Everything that the server answers to these bytes until it closes the connection.
  std::string Raw(const std::string& request) {
    boost::asio::io_context context;
    tcp::socket socket(context);
    socket.connect({boost::asio::ip::make_address("127.0.0.1"), server_->port()});
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(request), error);
    std::string answer;
    boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);
    return answer;
  }

  const io::SystemClock clock_;
  log::CapturingLogger logger_;
  metrics::Registry metrics_;
  Liveness liveness_{clock_};
  Readiness readiness_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, ThreePagesTellHowTheProcessIs) {
  Serve();
  metrics_.AddCounter("c_total", "C.").Increment();
  ASSERT_OK_AND_ASSIGN(const FetchResult metrics, Get("/metrics"));
  EXPECT_EQ(metrics.status, 200);
  EXPECT_THAT(metrics.body, HasSubstr("c_total 1\n"));
  EXPECT_EQ(Get("/healthz")->body, "alive\n");
  EXPECT_EQ(Get("/readyz")->status, 200);
  readiness_.NotReady("store", "not reachable");
  ASSERT_OK_AND_ASSIGN(const FetchResult ready, Get("/readyz"));
  EXPECT_EQ(ready.status, 503);
  EXPECT_EQ(ready.body, "store: not ready: not reachable\n");
  EXPECT_EQ(Get("/healthz")->status, 200);
}

TEST_F(ServerTest, AStuckLoopIsUnhealthy) {
  Serve();
  liveness_.AddPulse("poll", absl::Duration());
  EXPECT_EQ(Get("/healthz")->status, 503);
}

TEST_F(ServerTest, PathsBelowAPrefixGoToItsHandlerWithQueryAndHeaders) {
  Serve();
  const std::string answer =
      Raw("GET /echo/a%20b?x=1&y HTTP/1.1\r\nHost: localhost\r\nUser-Agent: me\r\nConnection: "
          "close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\n\r\n/echo/a%20b|x=1&y|me"));
  EXPECT_THAT(answer, HasSubstr("X-Test: 1\r\n"));
  EXPECT_THAT(answer, HasSubstr("X-Content-Type-Options: nosniff\r\n"));
  EXPECT_EQ(Get("/echo")->status, 404);
  EXPECT_EQ(Get("/metricsx")->status, 404);
}

TEST_F(ServerTest, HeadHasTheLengthButNoBody) {
  Serve();
  const std::string answer = Raw("HEAD /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 6\r\n"));
  EXPECT_THAT(answer, testing::EndsWith("\r\n\r\n"));
}

TEST_F(ServerTest, OneConnectionServesManyRequests) {
  Serve();
  const std::string one = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string last = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  const std::string answer = Raw(one + one + last);
  EXPECT_THAT(answer, HasSubstr("alive\nHTTP/1.1 200 OK"));
  EXPECT_THAT(answer, testing::EndsWith("ready\n"));
}

struct BadRequest {
  const char* name;
  std::string bytes;
  const char* answer;
};
void PrintTo(const BadRequest& bad, std::ostream* out) { *out << bad.name; }

class BadRequestTest : public ServerTest, public testing::WithParamInterface<BadRequest> {};

TEST_P(BadRequestTest, IsAnsweredAndTheConnectionClosed) {
  Serve();
  EXPECT_THAT(Raw(GetParam().bytes), StartsWith(GetParam().answer));
  EXPECT_EQ(Get("/healthz")->status, 200);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadRequestTest,
    testing::Values(
        BadRequest{"Post", "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
                   "HTTP/1.1 405 "},
        BadRequest{"BodyInGet",
                   "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nxxxxxxxxxxxx",
                   "HTTP/1.1 413 "},
        BadRequest{"NoHttp", "\x16\x03\x01\x02\x00\x01\x00 hello there\r\n\r\n", "HTTP/1.1 400 "},
        BadRequest{"LongHeader", "GET / HTTP/1.1\r\nX: " + std::string(20000, 'x') + "\r\n\r\n",
                   "HTTP/1.1 431 "},
        BadRequest{"ManyHeaders",
                   [] {
                     std::string text = "GET / HTTP/1.1\r\n";
                     for (int i = 0; i < 2000; ++i) absl::StrAppend(&text, "X", i, ": y\r\n");
                     return text + "\r\n";
                   }(),
                   "HTTP/1.1 431 "}),
    [](const auto& test) { return test.param.name; });

TEST_F(ServerTest, AClientThatSaysNothingIsDroppedAfterTheTimeout) {
  Serve({.address = {}, .timeout = absl::Milliseconds(50)});
  EXPECT_EQ(Raw("GET /heal"), "");
}

TEST_F(ServerTest, SilentClientsBeyondTheLimitDoNotLockOutTheNextOne) {
  Serve({.address = {}, .max_connections = 2, .timeout = absl::Milliseconds(100)});
  boost::asio::io_context context;
  std::vector<tcp::socket> silent;
  for (int i = 0; i < 5; ++i) {
    silent.emplace_back(context);
    silent.back().connect({boost::asio::ip::make_address("127.0.0.1"), server_->port()});
  }
  ASSERT_OK_AND_ASSIGN(const FetchResult result, Get("/healthz"));
  EXPECT_EQ(result.status, 200);
}

TEST_F(ServerTest, HalfRequestsThatAreRefilledTakeNoProbeAway) {
  Serve();
  boost::asio::io_context context;
  std::vector<tcp::socket> half;
  for (int round = 0; round < 6; ++round) {
    for (int i = 0; i < 300; ++i) {
      half.emplace_back(context);
      half.back().connect({boost::asio::ip::make_address("127.0.0.1"), server_->port()});
      boost::system::error_code error;
      boost::asio::write(half.back(), boost::asio::buffer("GET /healthz HTT", 16), error);
    }
    for (const char* path : {"/healthz", "/readyz", "/metrics"}) {
      ASSERT_OK_AND_ASSIGN(const FetchResult result, Get(path));
      EXPECT_EQ(result.status, 200) << path;
    }
    half.clear();
  }
  EXPECT_EQ(logger_.Count("http.crowded"), 1U) << "told once a minute";
}

TEST_F(ServerTest, ClientsThatTakeNoAnswerTakeNoProbeAway) {
  Serve();
  boost::asio::io_context context;
  std::vector<tcp::socket> slow;
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 200; ++i) text += "GET /big/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    return text;
  }();
  for (int i = 0; i < 200; ++i) {
    slow.emplace_back(context);
    slow.back().open(tcp::v4());
    slow.back().set_option(boost::asio::socket_base::receive_buffer_size(4096));
    slow.back().connect({boost::asio::ip::make_address("127.0.0.1"), server_->port()});
    boost::system::error_code error;
    boost::asio::write(slow.back(), boost::asio::buffer(many), error);
  }
  ASSERT_OK_AND_ASSIGN(const FetchResult result, Get("/healthz"));
  EXPECT_EQ(result.status, 200);
}

TEST_F(ServerTest, APageIsShownUnderItsOwnNamesOnlyAndAProbeUnderAny) {
  Serve({.address = {}, .hosts = {"reports.example.net"}, .hosts_key = "listen.web_hosts"});
  const auto ask = [&](absl::string_view path, absl::string_view host) {
    return Raw(absl::StrCat("GET ", path, " HTTP/1.1\r\n", host, "Connection: close\r\n\r\n"));
  };
  EXPECT_THAT(ask("/echo/", "Host: evil.example\r\n"),
              testing::AllOf(StartsWith("HTTP/1.1 421 "), HasSubstr("\"evil.example\""),
                             HasSubstr("listen.web_hosts")));
  EXPECT_THAT(ask("/echo/", ""), StartsWith("HTTP/1.1 421 "));
  EXPECT_THAT(ask("/echo/", "Host: localhost\r\nHost: evil.example\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(ask("/echo/", "Host: evil.example\r\nHost: localhost\r\n"),
              StartsWith("HTTP/1.1 400 "));
  for (const char* host : {"Host: reports.example.net\r\n", "Host: localhost:9\r\n",
                           "Host: 127.0.0.1\r\n", "host:LOCALHOST\r\n"}) {
    EXPECT_THAT(ask("/echo/", host), StartsWith("HTTP/1.1 200 ")) << host;
  }
  for (const char* path : {"/healthz", "/readyz", "/metrics"}) {
    EXPECT_THAT(ask(path, "Host: evil.example\r\n"), StartsWith("HTTP/1.1 200 ")) << path;
  }
  EXPECT_THAT(ask("/healthz/", "Host: evil.example\r\n"), StartsWith("HTTP/1.1 404 "));
}

TEST_F(ServerTest, StoppingClosesConnectionsAndIsIdempotent) {
  Serve();
  boost::asio::io_context context;
  tcp::socket socket(context);
  socket.connect({boost::asio::ip::make_address("127.0.0.1"), server_->port()});
  server_->Stop();
  server_->Stop();
  char byte = 0;
  boost::system::error_code error;
  socket.read_some(boost::asio::buffer(&byte, 1), error);
  EXPECT_TRUE(error);
  EXPECT_THAT(Get("/healthz"), StatusIs(absl::StatusCode::kUnavailable, testing::_));
}

TEST_F(ServerTest, APortThatIsTakenIsNamed) {
  Serve();
  EXPECT_THAT(Server::Start({.address = {"127.0.0.1", server_->port()}}, {}, logger_).status(),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr(absl::StrCat("127.0.0.1:", server_->port()))));
}

TEST(FetchTest, AServerThatDoesNotAnswerIsGivenUp) {
  boost::asio::io_context context;
  tcp::acceptor acceptor(context, {boost::asio::ip::make_address("127.0.0.1"), 0});
  EXPECT_THAT(Fetch({"127.0.0.1", acceptor.local_endpoint().port()}, "/", absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kDeadlineExceeded, testing::_));
}

}  // namespace
}  // namespace netsentinel::http
