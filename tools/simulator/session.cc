#include "tools/simulator/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "tools/simulator/queue_properties.h"

namespace netsentinel::simulator {
namespace {

constexpr absl::string_view kWrongLogin = "invalid user name or password (6)";
constexpr absl::string_view kWrongLoginOld = "cannot log in";
constexpr absl::string_view kNoPermission = "not enough permissions (9)";

// Arguments that a print takes and that change nothing of what the API answers here.
constexpr const char* kPrintArguments[] = {
    "stats", "detail", "bytes", "rate", "packets", "brief", "terse", "as-value", "without-paging"};

std::optional<Menu> QueueMenu(absl::string_view menu) {
  if (menu == "/queue/simple") return Menu::kSimple;
  if (menu == "/queue/tree") return Menu::kTree;
  return std::nullopt;
}

void Trap(Reply& reply, absl::string_view message, const char* category = nullptr) {
  std::vector<std::string> words = {"!trap"};
  if (category != nullptr) words.push_back(absl::StrCat("=category=", category));
  words.push_back(absl::StrCat("=message=", message));
  reply.sentences.push_back(std::move(words));
}

void Done(Reply& reply) { reply.sentences.push_back({"!done"}); }

void Fatal(Reply& reply, absl::string_view reason) {
  reply.sentences.push_back({"!fatal", std::string(reason)});
  reply.close_after = true;
}

const Fault* FindFault(const Reply& reply, FaultKind kind) {
  for (const Fault& fault : reply.faults) {
    if (fault.kind == kind) return &fault;
  }
  return nullptr;
}

}  // namespace

// The words of a command, taken apart.
struct Session::Request {
  std::string menu;     // "/queue/simple"
  std::string command;  // "print"
  std::vector<std::pair<std::string, std::string>> arguments;
  std::vector<std::string> query;
  std::string tag;

  const std::string* Find(absl::string_view key) const {
    for (const auto& [name, value] : arguments) {
      if (name == key) return &value;
    }
    return nullptr;
  }

  static Request Parse(const std::vector<std::string>& words) {
    Request request;
    const std::string& path = words[0];
    const std::size_t slash = path.rfind('/');
    request.menu = slash == std::string::npos ? "" : path.substr(0, slash);
    request.command = slash == std::string::npos ? path : path.substr(slash + 1);
    for (std::size_t i = 1; i < words.size(); ++i) {
      absl::string_view word = words[i];
      if (absl::ConsumePrefix(&word, ".tag=")) {
        request.tag = std::string(word);
      } else if (absl::StartsWith(word, "?")) {
        request.query.push_back(words[i]);
      } else if (absl::ConsumePrefix(&word, "=")) {
        const std::size_t equal = word.find('=');
        request.arguments.emplace_back(
            std::string(word.substr(0, equal)),
            equal == absl::string_view::npos ? "" : std::string(word.substr(equal + 1)));
      }
    }
    return request;
  }
};

bool Session::Allowed(absl::string_view policy) const { return user_ && user_->Has(policy); }

Reply Session::Handle(const std::vector<std::string>& words, std::int64_t now_us, absl::Time wall) {
  const Request request = Request::Parse(words);
  Reply reply;
  reply.tag = request.tag;
  if (!logged_in() && ++sentences_before_login_ > options_.max_sentences_before_login) {
    Fatal(reply, "too many commands before login");
    return reply;
  }
  if (request.menu.empty() && request.command == "login") {
    Login(request, reply);
    return reply;
  }
  if (request.menu.empty() && request.command == "quit") {
    if (options_.tls) {
      reply.close_after = true;
    } else {
      Fatal(reply, "session terminated on request");
    }
    return reply;
  }
  if (!logged_in()) {
    Fatal(reply, "not logged in");
    return reply;
  }
  if (request.menu.empty() && request.command == "cancel") {
    reply.is_cancel = true;
    if (const std::string* tag = request.Find("tag")) reply.cancel_tag = *tag;
    return reply;
  }
  router_.engine().AdvanceTo(now_us);
  const std::optional<Menu> queue_menu = QueueMenu(request.menu);
  if (request.command == "print" || request.command == "getall") {
    Print(request, now_us, wall, reply);
  } else if (request.command == "listen" && queue_menu) {
    reply.endless = true;
  } else if (queue_menu && (request.command == "add" || request.command == "set" ||
                            request.command == "remove")) {
    Change(request, *queue_menu, reply);
  } else if (queue_menu && absl::StartsWith(request.command, "reset-counters")) {
    ResetCounters(request, *queue_menu, reply);
  } else if (request.menu == "/system" && request.command == "reboot") {
    reply.reboot = Allowed("reboot");
    if (!reply.reboot) Trap(reply, kNoPermission);
    Done(reply);
  } else {
    Refuse(request, queue_menu || router_.SystemRows(request.menu, now_us, wall), reply);
  }
  return reply;
}

void Session::Challenge(Reply& reply) {
  challenge_.clear();
  for (int i = 0; i < 2; ++i) {
    std::uint64_t bits = router_.random().Next();
    for (int byte = 0; byte < 8; ++byte, bits >>= 8) {
      challenge_.push_back(static_cast<char>(bits & 0xFF));
    }
  }
  reply.sentences.push_back({"!done", absl::StrCat("=ret=", absl::BytesToHexString(challenge_))});
}

void Session::Login(const Request& request, Reply& reply) {
  const bool old = router_.spec().mode == ApiMode::kPre643;
  const std::string* name = request.Find("name");
  const std::string* response = request.Find("response");
  const std::string* password = request.Find("password");
  if (response == nullptr && (old || name == nullptr)) {
    Challenge(reply);
    return;
  }
  const UserSpec* user = name == nullptr ? nullptr : router_.FindUser(*name);
  bool accepted = false;
  if (response != nullptr) {
    // From 6.43 on the challenge is still given, but the answer to it never accepted.
    if (old && user != nullptr && !challenge_.empty()) {
      const std::string digest =
          options_.md5(absl::StrCat(absl::string_view("\0", 1), user->password, challenge_));
      accepted = *response == absl::StrCat("00", absl::BytesToHexString(digest));
    }
    challenge_.clear();
  } else {
    accepted = user != nullptr && password != nullptr && *password == user->password;
  }
  if (accepted && user->Has("api")) {
    user_ = *user;
    Done(reply);
    return;
  }
  Trap(reply, old ? kWrongLoginOld : kWrongLogin);
  Done(reply);
}

void Session::Refuse(const Request& request, bool menu_known, Reply& reply) const {
  if (menu_known) {
    const bool writes = request.command == "set" || request.command == "add" ||
                        request.command == "remove" || request.command == "enable" ||
                        request.command == "disable" || request.command == "move";
    if (writes && !Allowed("write")) {
      Trap(reply, kNoPermission);
    } else {
      Trap(reply, "no such command", "0");
    }
  } else {
    if (router_.spec().two_traps) {
      const std::size_t slash = request.menu.rfind('/');
      Trap(reply,
           absl::StrCat(
               "no such command or directory (",
               slash == std::string::npos ? request.command : request.menu.substr(slash + 1), ")"),
           "0");
    }
    Trap(reply, "no such command prefix", router_.spec().two_traps ? nullptr : "0");
  }
  Done(reply);
}

void Session::Print(const Request& request, std::int64_t now_us, absl::Time wall, Reply& reply) {
  const std::optional<Menu> queue_menu = QueueMenu(request.menu);
  std::optional<std::vector<Row>> rows;
  if (!queue_menu) rows = router_.SystemRows(request.menu, now_us, wall);
  if ((!queue_menu && !rows) || router_.MenuAbsent(request.menu)) {
    Refuse(request, /*menu_known=*/false, reply);
    return;
  }
  if (!Allowed("read") || (request.menu == "/user" && !Allowed("policy"))) {
    Trap(reply, kNoPermission);
    Done(reply);
    return;
  }
  for (const auto& [key, value] : request.arguments) {
    const bool known = key == ".proplist" || key == "count-only" ||
                       std::find(std::begin(kPrintArguments), std::end(kPrintArguments), key) !=
                           std::end(kPrintArguments);
    if (known) continue;
    Trap(reply, absl::StrCat("unknown parameter ", key));
    Done(reply);
    return;
  }
  const absl::StatusOr<Query> query = Query::Parse(request.query);
  if (!query.ok()) {
    Trap(reply, query.status().message(), "1");
    Done(reply);
    return;
  }
  Served served;
  served.menu = request.menu;
  served.sequence = router_.NextSequence(request.menu);
  served.uptime_s = router_.engine().UptimeSeconds(now_us);
  served.boot_count = router_.engine().boot_count();
  served.queue_menu = queue_menu.has_value();
  served.count_only = request.Find("count-only") != nullptr;
  reply.served = std::move(served);
  reply.faults = router_.faults().Take(reply.served->count_only ? "count-only" : request.menu);
  for (const Fault& fault : reply.faults) {
    reply.served->faults.emplace_back(FaultName(fault.kind));
  }
  if (queue_menu) {
    PrintQueues(request, *queue_menu, *query, reply);
  } else {
    PrintRows(request, *rows, *query, reply);
  }
}

namespace {

// The properties that .proplist names, in the order of the menu; all without it.
std::vector<const QueueField*> SelectFields(Menu menu, const std::string* proplist) {
  std::vector<const QueueField*> selected;
  std::vector<absl::string_view> wanted;
  if (proplist != nullptr && !proplist->empty()) wanted = absl::StrSplit(*proplist, ',');
  for (const QueueField& field : QueueFields(menu)) {
    if (wanted.empty() || std::find(wanted.begin(), wanted.end(), field.key) != wanted.end()) {
      selected.push_back(&field);
    }
  }
  return selected;
}

// How the faults of a reply change the rows of a queue menu.
struct RowFaults {
  bool zero = false;
  bool duplicate_keys = false;
  std::uint64_t drop = 0;
  std::uint64_t without_bytes_every = 0;  // 0: none
  std::optional<std::string> bad_number;
  bool duplicate_id = false;

  explicit RowFaults(const Reply& reply) {
    zero = FindFault(reply, FaultKind::kZeroCounters) != nullptr;
    duplicate_keys = FindFault(reply, FaultKind::kDuplicateKeys) != nullptr;
    duplicate_id = FindFault(reply, FaultKind::kDuplicateId) != nullptr;
    if (const Fault* fault = FindFault(reply, FaultKind::kDropRows)) drop = fault->value;
    if (const Fault* fault = FindFault(reply, FaultKind::kRowsWithoutBytes)) {
      without_bytes_every = std::max<std::uint64_t>(fault->value, 1);
    }
    if (const Fault* fault = FindFault(reply, FaultKind::kBadNumber)) bad_number = fault->text;
  }
};

// One !re of a queue menu, and what it showed.
std::vector<std::string> QueueSentence(const std::vector<const QueueField*>& fields,
                                       const Queue& queue, bool without_bytes,
                                       const RowFaults& faults, ServedRow& served) {
  std::vector<std::string> words;
  words.reserve(fields.size() + 2);
  words.emplace_back("!re");
  for (const QueueField* field : fields) {
    const absl::string_view key = field->key;
    const bool bytes = key == "bytes";
    if (bytes && without_bytes) continue;
    std::optional<std::string> value = field->value(queue);
    if (!value) continue;
    if (bytes && faults.bad_number) {
      value = *faults.bad_number;
    } else if (bytes) {
      served.bytes = queue.bytes;
    } else if (key == "packets") {
      served.packets = queue.packets;
    }
    words.push_back(absl::StrCat("=", key, "=", *value));
    if (faults.duplicate_keys && key == "name") {
      words.push_back(absl::StrCat("=", key, "=", *value, "-again"));
    }
  }
  return words;
}

}  // namespace

void Session::PrintQueues(const Request& request, Menu menu, const Query& query, Reply& reply) {
  const std::vector<Queue>& queues = router_.engine().queues(menu);
  const std::vector<const QueueField*> fields = SelectFields(menu, request.Find(".proplist"));
  const RowFaults faults(reply);
  Served& served = *reply.served;
  std::uint64_t matched = 0;
  std::uint64_t first_id = 0;
  for (const Queue& queue : queues) {
    if (!query.empty() && !query.Matches([menu, &queue](absl::string_view key) {
          return QueueValue(menu, queue, key);
        })) {
      continue;
    }
    ++matched;
    if (served.count_only) continue;
    const bool plain = !faults.zero && !faults.duplicate_id;
    Queue changed;
    if (!plain) {
      changed = queue;
      if (faults.zero) changed.bytes = changed.packets = changed.dropped = {};
      if (faults.duplicate_id && matched > 1) changed.row_id = first_id;
    }
    if (matched == 1) first_id = queue.row_id;
    const Queue& shown = plain ? queue : changed;
    const bool without_bytes =
        faults.without_bytes_every != 0 && matched % faults.without_bytes_every == 0;
    ServedRow row{.row_id = shown.row_id, .name = shown.spec.name, .bytes = {}, .packets = {}};
    reply.sentences.push_back(QueueSentence(fields, shown, without_bytes, faults, row));
    served.rows.push_back(std::move(row));
  }
  const std::uint64_t drop = std::min<std::uint64_t>(faults.drop, served.rows.size());
  reply.sentences.resize(reply.sentences.size() - drop);
  served.rows.erase(served.rows.end() - static_cast<std::ptrdiff_t>(drop), served.rows.end());
  Finish(request, matched, reply);
}

void Session::PrintRows(const Request& request, const std::vector<Row>& rows, const Query& query,
                        Reply& reply) {
  const std::string* proplist = request.Find(".proplist");
  std::vector<absl::string_view> wanted;
  if (proplist != nullptr && !proplist->empty()) wanted = absl::StrSplit(*proplist, ',');
  std::uint64_t matched = 0;
  for (const Row& row : rows) {
    const bool matches = query.Matches([&row](absl::string_view key) -> std::optional<std::string> {
      for (const auto& [name, value] : row) {
        if (name == key) return value;
      }
      return std::nullopt;
    });
    if (!matches) continue;
    ++matched;
    if (reply.served->count_only) continue;
    std::vector<std::string> words = {"!re"};
    for (const auto& [key, value] : row) {
      if (wanted.empty() || std::find(wanted.begin(), wanted.end(), key) != wanted.end()) {
        words.push_back(absl::StrCat("=", key, "=", value));
      }
    }
    reply.sentences.push_back(std::move(words));
  }
  Finish(request, matched, reply);
}

void Session::Finish(const Request& /*request*/, std::uint64_t rows, Reply& reply) {
  if (reply.served->count_only) {
    reply.sentences.push_back({"!done", absl::StrCat("=ret=", rows)});
    return;
  }
  if (rows == 0 && router_.UsesEmpty()) reply.sentences.push_back({"!empty"});
  Done(reply);
}

void Session::ResetCounters(const Request& request, Menu menu, Reply& reply) {
  if (!Allowed("write")) {
    Trap(reply, kNoPermission);
    Done(reply);
    return;
  }
  Engine& engine = router_.engine();
  if (request.command == "reset-counters-all") {
    engine.ResetAll(menu);
    reply.event = absl::StrCat(request.menu, "/reset-counters-all");
    Done(reply);
    return;
  }
  const std::string* ids = request.Find(".id");
  if (ids == nullptr) ids = request.Find("numbers");
  if (request.command != "reset-counters" || ids == nullptr) {
    Trap(reply,
         request.command == "reset-counters" ? "missing value(s) of argument(s) numbers"
                                             : "no such command",
         "0");
    Done(reply);
    return;
  }
  for (absl::string_view id : absl::StrSplit(*ids, ',')) {
    const Queue* queue = FindQueue(menu, id);
    if (queue == nullptr) {
      Trap(reply, "no such item", "0");
      break;
    }
    const absl::Status reset = engine.ResetCounters(menu, queue->spec.name);
    if (!reset.ok()) Trap(reply, reset.message(), "4");
    reply.event = absl::StrCat(request.menu, "/reset-counters ", *ids);
  }
  Done(reply);
}

const Queue* Session::FindQueue(Menu menu, absl::string_view id) {
  std::uint64_t row_id = 0;
  if (absl::StartsWith(id, "*") && absl::SimpleHexAtoi(id.substr(1), &row_id)) {
    return router_.engine().FindById(menu, row_id);
  }
  return router_.engine().Find(menu, id);
}

bool Session::ReadProperties(const Request& request, Menu menu, QueueSpec& spec,
                             Reply& reply) const {
  for (const auto& [key, value] : request.arguments) {
    if (key == ".id" || key == "numbers") continue;
    switch (SetProperty(menu, key, value, spec)) {
      case PropertyResult::kSet:
        continue;
      case PropertyResult::kUnknown:
        Trap(reply, absl::StrCat("unknown parameter ", key));
        return false;
      case PropertyResult::kBadValue:
        Trap(reply, absl::StrCat("invalid value for argument ", key), "1");
        return false;
    }
  }
  return true;
}

void Session::AddQueue(const Request& request, Menu menu, Reply& reply) {
  Engine& engine = router_.engine();
  QueueSpec spec;
  if (menu == Menu::kTree) spec.parent = "global";
  if (!ReadProperties(request, menu, spec, reply)) return Done(reply);
  for (int n = 1; spec.name.empty(); ++n) {
    const std::string name = absl::StrCat("queue", n);
    if (engine.Find(menu, name) == nullptr) spec.name = name;
  }
  const absl::Status added = engine.Add(menu, spec);
  if (!added.ok()) {
    if (absl::IsAlreadyExists(added)) {
      Trap(reply, "failure: already have such entry");
    } else {
      Trap(reply, "input does not match any value of parent", "1");
    }
    return Done(reply);
  }
  const std::string id = RouterId(engine.Find(menu, spec.name)->row_id);
  reply.event = absl::StrCat(request.menu, "/add ", id);
  reply.sentences.push_back({"!done", absl::StrCat("=ret=", id)});
}

void Session::SetQueue(const Request& request, Menu menu, const Queue& queue, Reply& reply) {
  QueueSpec spec = queue.spec;
  const std::string name = spec.name;
  if (!ReadProperties(request, menu, spec, reply)) return;
  if (menu == Menu::kSimple && !spec.parent.empty() && FindQueue(menu, spec.parent) == nullptr) {
    Trap(reply, "input does not match any value of parent", "1");
    return;
  }
  const absl::Status set = router_.engine().Configure(menu, name, std::move(spec));
  if (!set.ok()) Trap(reply, "failure: already have such entry");
}

void Session::Change(const Request& request, Menu menu, Reply& reply) {
  if (!Allowed("write")) {
    Trap(reply, kNoPermission);
    return Done(reply);
  }
  if (request.command == "add") return AddQueue(request, menu, reply);
  const std::string* ids = request.Find(".id");
  if (ids == nullptr) ids = request.Find("numbers");
  if (ids == nullptr) {
    Trap(reply, "missing value(s) of argument(s) numbers", "0");
    return Done(reply);
  }
  for (const absl::string_view id : absl::StrSplit(*ids, ',')) {
    const Queue* queue = FindQueue(menu, id);
    if (queue == nullptr) {
      Trap(reply, "no such item", "0");
    } else if (request.command == "set") {
      SetQueue(request, menu, *queue, reply);
    } else {
      const absl::Status removed = router_.engine().Remove(menu, std::string(queue->spec.name));
      if (!removed.ok()) Trap(reply, removed.message(), "4");
    }
    if (!reply.sentences.empty()) break;
  }
  if (reply.sentences.empty()) {
    reply.event = absl::StrCat(request.menu, "/", request.command, " ", *ids);
  }
  Done(reply);
}

}  // namespace netsentinel::simulator
