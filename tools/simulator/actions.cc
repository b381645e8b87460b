#include "tools/simulator/actions.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "common/base/status_macros.h"
#include "tools/simulator/json_text.h"

namespace netsentinel::simulator {
namespace {

struct Context {
  Router& router;
  const Arguments& arguments;
  std::int64_t now_us;
  ActionResult& result;

  Engine& engine() { return router.engine(); }
};

// The menu and name of the queue that the arguments name.
struct Named {
  Menu menu = Menu::kSimple;
  std::string name;
};

absl::StatusOr<Named> QueueOf(const Arguments& arguments) {
  Named named;
  NS_ASSIGN_OR_RETURN(named.menu, arguments.ReadMenu());
  NS_ASSIGN_OR_RETURN(named.name, arguments.RequireBytes("queue"));
  return named;
}

absl::Status Reboot(Context& c) {
  RebootOptions options;
  std::int64_t down_ms = 0;
  bool clock_lost = false;
  NS_RETURN_IF_ERROR(c.arguments.Read("down_ms", down_ms));
  NS_RETURN_IF_ERROR(c.arguments.Read("renumber", options.renumber));
  NS_RETURN_IF_ERROR(c.arguments.Read("clock_lost", clock_lost));
  options.down_us = down_ms * 1000;
  c.engine().Reboot(c.now_us, options);
  if (clock_lost) c.router.SetClockLost(true);
  c.result.cut_connections = true;
  return absl::OkStatus();
}

absl::Status ResetCounters(Context& c) {
  if (!c.arguments.Has("queue") && !c.arguments.Has("queue_hex")) {
    NS_ASSIGN_OR_RETURN(const Menu menu, c.arguments.ReadMenu());
    c.engine().ResetAll(menu);
    return absl::OkStatus();
  }
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  return c.engine().ResetCounters(queue.menu, queue.name);
}

absl::StatusOr<ReconnectOptions> ReconnectOf(const Arguments& arguments) {
  ReconnectOptions options;
  NS_RETURN_IF_ERROR(arguments.Read("reuse_id", options.reuse_id));
  NS_RETURN_IF_ERROR(arguments.Read("suffix", options.suffix));
  return options;
}

absl::Status PppoeReconnect(Context& c) {
  NS_ASSIGN_OR_RETURN(const std::string user, c.arguments.RequireBytes("user"));
  NS_ASSIGN_OR_RETURN(const ReconnectOptions options, ReconnectOf(c.arguments));
  return c.engine().Reconnect(user, options);
}

absl::Status PppoeDown(Context& c) {
  NS_ASSIGN_OR_RETURN(const std::string user, c.arguments.RequireBytes("user"));
  return c.engine().Disconnect(user);
}

absl::Status PppoeUp(Context& c) {
  NS_ASSIGN_OR_RETURN(const std::string user, c.arguments.RequireBytes("user"));
  NS_ASSIGN_OR_RETURN(const ReconnectOptions options, ReconnectOf(c.arguments));
  return c.engine().Connect(user, options);
}

absl::Status Rename(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  NS_ASSIGN_OR_RETURN(const std::string to, c.arguments.RequireBytes("to"));
  return c.engine().Rename(queue.menu, queue.name, to);
}

absl::Status Recreate(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  bool reuse_id = false;
  NS_RETURN_IF_ERROR(c.arguments.Read("reuse_id", reuse_id));
  return c.engine().Recreate(queue.menu, queue.name, reuse_id);
}

absl::Status Remove(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  return c.engine().Remove(queue.menu, queue.name);
}

absl::Status Add(Context& c) {
  NS_ASSIGN_OR_RETURN(const Menu menu, c.arguments.ReadMenu());
  NS_ASSIGN_OR_RETURN(const QueueSpec spec, ParseQueueSpec(c.arguments));
  std::uint64_t id = 0;
  NS_RETURN_IF_ERROR(c.arguments.ReadRowId("id", id));
  return c.engine().Add(menu, spec, id);
}

absl::Status Disable(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  return c.engine().SetDisabled(queue.menu, queue.name, true);
}

absl::Status Enable(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  return c.engine().SetDisabled(queue.menu, queue.name, false);
}

absl::Status Edit(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  EditOptions options;
  options.set_max_limit = c.arguments.Has("max_limit");
  options.set_target = c.arguments.Has("target");
  options.set_comment = c.arguments.Has("comment") || c.arguments.Has("comment_hex");
  NS_RETURN_IF_ERROR(c.arguments.Read("max_limit", options.max_limit));
  NS_RETURN_IF_ERROR(c.arguments.Read("target", options.target));
  NS_RETURN_IF_ERROR(c.arguments.ReadBytes("comment", options.comment));
  NS_RETURN_IF_ERROR(c.arguments.Read("reset", options.reset_counters));
  return c.engine().Edit(queue.menu, queue.name, options);
}

absl::Status SetFrozen(Context& c, bool frozen) {
  if (!c.arguments.Has("queue") && !c.arguments.Has("queue_hex")) {
    c.engine().FreezeAll(frozen);
    return absl::OkStatus();
  }
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  return c.engine().SetFrozen(queue.menu, queue.name, frozen);
}

absl::Status Freeze(Context& c) { return SetFrozen(c, true); }
absl::Status Unfreeze(Context& c) { return SetFrozen(c, false); }

absl::Status FastTrack(Context& c) {
  bool on = true;
  NS_RETURN_IF_ERROR(c.arguments.Read("on", on));
  c.engine().SetFastTrack(on);
  return absl::OkStatus();
}

absl::Status ClockLost(Context& c) {
  bool on = true;
  NS_RETURN_IF_ERROR(c.arguments.Read("on", on));
  c.router.SetClockLost(on);
  return absl::OkStatus();
}

absl::Status Move(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  UpDown bytes;
  NS_RETURN_IF_ERROR(c.arguments.Read("up", bytes.up));
  std::uint64_t both = 0;
  NS_RETURN_IF_ERROR(c.arguments.Read("down", bytes.down));
  NS_RETURN_IF_ERROR(c.arguments.Read("both", both));
  return c.engine().Move(queue.menu, queue.name, bytes, both);
}

absl::Status Traffic(Context& c) {
  NS_ASSIGN_OR_RETURN(const Named queue, QueueOf(c.arguments));
  const Queue* found = c.engine().Find(queue.menu, queue.name);
  TrafficModel traffic = found == nullptr ? TrafficModel() : found->spec.traffic;
  NS_RETURN_IF_ERROR(ParseTraffic(c.arguments, traffic));
  return c.engine().SetTraffic(queue.menu, queue.name, traffic);
}

absl::Status Pause(Context& c) {
  c.engine().PauseTraffic(true);
  return absl::OkStatus();
}

absl::Status Resume(Context& c) {
  c.engine().PauseTraffic(false);
  return absl::OkStatus();
}

absl::Status AddFault(Context& c) {
  Fault fault;
  std::string kind;
  NS_RETURN_IF_ERROR(c.arguments.Read("kind", kind));
  NS_ASSIGN_OR_RETURN(fault.kind, ParseFaultKind(kind));
  NS_RETURN_IF_ERROR(c.arguments.Read("times", fault.times));
  NS_RETURN_IF_ERROR(c.arguments.Read("menu", fault.menu));
  NS_RETURN_IF_ERROR(c.arguments.Read("after_rows", fault.after_rows));
  NS_RETURN_IF_ERROR(c.arguments.Read("value", fault.value));
  NS_RETURN_IF_ERROR(c.arguments.Read("text", fault.text));
  if (fault.times == 0) return absl::InvalidArgumentError("\"times\" must not be 0");
  c.router.faults().Add(std::move(fault));
  return absl::OkStatus();
}

absl::Status ClearFaults(Context& c) {
  c.router.faults().Clear();
  c.router.mutable_spec().wire = WireStyle();
  return absl::OkStatus();
}

absl::Status SetWire(Context& c) {
  WireStyle wire;
  NS_RETURN_IF_ERROR(c.arguments.Read("chunk_bytes", wire.chunk_bytes));
  NS_RETURN_IF_ERROR(c.arguments.Read("chunk_delay_us", wire.chunk_delay_us));
  NS_RETURN_IF_ERROR(c.arguments.Read("split_prefix", wire.split_prefix));
  NS_RETURN_IF_ERROR(c.arguments.Read("prefix_bytes", wire.prefix_bytes));
  if (wire.prefix_bytes < 1 || wire.prefix_bytes > 5) {
    return absl::InvalidArgumentError("\"prefix_bytes\" must be 1 to 5");
  }
  c.router.mutable_spec().wire = wire;
  return absl::OkStatus();
}

absl::Status SetUser(Context& c) {
  NS_ASSIGN_OR_RETURN(const std::string name, c.arguments.RequireBytes("user"));
  UserSpec changed;
  changed.name = name;
  if (const UserSpec* known = c.router.FindUser(name)) changed = *known;
  NS_RETURN_IF_ERROR(c.arguments.Read("password", changed.password));
  std::string policies;
  NS_RETURN_IF_ERROR(c.arguments.Read("policies", policies));
  if (c.arguments.Has("policies")) {
    changed.policies = absl::StrSplit(policies, ',', absl::SkipEmpty());
  }
  std::vector<UserSpec>& users = c.router.mutable_spec().users;
  std::erase_if(users, [&name](const UserSpec& user) { return user.name == name; });
  users.push_back(std::move(changed));
  return absl::OkStatus();
}

absl::Status Deny(Context& c) {
  std::string how = "none";
  NS_RETURN_IF_ERROR(c.arguments.Read("how", how));
  if (how != "none" && how != "close" && how != "hang") {
    return absl::InvalidArgumentError("\"how\" must be none, close or hang");
  }
  c.router.mutable_spec().denial =
      how == "none" ? Denial::kNone : (how == "close" ? Denial::kClose : Denial::kHang);
  return absl::OkStatus();
}

absl::Status MaxSessions(Context& c) {
  return c.arguments.Read("count", c.router.mutable_spec().max_sessions);
}

absl::Status SetMenuAbsent(Context& c) {
  NS_ASSIGN_OR_RETURN(const std::string path, c.arguments.RequireBytes("path"));
  bool absent = true;
  NS_RETURN_IF_ERROR(c.arguments.Read("absent", absent));
  std::vector<std::string>& menus = c.router.mutable_spec().absent_menus;
  std::erase(menus, path);
  if (absent) menus.push_back(path);
  return absl::OkStatus();
}

absl::Status SetMode(Context& c) {
  std::string text;
  NS_RETURN_IF_ERROR(c.arguments.Read("mode", text));
  NS_ASSIGN_OR_RETURN(const ApiMode mode, ParseApiMode(text));
  c.router.mutable_spec().mode = mode;
  return c.arguments.Read("two_traps", c.router.mutable_spec().two_traps);
}

absl::Status SetDevice(Context& c) {
  RouterSpec& spec = c.router.mutable_spec();
  NS_RETURN_IF_ERROR(c.arguments.ReadBytes("serial_number", spec.serial_number));
  NS_RETURN_IF_ERROR(c.arguments.ReadBytes("system_id", spec.system_id));
  NS_RETURN_IF_ERROR(c.arguments.ReadBytes("identity", spec.identity));
  NS_RETURN_IF_ERROR(c.arguments.ReadBytes("board_name", spec.board_name));
  NS_RETURN_IF_ERROR(c.arguments.ReadBytes("version", spec.version));
  return c.arguments.Read("chr", spec.chr);
}

absl::Status Cut(Context& c) {
  c.result.cut_connections = true;
  return absl::OkStatus();
}

absl::Status Show(Context& c) {
  NS_ASSIGN_OR_RETURN(const Menu menu, c.arguments.ReadMenu());
  std::string& json = c.result.json;
  json = absl::StrCat("\"uptime_s\":", c.engine().UptimeSeconds(c.now_us), ",\"rows\":[");
  const char* separator = "";
  for (const Queue& queue : c.engine().queues(menu)) {
    absl::StrAppend(&json, separator, "{\"id\":\"", RouterId(queue.row_id),
                    "\",\"name\":", JsonString(queue.spec.name), ",\"name_hex\":\"",
                    absl::BytesToHexString(queue.spec.name), "\",\"up\":", queue.bytes.up);
    absl::StrAppend(&json, ",\"down\":", queue.bytes.down, ",\"packets_up\":", queue.packets.up,
                    ",\"packets_down\":", queue.packets.down, "}");
    separator = ",";
  }
  absl::StrAppend(&json, "]");
  return absl::OkStatus();
}

struct Verb {
  absl::string_view name;
  absl::string_view keys;
  absl::Status (*apply)(Context&) = nullptr;
};

constexpr absl::string_view kQueueOnly = "menu queue queue_hex";

const Verb kVerbs[] = {
    {"reboot", "down_ms renumber clock_lost", Reboot},
    {"reset_counters", kQueueOnly, ResetCounters},
    {"pppoe_reconnect", "user user_hex reuse_id suffix", PppoeReconnect},
    {"pppoe_down", "user user_hex", PppoeDown},
    {"pppoe_up", "user user_hex reuse_id suffix", PppoeUp},
    {"rename", "menu queue queue_hex to to_hex", Rename},
    {"recreate", "menu queue queue_hex reuse_id", Recreate},
    {"remove", kQueueOnly, Remove},
    {"add", "", Add},
    {"disable", kQueueOnly, Disable},
    {"enable", kQueueOnly, Enable},
    {"edit", "menu queue queue_hex max_limit target comment comment_hex reset", Edit},
    {"freeze", kQueueOnly, Freeze},
    {"unfreeze", kQueueOnly, Unfreeze},
    {"fasttrack", "on", FastTrack},
    {"clock_lost", "on", ClockLost},
    {"move", "menu queue queue_hex up down both", Move},
    {"traffic", "menu queue queue_hex up_rate down_rate active_permille slot_ms both_permille",
     Traffic},
    {"pause", "", Pause},
    {"resume", "", Resume},
    {"fault", "kind times menu after_rows value text", AddFault},
    {"clear_faults", "", ClearFaults},
    {"wire", "chunk_bytes chunk_delay_us split_prefix prefix_bytes", SetWire},
    {"user", "user user_hex password policies", SetUser},
    {"deny", "how", Deny},
    {"max_sessions", "count", MaxSessions},
    {"absent_menu", "path absent", SetMenuAbsent},
    {"mode", "mode two_traps", SetMode},
    {"device",
     "serial_number serial_number_hex system_id system_id_hex identity identity_hex board_name "
     "board_name_hex version version_hex chr",
     SetDevice},
    {"cut", "", Cut},
    {"show", "menu", Show},
};

absl::StatusOr<const Verb*> FindVerb(absl::string_view name) {
  std::string known;
  for (const Verb& verb : kVerbs) {
    if (verb.name == name) return &verb;
    absl::StrAppend(&known, " ", verb.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown \"do\": \"", name, "\"; known:", known));
}

absl::Status CheckKeys(const Verb& verb, const Arguments& arguments) {
  if (verb.name == "add") return arguments.CheckKeys(absl::StrCat(kQueueKeys, " menu id"));
  return arguments.CheckKeys(verb.keys);
}

}  // namespace

absl::Status CheckAction(absl::string_view verb, const Arguments& arguments) {
  NS_ASSIGN_OR_RETURN(const Verb* found, FindVerb(verb));
  return CheckKeys(*found, arguments);
}

absl::StatusOr<ActionResult> ApplyAction(Router& router, absl::string_view verb,
                                         const Arguments& arguments, std::int64_t now_us) {
  NS_ASSIGN_OR_RETURN(const Verb* found, FindVerb(verb));
  NS_RETURN_IF_ERROR(CheckKeys(*found, arguments));
  router.engine().AdvanceTo(now_us);
  ActionResult result;
  Context context{.router = router, .arguments = arguments, .now_us = now_us, .result = result};
  NS_RETURN_IF_ERROR(found->apply(context));
  return result;
}

}  // namespace netsentinel::simulator
