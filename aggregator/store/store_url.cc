#include "aggregator/store/store_url.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr char kSqliteForm[] = "sqlite:///absolute/path";
constexpr char kMysqlForm[] = "mysql://user@host:port/database or …?socket=/path";

absl::Status Wrong(absl::string_view problem, absl::string_view form) {
  return absl::InvalidArgumentError(
      absl::StrCat("store.url: ", problem, "; the expected form is ", form));
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::StatusOr<std::string> Unescape(absl::string_view text, absl::string_view form) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      result.push_back(text[i]);
      continue;
    }
    const int high = i + 1 < text.size() ? HexValue(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexValue(text[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) {
      return Wrong(absl::StrCat("\"%\" in \"", text, "\" is not followed by two hex digits"), form);
    }
    result.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return result;
}

absl::StatusOr<StoreHost> ParseHost(absl::string_view text) {
  StoreHost host;
  absl::string_view port;
  if (absl::StartsWith(text, "[")) {
    const std::size_t end = text.find(']');
    if (end == absl::string_view::npos) return Wrong("\"[\" without \"]\"", kMysqlForm);
    host.host = std::string(text.substr(1, end - 1));
    port = text.substr(end + 1);
    if (!port.empty() && !absl::ConsumePrefix(&port, ":")) {
      return Wrong(absl::StrCat("unexpected \"", port, "\" after \"]\""), kMysqlForm);
    }
  } else {
    const std::size_t colon = text.find(':');
    host.host = std::string(text.substr(0, colon));
    if (colon != absl::string_view::npos) {
      port = text.substr(colon + 1);
      if (port.empty()) return Wrong(absl::StrCat("no port after \"", text, "\""), kMysqlForm);
    }
  }
  if (host.host.empty()) return Wrong("the host is missing", kMysqlForm);
  if (port.empty()) return host;
  std::uint32_t number = 0;
  if (!absl::SimpleAtoi(port, &number) || number == 0 || number > 65535) {
    return Wrong(absl::StrCat("\"", port, "\" is not a port (1 to 65535)"), kMysqlForm);
  }
  host.port = static_cast<std::uint16_t>(number);
  return host;
}

absl::StatusOr<StoreLocation> ParseSqlite(absl::string_view rest) {
  if (!absl::StartsWith(rest, "/") || rest.size() < 2) {
    return Wrong("the path of the file is missing or not absolute", kSqliteForm);
  }
  if (absl::EndsWith(rest, "/")) return Wrong("the path is a folder", kSqliteForm);
  if (absl::StrContains(rest, "?")) return Wrong("options are not understood", kSqliteForm);
  StoreLocation location;
  location.engine = StoreLocation::Engine::kSqlite;
  NS_ASSIGN_OR_RETURN(location.path, Unescape(rest, kSqliteForm));
  return location;
}

absl::Status ParseHosts(absl::string_view text, StoreLocation& location) {
  bool first = true;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    NS_ASSIGN_OR_RETURN(StoreHost host, ParseHost(part));
    if (first) {
      location.host = std::move(host.host);
      location.port = host.port;
    } else {
      location.more_hosts.push_back(std::move(host));
    }
    first = false;
  }
  return absl::OkStatus();
}

absl::StatusOr<StoreLocation> ParseMysql(absl::string_view rest) {
  StoreLocation location;
  location.engine = StoreLocation::Engine::kMysql;
  const std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(rest, absl::MaxSplits('?', 1));
  if (!halves.second.empty() || absl::EndsWith(rest, "?")) {
    absl::string_view socket = halves.second;
    if (!absl::ConsumePrefix(&socket, "socket=") || !absl::StartsWith(socket, "/")) {
      return Wrong("the only option is \"?socket=/absolute/path\"", kMysqlForm);
    }
    NS_ASSIGN_OR_RETURN(location.socket, Unescape(socket, kMysqlForm));
  }
  const std::size_t slash = halves.first.find('/');
  if (slash == absl::string_view::npos || slash + 1 == halves.first.size()) {
    return Wrong("the database name is missing", kMysqlForm);
  }
  NS_ASSIGN_OR_RETURN(location.database, Unescape(halves.first.substr(slash + 1), kMysqlForm));
  if (absl::StrContains(location.database, "/")) {
    return Wrong("the database name holds a \"/\"", kMysqlForm);
  }
  const absl::string_view authority = halves.first.substr(0, slash);
  const std::size_t at = authority.rfind('@');
  if (at == absl::string_view::npos || at == 0) return Wrong("the user is missing", kMysqlForm);
  if (absl::StrContains(authority.substr(0, at), ":")) {
    // The text is not repeated: it holds a password.
    return Wrong("a password does not belong into the address: use store.password_file",
                 kMysqlForm);
  }
  NS_ASSIGN_OR_RETURN(location.user, Unescape(authority.substr(0, at), kMysqlForm));
  const absl::string_view hosts = authority.substr(at + 1);
  if (hosts.empty() && !location.socket.empty()) {
    location.host = "localhost";
    return location;
  }
  NS_RETURN_IF_ERROR(ParseHosts(hosts, location));
  return location;
}

}  // namespace

absl::StatusOr<StoreLocation> ParseStoreUrl(absl::string_view url) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(url);
  absl::string_view rest = trimmed;
  if (absl::ConsumePrefix(&rest, "sqlite://")) return ParseSqlite(rest);
  if (absl::ConsumePrefix(&rest, "mysql://")) return ParseMysql(rest);
  if (absl::StartsWith(rest, "mariadb://")) {
    return Wrong("MariaDB is reached as mysql://", kMysqlForm);
  }
  return Wrong(trimmed.empty() ? "it is empty" : "the scheme is neither sqlite:// nor mysql://",
               absl::StrCat(kSqliteForm, " or ", kMysqlForm));
}

}  // namespace netsentinel::store
