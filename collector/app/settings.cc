#include "collector/app/settings.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "collector/routeros/asio_tls.h"
#include "common/base/status_macros.h"

namespace netsentinel::app {
namespace {

constexpr std::uint64_t kSpoolLimit = std::uint64_t{2} << 30;
constexpr std::uint64_t kSpoolLimitMin = std::uint64_t{16} << 20;

// IFNAMSIZ less its end.
constexpr std::size_t kInterfaceNameMax = 15;

enum class Transport { kApiSsl, kApi };

void ReadRouterTls(config::Section& router, Transport transport,
                   routeros::RouterEndpoint& endpoint) {
  endpoint.use_tls = transport == Transport::kApiSsl;
  if (!endpoint.use_tls) {
    if (router.has("tls")) {
      router.OptionalSection("tls");
      router.Fail("tls", "is set for a router that is read without TLS", "",
                  "remove it, or set `transport: api-ssl`");
    }
    return;
  }
  config::Section tls = router.OptionalSection("tls");
  endpoint.tls.pin_sha256 = tls.OptionalString("pin_sha256", "", {.min = 1, .max = 128});
  endpoint.tls.ca_file = tls.OptionalPath("ca", "");
  endpoint.tls.server_name = tls.OptionalString("server_name", "", {.min = 1, .max = 255});
  endpoint.tls.anonymous = tls.OptionalBool("anonymous", false);
  if (const absl::Status status = routeros::CheckTlsOptions(endpoint.tls); !status.ok()) {
    router.Fail("tls", status.message(), "exactly one of pin_sha256, ca and anonymous: true",
                "add `tls: {pin_sha256: …}` with the fingerprint of the router's certificate");
  }
}

std::vector<counters::Menu> ReadQueues(config::Section& router) {
  const std::vector<std::string> words = router.has("queues") ? router.RequiredStringList("queues")
                                                              : std::vector<std::string>{"simple"};
  std::vector<counters::Menu> menus;
  for (const std::string& word : words) {
    const bool tree = word == "tree";
    if (!tree && word != "simple") {
      router.Fail("queues", absl::StrCat("\"", word, "\" is not a queue menu"), "simple, tree");
      continue;
    }
    const counters::Menu menu = tree ? counters::Menu::kTree : counters::Menu::kSimple;
    if (std::find(menus.begin(), menus.end(), menu) != menus.end()) {
      router.Fail("queues", absl::StrCat("\"", word, "\" is named twice"));
      continue;
    }
    menus.push_back(menu);
  }
  if (menus.empty()) router.Fail("queues", "names no queue menu", "simple, tree or both");
  return menus;
}

RouterSettings ReadRouter(config::Section& router) {
  RouterSettings settings;
  settings.id = base::RouterId(router.RequiredName("id"));
  const std::string address = router.RequiredString("address", {.min = 1, .max = 300});
  if (!address.empty()) {
    const absl::StatusOr<config::Address> parsed = ParseRouterAddress(address);
    if (parsed.ok()) {
      settings.endpoint.host = parsed->host;
      settings.endpoint.port = parsed->port;
    } else {
      router.Fail("address", parsed.status().message(), "HOST or HOST:PORT");
    }
  }
  const auto transport = router.OptionalEnum<Transport>(
      "transport", {{"api-ssl", Transport::kApiSsl}, {"api", Transport::kApi}}, Transport::kApiSsl);
  ReadRouterTls(router, transport, settings.endpoint);
  settings.username = router.RequiredString("username", {.min = 1, .max = 128});
  settings.password = router.RequiredSecret("password");
  settings.queues = ReadQueues(router);
  settings.endpoint.login = router.OptionalEnum<routeros::LoginMethod>(
      "login",
      {{"plain", routeros::LoginMethod::kPlain}, {"legacy", routeros::LoginMethod::kLegacy}},
      routeros::LoginMethod::kPlain);
  settings.reply_limit =
      router.OptionalDuration("reply_limit", absl::Minutes(5), {absl::Seconds(30), absl::Hours(1)});
  settings.poll_interval = router.OptionalDuration("poll_interval", absl::Seconds(30),
                                                   {absl::Seconds(1), absl::Hours(1)});
  return settings;
}

// "fe80::1%eth0" without its brackets; nothing when the text is no such address.
std::optional<std::string> Zoned(absl::string_view text) {
  const std::size_t percent = text.find('%');
  if (percent == absl::string_view::npos) return std::nullopt;
  const absl::string_view zone = text.substr(percent + 1);
  const bool named =
      !zone.empty() && zone.size() <= kInterfaceNameMax &&
      std::all_of(zone.begin(), zone.end(), [](unsigned char c) {
        return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.' || c == '@';
      });
  const absl::string_view host = text.substr(0, percent);
  if (!named || !absl::StrContains(host, ':') || !config::IsIpLiteral(host)) return std::nullopt;
  return std::string(text);
}

absl::Status NoZonedAddress(absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("\"", text,
                   "\" has a % and is no IPv6 address with an interface, as fe80::1%eth0 or "
                   "[fe80::1%eth0]:8729 is"));
}

// "[ADDRESS]" or "[ADDRESS]:PORT", with an interface in the address or without.
absl::StatusOr<config::Address> ParseBracketed(absl::string_view text) {
  const std::size_t end = text.find(']');
  if (end == absl::string_view::npos) return config::ParseAddress(text);
  const absl::string_view host = text.substr(1, end - 1);
  const bool zoned = absl::StrContains(host, '%');
  if (zoned && !Zoned(host).has_value()) return NoZonedAddress(text);
  const bool has_port = end + 1 < text.size();
  // Whatever else is wrong with it, the address parser has words for; it knows no interfaces.
  NS_ASSIGN_OR_RETURN(config::Address address,
                      config::ParseAddress(
                          absl::StrCat("[", host.substr(0, host.find('%')), "]",
                                       has_port ? text.substr(end + 1) : absl::string_view(":0"))));
  if (zoned) address.host = std::string(host);
  return address;
}

}  // namespace

absl::StatusOr<config::Address> ParseRouterAddress(absl::string_view text) {
  if (absl::StartsWith(text, "[")) return ParseBracketed(text);
  if (absl::StrContains(text, '%')) {
    if (!Zoned(text).has_value()) return NoZonedAddress(text);
    return config::Address{.host = std::string(text), .port = 0};
  }
  // A bare IPv6 address has colons that are no port's.
  if (config::IsIpLiteral(text) || !absl::StrContains(text, ':')) {
    const std::string host(text);
    if (!config::IsIpLiteral(text)) {
      NS_RETURN_IF_ERROR(config::ParseAddress(absl::StrCat(host, ":1")).status());
    }
    return config::Address{.host = host, .port = 0};
  }
  return config::ParseAddress(text);
}

CollectorSettings ReadCollectorSettings(config::Section root) {
  CollectorSettings settings;
  config::Section collector = root.RequiredSection("collector");
  settings.id = base::CollectorId(collector.RequiredName("id"));
  settings.state_dir = collector.RequiredPath("state_dir");
  settings.spool_limit = collector.OptionalByteSize("spool_limit", kSpoolLimit,
                                                    {kSpoolLimitMin, std::uint64_t{1} << 44});
  config::Section aggregator = root.RequiredSection("aggregator");
  settings.aggregator = config::ReadPeer(aggregator);
  settings.listen = config::ReadListen(root);
  settings.security =
      config::ReadSecurityOr(root, settings.listen.grpc.host, settings.aggregator.security);
  config::UniqueIds ids("router");
  for (config::Section& router : root.RequiredSectionList("routers")) {
    RouterSettings entry = ReadRouter(router);
    ids.Add(router, "id", entry.id.value());
    settings.routers.push_back(std::move(entry));
  }
  return settings;
}

poll::RouterSetup SetupOf(const RouterSettings& router, const std::string& host_boot_id) {
  poll::RouterSetup setup;
  setup.options.router = router.id;
  setup.options.menus = router.queues;
  setup.options.interval = router.poll_interval;
  setup.options.patience.total = router.reply_limit;
  setup.options.host_boot_id = host_boot_id;
  setup.endpoint = [endpoint = router.endpoint, username = router.username,
                    password = router.password]() -> absl::StatusOr<routeros::RouterEndpoint> {
    routeros::RouterEndpoint with_credentials = endpoint;
    with_credentials.credentials.username = username;
    NS_ASSIGN_OR_RETURN(with_credentials.credentials.password, config::ReadSecret(password));
    return with_credentials;
  };
  std::vector<std::string> words = {router.endpoint.host,
                                    absl::StrCat(router.endpoint.port),
                                    router.endpoint.use_tls ? "tls" : "plain",
                                    router.endpoint.tls.ca_file,
                                    router.endpoint.tls.pin_sha256,
                                    router.endpoint.tls.anonymous ? "anonymous" : "named",
                                    router.endpoint.tls.server_name,
                                    absl::StrCat(static_cast<int>(router.endpoint.login)),
                                    router.username,
                                    router.password.file,
                                    router.password.environment,
                                    absl::FormatDuration(router.poll_interval),
                                    absl::FormatDuration(router.reply_limit)};
  for (const counters::Menu menu : router.queues) words.emplace_back(counters::MenuName(menu));
  for (const std::string& word : words) absl::StrAppend(&setup.fingerprint, word, "\n");
  return setup;
}

}  // namespace netsentinel::app
