#include "common/http/client.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "common/config/address.h"

namespace netsentinel::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;

std::string ReachableHost(const std::string& host) {
  if (host == "0.0.0.0" || host == "localhost") return "127.0.0.1";
  if (host == "::") return "::1";
  return host;
}

// Runs what has been started on `context` to its end; the stream's own timer bounds it.
void RunToEnd(asio::io_context& context) {
  context.restart();
  context.run();
}

absl::Status Failed(const config::Address& address, const beast::error_code& error) {
  const std::string text =
      absl::StrCat("asking ", config::FormatAddress(address), ": ", error.message());
  if (error == beast::error::timeout) return absl::DeadlineExceededError(text);
  return absl::UnavailableError(text);
}

}  // namespace

absl::StatusOr<FetchResult> Fetch(const config::Address& address, absl::string_view path,
                                  absl::Duration timeout) {
  asio::io_context context(1);
  beast::error_code error;
  const asio::ip::address host = asio::ip::make_address(ReachableHost(address.host), error);
  if (error) return absl::InvalidArgumentError(absl::StrCat(address.host, " is not an IP address"));

  beast::tcp_stream stream(context);
  stream.expires_after(absl::ToChronoMilliseconds(timeout));
  const auto keep = [&error](const beast::error_code& result, const auto&...) { error = result; };

  stream.async_connect(asio::ip::tcp::endpoint(host, address.port), keep);
  RunToEnd(context);
  if (error) return Failed(address, error);

  beast::http::request<beast::http::empty_body> request(beast::http::verb::get, std::string(path),
                                                        11);
  request.set(beast::http::field::host, config::FormatAddress(address));
  request.set(beast::http::field::connection, "close");
  beast::http::async_write(stream, request, keep);
  RunToEnd(context);
  if (error) return Failed(address, error);

  beast::flat_buffer buffer;
  beast::http::response_parser<beast::http::string_body> parser;
  parser.body_limit(std::uint64_t{16} << 20);
  beast::http::async_read(stream, buffer, parser, keep);
  RunToEnd(context);
  if (error) return Failed(address, error);
  return FetchResult{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
}

}  // namespace netsentinel::http
