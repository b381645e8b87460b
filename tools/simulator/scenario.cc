#include "tools/simulator/scenario.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include <yaml-cpp/yaml.h>

#include "common/base/status_macros.h"
#include "tools/simulator/actions.h"
#include "tools/simulator/address_prefix.h"

namespace netsentinel::simulator {
namespace {

constexpr std::uint64_t kMaxRouters = 10'000;
constexpr std::uint64_t kMaxQueues = 1'000'000;
constexpr std::size_t kMaxLineBytes = 1 << 20;

// Where in a text an error lies; lines and columns from 1.
class Source {
 public:
  explicit Source(absl::string_view name) : name_(name) {}
  absl::Status Error(const YAML::Mark& mark, absl::string_view what) const {
    return absl::InvalidArgumentError(
        absl::StrCat(name_, ":", mark.line + 1, ":", mark.column + 1, ": ", what));
  }
  absl::Status Error(const YAML::Node& node, const absl::Status& status) const {
    return status.ok() ? status : Error(node.Mark(), status.message());
  }

 private:
  absl::string_view name_;
};

absl::string_view View(const std::string& text) { return text; }

// The scalars of a mapping; other values only under the keys in `nested`.
absl::StatusOr<Arguments> Flatten(const YAML::Node& node, const Source& source,
                                  absl::string_view nested) {
  if (!node.IsMap()) return source.Error(node.Mark(), "expected a mapping of keys to values");
  const std::vector<absl::string_view> skipped = absl::StrSplit(nested, ' ', absl::SkipEmpty());
  Arguments arguments;
  for (const auto& entry : node) {
    const std::string key = entry.first.as<std::string>();
    if (arguments.Has(key)) {
      return source.Error(entry.first.Mark(), absl::StrCat("duplicate key \"", key, "\""));
    }
    if (std::find(skipped.begin(), skipped.end(), View(key)) != skipped.end()) continue;
    if (entry.second.IsNull()) {
      arguments.Set(key, "");
    } else if (entry.second.IsScalar()) {
      arguments.Set(key, entry.second.Scalar());
    } else {
      return source.Error(entry.second.Mark(), absl::StrCat("\"", key, "\" must be one value"));
    }
  }
  return arguments;
}

// {n}, {hi} and {lo} in every value: the number, and the two bytes of an address made from it.
Arguments Numbered(const Arguments& arguments, std::uint64_t n) {
  Arguments numbered;
  for (const auto& [key, value] : arguments.values()) {
    numbered.Set(key, absl::StrReplaceAll(value, {{"{n}", absl::StrCat(n)},
                                                  {"{hi}", absl::StrCat(n / 250 % 256)},
                                                  {"{lo}", absl::StrCat(n % 250 + 1)}}));
  }
  return numbered;
}

absl::StatusOr<std::vector<std::string>> StringList(const YAML::Node& node, const Source& source) {
  std::vector<std::string> list;
  if (!node.IsSequence()) return source.Error(node.Mark(), "expected a list");
  for (const YAML::Node& each : node) {
    if (!each.IsScalar()) return source.Error(each.Mark(), "expected a word");
    list.push_back(each.Scalar());
  }
  return list;
}

absl::Status ParsePrefixes(const YAML::Node& node, const Source& source,
                           std::vector<std::string>& prefixes) {
  if (!node) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(prefixes, StringList(node, source));
  for (const std::string& prefix : prefixes) {
    NS_RETURN_IF_ERROR(source.Error(node, CheckPrefix(prefix)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<UserSpec>> ParseUsers(const YAML::Node& node, const Source& source) {
  std::vector<UserSpec> users;
  if (!node.IsSequence()) return source.Error(node.Mark(), "\"users\" must be a list");
  for (const YAML::Node& each : node) {
    NS_ASSIGN_OR_RETURN(const Arguments arguments, Flatten(each, source, "policies"));
    UserSpec user;
    NS_RETURN_IF_ERROR(
        source.Error(each, arguments.CheckKeys("name name_hex password password_hex")));
    absl::StatusOr<std::string> name = arguments.RequireBytes("name");
    if (!name.ok()) return source.Error(each, name.status());
    user.name = *std::move(name);
    NS_RETURN_IF_ERROR(source.Error(each, arguments.ReadBytes("password", user.password)));
    if (each["policies"]) {
      NS_ASSIGN_OR_RETURN(user.policies, StringList(each["policies"], source));
    }
    users.push_back(std::move(user));
  }
  return users;
}

absl::StatusOr<std::vector<QueueEntry>> ParseQueues(const YAML::Node& node, const Source& source) {
  std::vector<QueueEntry> queues;
  if (!node.IsSequence()) return source.Error(node.Mark(), "\"queues\" must be a list");
  const std::string known = absl::StrCat(kQueueKeys, " menu id count");
  for (const YAML::Node& each : node) {
    NS_ASSIGN_OR_RETURN(const Arguments arguments, Flatten(each, source, ""));
    NS_RETURN_IF_ERROR(source.Error(each, arguments.CheckKeys(known)));
    std::uint64_t count = 1;
    NS_RETURN_IF_ERROR(source.Error(each, arguments.Read("count", count)));
    if (count > kMaxQueues || queues.size() + count > kMaxQueues) {
      return source.Error(each.Mark(), "too many queues");
    }
    for (std::uint64_t n = 1; n <= count; ++n) {
      const Arguments numbered = Numbered(arguments, n);
      absl::StatusOr<QueueSpec> spec = ParseQueueSpec(numbered);
      if (!spec.ok()) return source.Error(each, spec.status());
      absl::StatusOr<Menu> menu = numbered.ReadMenu();
      if (!menu.ok()) return source.Error(each, menu.status());
      QueueEntry entry{.menu = *menu, .row_id = 0, .spec = *std::move(spec)};
      NS_RETURN_IF_ERROR(source.Error(each, numbered.ReadRowId("id", entry.row_id)));
      queues.push_back(std::move(entry));
    }
  }
  return queues;
}

absl::Status ReadScalars(const Arguments& arguments, RouterEntry& entry, std::string& mode,
                         std::string& deny) {
  RouterSpec& spec = entry.spec;
  NS_RETURN_IF_ERROR(arguments.Read("id", spec.id));
  NS_RETURN_IF_ERROR(arguments.Read("mode", mode));
  NS_RETURN_IF_ERROR(arguments.Read("deny", deny));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("version", spec.version));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("identity", spec.identity));
  NS_RETURN_IF_ERROR(arguments.Read("chr", spec.chr));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("board_name", spec.board_name));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("serial_number", spec.serial_number));
  NS_RETURN_IF_ERROR(arguments.ReadBytes("system_id", spec.system_id));
  NS_RETURN_IF_ERROR(arguments.Read("max_sessions", spec.max_sessions));
  NS_RETURN_IF_ERROR(arguments.Read("uptime_s", spec.uptime_s));
  NS_RETURN_IF_ERROR(arguments.Read("two_traps", spec.two_traps));
  NS_RETURN_IF_ERROR(arguments.Read("fasttrack", spec.fasttrack));
  NS_RETURN_IF_ERROR(arguments.Read("plain", entry.plain));
  NS_RETURN_IF_ERROR(arguments.Read("tls_cert", entry.cert_file));
  NS_RETURN_IF_ERROR(arguments.Read("tls_key", entry.key_file));
  NS_RETURN_IF_ERROR(arguments.Read("tls_anonymous", entry.anonymous_tls));
  std::uint32_t api_port = 0;
  std::uint32_t api_ssl_port = 0;
  NS_RETURN_IF_ERROR(arguments.Read("api_port", api_port));
  NS_RETURN_IF_ERROR(arguments.Read("api_ssl_port", api_ssl_port));
  if (api_port > 65535 || api_ssl_port > 65535) {
    return absl::InvalidArgumentError("a port is at most 65535");
  }
  entry.api_port = static_cast<std::uint16_t>(api_port);
  entry.api_ssl_port = static_cast<std::uint16_t>(api_ssl_port);
  // Ten years, so that no boot lies before simulated time begins.
  if (spec.uptime_s > 3650ULL * 86'400) {
    return absl::InvalidArgumentError("\"uptime_s\" is more than ten years");
  }
  return absl::OkStatus();
}

constexpr absl::string_view kRouterKeys =
    "id count mode deny version version_hex identity identity_hex chr board_name board_name_hex "
    "serial_number serial_number_hex system_id system_id_hex max_sessions uptime_s two_traps "
    "fasttrack plain tls_cert tls_key tls_anonymous api_port api_ssl_port";

absl::Status ParseRouter(const YAML::Node& node, const Source& source, Scenario& scenario) {
  NS_ASSIGN_OR_RETURN(
      const Arguments arguments,
      Flatten(node, source, "users queues absent_menus api_address api_ssl_address"));
  NS_RETURN_IF_ERROR(source.Error(node, arguments.CheckKeys(kRouterKeys)));
  std::uint64_t count = 1;
  NS_RETURN_IF_ERROR(source.Error(node, arguments.Read("count", count)));
  if (count > kMaxRouters || scenario.routers.size() + count > kMaxRouters) {
    return source.Error(node.Mark(), "too many routers");
  }
  std::vector<UserSpec> users;
  std::vector<QueueEntry> queues;
  std::vector<std::string> absent_menus;
  if (node["users"]) {
    NS_ASSIGN_OR_RETURN(users, ParseUsers(node["users"], source));
  }
  if (node["queues"]) {
    NS_ASSIGN_OR_RETURN(queues, ParseQueues(node["queues"], source));
  }
  if (node["absent_menus"]) {
    NS_ASSIGN_OR_RETURN(absent_menus, StringList(node["absent_menus"], source));
  }
  std::vector<std::string> api_address;
  std::vector<std::string> api_ssl_address;
  NS_RETURN_IF_ERROR(ParsePrefixes(node["api_address"], source, api_address));
  NS_RETURN_IF_ERROR(ParsePrefixes(node["api_ssl_address"], source, api_ssl_address));
  for (std::uint64_t n = 1; n <= count; ++n) {
    RouterEntry entry;
    std::string mode = "v7.18";
    std::string deny = "none";
    const Arguments numbered = Numbered(arguments, n);
    NS_RETURN_IF_ERROR(source.Error(node, ReadScalars(numbered, entry, mode, deny)));
    const absl::StatusOr<ApiMode> parsed = ParseApiMode(mode);
    if (!parsed.ok()) return source.Error(node, parsed.status());
    entry.spec.mode = *parsed;
    if (deny != "none" && deny != "close" && deny != "hang") {
      return source.Error(node.Mark(), "\"deny\" must be none, close or hang");
    }
    entry.spec.denial =
        deny == "none" ? Denial::kNone : (deny == "close" ? Denial::kClose : Denial::kHang);
    if (entry.spec.id.empty()) return source.Error(node.Mark(), "a router needs an \"id\"");
    for (const RouterEntry& other : scenario.routers) {
      if (other.spec.id == entry.spec.id) {
        return source.Error(node.Mark(), absl::StrCat("router ", entry.spec.id,
                                                      " is there twice: use {n} with count"));
      }
    }
    entry.spec.users = users;
    entry.spec.queues = queues;
    entry.spec.absent_menus = absent_menus;
    entry.spec.api_address = api_address;
    entry.spec.api_ssl_address = api_ssl_address;
    scenario.routers.push_back(std::move(entry));
  }
  return absl::OkStatus();
}

absl::Status ParseEvent(const YAML::Node& node, const Source& source, Scenario& scenario) {
  NS_ASSIGN_OR_RETURN(const Arguments all, Flatten(node, source, ""));
  TimedEvent event;
  std::int64_t at_ms = -1;
  NS_RETURN_IF_ERROR(source.Error(node, all.Read("at_ms", at_ms)));
  NS_RETURN_IF_ERROR(source.Error(node, all.Read("router", event.router)));
  NS_RETURN_IF_ERROR(source.Error(node, all.Read("do", event.verb)));
  if (at_ms < 0 || event.router.empty() || event.verb.empty()) {
    return source.Error(node.Mark(), "an event needs \"at_ms\", \"router\" and \"do\"");
  }
  event.at_us = at_ms * 1000;
  for (const auto& [key, value] : all.values()) {
    if (key != "at_ms" && key != "router" && key != "do") event.arguments.Set(key, value);
  }
  const bool known =
      std::any_of(scenario.routers.begin(), scenario.routers.end(),
                  [&event](const RouterEntry& r) { return r.spec.id == event.router; });
  if (!known) return source.Error(node.Mark(), absl::StrCat("no router ", event.router));
  NS_RETURN_IF_ERROR(source.Error(node, CheckAction(event.verb, event.arguments)));
  scenario.events.push_back(std::move(event));
  return absl::OkStatus();
}

absl::StatusOr<Scenario> Parse(const YAML::Node& root, const Source& source) {
  Scenario scenario;
  if (!root.IsMap()) return source.Error(root.Mark(), "expected \"routers\" and \"events\"");
  for (const auto& entry : root) {
    const std::string key = entry.first.as<std::string>();
    if (key != "routers" && key != "events") {
      return source.Error(entry.first.Mark(),
                          absl::StrCat("unknown key \"", key, "\"; known: routers, events"));
    }
    if (!entry.second.IsSequence()) {
      return source.Error(entry.second.Mark(), absl::StrCat("\"", key, "\" must be a list"));
    }
  }
  for (const YAML::Node& router : root["routers"]) {
    NS_RETURN_IF_ERROR(ParseRouter(router, source, scenario));
  }
  if (scenario.routers.empty()) {
    return source.Error(root.Mark(), "a scenario needs at least one router");
  }
  if (root["events"]) {
    for (const YAML::Node& event : root["events"]) {
      NS_RETURN_IF_ERROR(ParseEvent(event, source, scenario));
    }
  }
  std::stable_sort(scenario.events.begin(), scenario.events.end(),
                   [](const TimedEvent& a, const TimedEvent& b) { return a.at_us < b.at_us; });
  return scenario;
}

}  // namespace

absl::StatusOr<Scenario> ParseScenario(const std::string& text, absl::string_view source) {
  try {
    return Parse(YAML::Load(text), Source(source));
  } catch (const YAML::Exception& e) {
    return Source(source).Error(e.mark, e.msg);
  }
}

absl::StatusOr<Arguments> ParseControlLine(const std::string& line) {
  if (line.size() > kMaxLineBytes) return absl::InvalidArgumentError("the line is too long");
  try {
    return Flatten(YAML::Load(line), Source("control line"), "");
  } catch (const YAML::Exception& e) {
    return Source("control line").Error(e.mark, e.msg);
  }
}

}  // namespace netsentinel::simulator
