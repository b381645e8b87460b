#include "tools/simulator/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "tools/simulator/traffic.h"

namespace netsentinel::simulator {
namespace {

constexpr std::uint64_t kFirstTreeId = 0x1000000;
constexpr std::int64_t kSecond_us = 1'000'000;
// Mean sizes that subscribers show: requests go up, contents come down.
constexpr std::uint64_t kUploadPacketBytes = 250;
constexpr std::uint64_t kDownloadPacketBytes = 1200;

std::string Shown(Menu menu, absl::string_view name) {
  return absl::StrCat("/queue/", counters::MenuName(menu), " \"", base::DisplayName(name), "\"");
}

void ZeroCounters(Queue& queue) {
  queue.bytes = {};
  queue.packets = {};
  queue.dropped = {};
  queue.packet_carry = {};
}

std::uint64_t ShareOf(std::uint64_t bytes, std::uint32_t permille) {
  return bytes / 1000 * permille + bytes % 1000 * permille / 1000;
}

void ForgetMoved(Queue& queue) {
  queue.moved = {};
  queue.moved_uncounted = {};
  queue.moved_both = 0;
}

void CountPackets(std::uint64_t bytes, std::uint64_t size, bool whole, std::uint64_t& packets,
                  std::uint64_t& carry) {
  if (whole) {
    packets += bytes / size + (bytes % size != 0 ? 1 : 0);
    return;
  }
  packets += bytes / size + (bytes % size + carry) / size;
  carry = (bytes % size + carry) % size;
}

void Count(Queue& queue, UpDown bytes, bool whole_packets) {
  queue.bytes.up += bytes.up;
  queue.bytes.down += bytes.down;
  CountPackets(bytes.up, kUploadPacketBytes, whole_packets, queue.packets.up,
               queue.packet_carry.up);
  CountPackets(bytes.down, kDownloadPacketBytes, whole_packets, queue.packets.down,
               queue.packet_carry.down);
}

}  // namespace

Engine::Engine(std::uint64_t seed, std::int64_t now_us, std::uint64_t uptime_s)
    : seed_(seed),
      now_us_(now_us),
      boot_us_(now_us - static_cast<std::int64_t>(uptime_s) * kSecond_us) {
  tree_.next_id = kFirstTreeId;
}

const Queue* Engine::Find(Menu menu, absl::string_view name) const {
  const Table& queues = table(menu);
  const auto found = queues.by_name.find(std::string(name));
  return found == queues.by_name.end() ? nullptr : &queues.rows[found->second];
}

const Queue* Engine::FindById(Menu menu, std::uint64_t row_id) const {
  for (const Queue& queue : table(menu).rows) {
    if (queue.row_id == row_id) return &queue;
  }
  return nullptr;
}

absl::StatusOr<Queue*> Engine::FindMutable(Menu menu, absl::string_view name) {
  Table& queues = table(menu);
  const auto found = queues.by_name.find(std::string(name));
  if (found == queues.by_name.end()) {
    return absl::NotFoundError(absl::StrCat("there is no queue ", Shown(menu, name)));
  }
  return &queues.rows[found->second];
}

void Engine::Reindex(Menu menu) {
  Table& queues = table(menu);
  queues.by_name.clear();
  queues.by_name.reserve(queues.rows.size());
  for (std::size_t i = 0; i < queues.rows.size(); ++i) {
    queues.by_name[queues.rows[i].spec.name] = i;
  }
  for (Queue& queue : queues.rows) {
    const auto parent = queues.by_name.find(queue.spec.parent);
    queue.parent_index =
        parent == queues.by_name.end() ? -1 : static_cast<std::int32_t>(parent->second);
  }
}

void Engine::AppendRow(Menu menu, const QueueSpec& spec, std::uint64_t row_id) {
  Table& queues = table(menu);
  Queue queue;
  queue.spec = spec;
  queue.row_id = row_id;
  queue.instance = next_instance_++;
  queue.bytes = spec.bytes;
  queue.packets = spec.packets;
  queues.rows.push_back(std::move(queue));
  const std::size_t index = queues.rows.size() - 1;
  queues.by_name[spec.name] = index;
  const auto parent = queues.by_name.find(spec.parent);
  queues.rows[index].parent_index =
      parent == queues.by_name.end() ? -1 : static_cast<std::int32_t>(parent->second);
}

absl::Status Engine::Add(Menu menu, const QueueSpec& spec, std::uint64_t row_id) {
  Table& queues = table(menu);
  if (spec.name.empty()) return absl::InvalidArgumentError("a queue needs a name");
  if (queues.by_name.contains(spec.name)) {
    return absl::AlreadyExistsError(absl::StrCat(Shown(menu, spec.name), " is there already"));
  }
  // A tree's parent may be an interface, which is none of the rows.
  if (menu == Menu::kSimple && !spec.parent.empty() && spec.parent != "none" &&
      !queues.by_name.contains(spec.parent)) {
    return absl::NotFoundError(
        absl::StrCat("the parent of ", Shown(menu, spec.name),
                     " must be added before it: ", base::DisplayName(spec.parent)));
  }
  if (row_id == 0) {
    row_id = queues.next_id++;
  } else if (FindById(menu, row_id) != nullptr) {
    return absl::AlreadyExistsError(absl::StrFormat("the id *%X is in use", row_id));
  }
  queues.next_id = std::max(queues.next_id, row_id + 1);
  AppendRow(menu, spec, row_id);
  return absl::OkStatus();
}

void Engine::RememberMoved(Menu menu, const Queue& queue) {
  if (queue.moved.zero()) return;
  vanished_moved_.push_back({.menu = menu,
                             .row_id = queue.row_id,
                             .instance = queue.instance,
                             .name = queue.spec.name,
                             .moved = queue.moved,
                             .uncounted = queue.moved_uncounted,
                             .both = queue.moved_both});
}

void Engine::RemoveRow(Menu menu, std::size_t index) {
  Table& queues = table(menu);
  RememberMoved(menu, queues.rows[index]);
  queues.rows.erase(queues.rows.begin() + static_cast<std::ptrdiff_t>(index));
  Reindex(menu);
}

absl::Status Engine::Remove(Menu menu, absl::string_view name) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  Table& queues = table(menu);
  const auto index = static_cast<std::size_t>(queue - queues.rows.data());
  const std::string orphaned = absl::StrFormat("*%X", queue->row_id);
  for (Queue& child : queues.rows) {
    if (child.parent_index != static_cast<std::int32_t>(index)) continue;
    child.spec.parent = orphaned;
    child.invalid = true;
  }
  RemoveRow(menu, index);
  return absl::OkStatus();
}

absl::Status Engine::Rename(Menu menu, absl::string_view name, absl::string_view to) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  if (to.empty()) return absl::InvalidArgumentError("a queue needs a name");
  if (Find(menu, to) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat(Shown(menu, to), " is there already"));
  }
  // The truth names the bytes by the name they were moved under.
  RememberMoved(menu, *queue);
  ForgetMoved(*queue);
  const auto index = static_cast<std::int32_t>(queue - table(menu).rows.data());
  for (Queue& child : table(menu).rows) {
    if (child.parent_index == index) child.spec.parent = std::string(to);
  }
  queue->spec.name = std::string(to);
  Reindex(menu);
  return absl::OkStatus();
}

absl::Status Engine::Recreate(Menu menu, absl::string_view name, bool reuse_id) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  // The row keeps its place, so that children find their parent again.
  RememberMoved(menu, *queue);
  ForgetMoved(*queue);
  ZeroCounters(*queue);
  queue->instance = next_instance_++;
  if (!reuse_id) queue->row_id = table(menu).next_id++;
  return absl::OkStatus();
}

absl::Status Engine::SetDisabled(Menu menu, absl::string_view name, bool disabled) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  queue->spec.disabled = disabled;
  return absl::OkStatus();
}

absl::Status Engine::Edit(Menu menu, absl::string_view name, const EditOptions& options) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  if (options.set_max_limit) queue->spec.max_limit = options.max_limit;
  if (options.set_target) queue->spec.target = options.target;
  if (options.set_comment) queue->spec.comment = options.comment;
  if (options.reset_counters) ZeroCounters(*queue);
  return absl::OkStatus();
}

absl::Status Engine::Configure(Menu menu, absl::string_view name, QueueSpec spec) {
  if (spec.name != name) NS_RETURN_IF_ERROR(Rename(menu, name, spec.name));
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, spec.name));
  queue->spec = std::move(spec);
  Reindex(menu);
  return absl::OkStatus();
}

absl::Status Engine::SetFrozen(Menu menu, absl::string_view name, bool frozen) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  queue->frozen = frozen;
  return absl::OkStatus();
}

absl::Status Engine::SetTraffic(Menu menu, absl::string_view name, const TrafficModel& traffic) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  queue->spec.traffic = traffic;
  return absl::OkStatus();
}

absl::Status Engine::ResetCounters(Menu menu, absl::string_view name) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  ZeroCounters(*queue);
  return absl::OkStatus();
}

void Engine::ResetAll(Menu menu) {
  for (Queue& queue : table(menu).rows) ZeroCounters(queue);
}

void Engine::FreezeAll(bool frozen) {
  for (Menu menu : {Menu::kSimple, Menu::kTree}) {
    for (Queue& queue : table(menu).rows) queue.frozen = frozen;
  }
}

void Engine::Reboot(std::int64_t now_us, const RebootOptions& options) {
  AdvanceTo(now_us);
  boot_us_ = std::max(now_us_, now_us) + std::max<std::int64_t>(options.down_us, 0);
  ++boot_count_;
  for (Menu menu : {Menu::kSimple, Menu::kTree}) {
    Table& queues = table(menu);
    std::vector<Queue> old = std::move(queues.rows);
    queues.rows.clear();
    if (options.renumber) queues.next_id = menu == Menu::kTree ? kFirstTreeId : 1;
    std::vector<QueueSpec> redialled;
    for (Queue& queue : old) {
      RememberMoved(menu, queue);
      if (queue.spec.dynamic) {
        redialled.push_back(queue.spec);
        continue;
      }
      ForgetMoved(queue);
      queue.rate_bps = {};
      queue.packet_rate = {};
      ZeroCounters(queue);
      queue.instance = next_instance_++;
      if (options.renumber) queue.row_id = queues.next_id++;
      queues.rows.push_back(std::move(queue));
    }
    Reindex(menu);
    for (QueueSpec& spec : redialled) {
      spec.bytes = {};
      spec.packets = {};
      AppendRow(menu, spec, queues.next_id++);
    }
  }
}

std::size_t Engine::SessionRow(absl::string_view user) const {
  for (std::size_t i = 0; i < simple_.rows.size(); ++i) {
    const QueueSpec& spec = simple_.rows[i].spec;
    if (spec.dynamic && !spec.session_kind.empty() && spec.session_user == user) return i;
  }
  return simple_.rows.size();
}

absl::Status Engine::Disconnect(absl::string_view user) {
  const std::size_t index = SessionRow(user);
  if (index == simple_.rows.size()) {
    return absl::NotFoundError(absl::StrCat("no session of user ", base::DisplayName(user)));
  }
  Queue ended = simple_.rows[index];
  RemoveRow(Menu::kSimple, index);
  ended.spec.bytes = {};
  ended.spec.packets = {};
  ended_sessions_.insert_or_assign(std::string(user), std::move(ended));
  return absl::OkStatus();
}

absl::Status Engine::Connect(absl::string_view user, const ReconnectOptions& options) {
  const auto ended = ended_sessions_.find(user);
  if (ended == ended_sessions_.end()) {
    return absl::NotFoundError(
        absl::StrCat("user ", base::DisplayName(user), " was not disconnected before"));
  }
  QueueSpec spec = ended->second.spec;
  spec.name =
      absl::StrCat("<", spec.session_kind, "-", spec.session_user, options.suffix ? "-1>" : ">");
  if (simple_.by_name.contains(spec.name)) {
    return absl::AlreadyExistsError(
        absl::StrCat(Shown(Menu::kSimple, spec.name), " is there already"));
  }
  spec.target = spec.name;
  std::uint64_t row_id = ended->second.row_id;
  if (!options.reuse_id || FindById(Menu::kSimple, row_id) != nullptr) row_id = simple_.next_id++;
  AppendRow(Menu::kSimple, spec, row_id);
  ended_sessions_.erase(ended);
  return absl::OkStatus();
}

absl::Status Engine::Reconnect(absl::string_view user, const ReconnectOptions& options) {
  NS_RETURN_IF_ERROR(Disconnect(user));
  return Connect(user, options);
}

bool Engine::Counts(Menu menu, const Table& queues, const Queue& queue) const {
  if (queue.frozen || queue.spec.disabled || queue.invalid) return false;
  if (!fasttrack_) return true;
  if (menu == Menu::kSimple) return false;
  // Fasttracked packets pass trees on an interface, but not those on `global`.
  const Queue* top = &queue;
  for (int depth = 0; top->parent_index >= 0 && depth < 16; ++depth) {
    top = &queues.rows[static_cast<std::size_t>(top->parent_index)];
  }
  return top->spec.parent != "global";
}

void Engine::Pass(Menu menu, Table& queues, std::size_t index, UpDown bytes, bool whole_packets) {
  Queue& origin = queues.rows[index];
  origin.moved.up += bytes.up;
  origin.moved.down += bytes.down;
  if (!Counts(menu, queues, origin)) {
    origin.moved_uncounted.up += bytes.up;
    origin.moved_uncounted.down += bytes.down;
  }
  // A loop of parents ends at the depth limit; RouterOS allows far fewer levels.
  Queue* queue = &origin;
  for (int depth = 0; depth < 16; ++depth) {
    if (Counts(menu, queues, *queue)) Count(*queue, bytes, whole_packets);
    if (queue->parent_index < 0) break;
    queue = &queues.rows[static_cast<std::size_t>(queue->parent_index)];
  }
}

void Engine::AdvanceTo(std::int64_t now_us) {
  if (now_us <= now_us_) return;
  const std::int64_t from_us = std::max(now_us_, boot_us_);
  now_us_ = now_us;
  if (from_us >= now_us) return;
  const std::int64_t elapsed_us = now_us - from_us;
  for (Menu menu : {Menu::kSimple, Menu::kTree}) {
    Table& queues = table(menu);
    std::vector<std::pair<UpDown, UpDown>> before;
    if (elapsed_us >= kSecond_us) {
      before.reserve(queues.rows.size());
      for (const Queue& queue : queues.rows) before.emplace_back(queue.bytes, queue.packets);
    }
    for (std::size_t i = 0; !paused_ && i < queues.rows.size(); ++i) {
      Queue& queue = queues.rows[i];
      if (queue.spec.disabled || queue.invalid) continue;
      UpDown bytes = ModelBytes(queue.spec.traffic, queue.spec.max_limit,
                                seed_ ^ (queue.instance * 0x9E3779B97F4A7C15ULL), {from_us, now_us},
                                queue.byte_carry);
      const std::uint64_t both =
          menu == Menu::kSimple ? ShareOf(bytes.up, queue.spec.traffic.both_permille) : 0;
      bytes.up -= both;
      bytes.down += both;
      queue.moved_both += both;
      if (!bytes.zero()) Pass(menu, queues, i, bytes, /*whole_packets=*/false);
    }
    const auto seconds = static_cast<std::uint64_t>(elapsed_us / kSecond_us);
    for (std::size_t i = 0; i < before.size(); ++i) {
      Queue& queue = queues.rows[i];
      const auto& [bytes, packets] = before[i];
      queue.rate_bps = {(queue.bytes.up - bytes.up) / seconds * 8,
                        (queue.bytes.down - bytes.down) / seconds * 8};
      queue.packet_rate = {(queue.packets.up - packets.up) / seconds,
                           (queue.packets.down - packets.down) / seconds};
    }
  }
}

absl::Status Engine::Move(Menu menu, absl::string_view name, UpDown bytes, std::uint64_t both) {
  NS_ASSIGN_OR_RETURN(Queue * queue, FindMutable(menu, name));
  if (queue->spec.disabled || queue->invalid) {
    return absl::FailedPreconditionError(
        absl::StrCat(Shown(menu, name), " is disabled or invalid: nothing passes it"));
  }
  if (menu == Menu::kTree && (bytes.up != 0 || both != 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat(Shown(menu, name), " has one direction: give the bytes as \"down\""));
  }
  if (now_us_ < boot_us_) {
    return absl::FailedPreconditionError("the router is rebooting: nothing passes it");
  }
  Table& queues = table(menu);
  bytes.down += both;
  queue->moved_both += both;
  Pass(menu, queues, static_cast<std::size_t>(queue - queues.rows.data()), bytes,
       /*whole_packets=*/true);
  return absl::OkStatus();
}

std::uint64_t Engine::UptimeSeconds(std::int64_t now_us) const {
  if (now_us <= boot_us_) return 0;
  return static_cast<std::uint64_t>((now_us - boot_us_) / kSecond_us);
}

std::vector<MovedRow> Engine::TakeMoved() {
  std::vector<MovedRow> moved;
  for (Menu menu : {Menu::kSimple, Menu::kTree}) {
    for (Queue& queue : table(menu).rows) {
      RememberMoved(menu, queue);
      ForgetMoved(queue);
    }
  }
  moved.swap(vanished_moved_);
  return moved;
}

}  // namespace netsentinel::simulator
