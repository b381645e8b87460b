#include "tools/simulator/menu_table.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace netsentinel::simulator {
namespace {

using Value = std::optional<std::string>;

template <const char* kText>
Value Constant(const Queue& /*queue*/) {
  return kText;
}
constexpr char kZero[] = "0";
constexpr char kZeroPair[] = "0/0";
constexpr char kPriorityPair[] = "8/8";
constexpr char kPriority[] = "8";
constexpr char kBucketPair[] = "0.1/0.1";
constexpr char kBucket[] = "0.1";
constexpr char kNoTime[] = "0s";

Value BoolValue(bool value) { return value ? "true" : "false"; }

Value IdOf(const Queue& q) { return RouterId(q.row_id); }
Value NameOf(const Queue& q) { return q.spec.name; }
Value TargetOf(const Queue& q) { return q.spec.target; }
Value DstOf(const Queue& q) { return q.spec.dst.empty() ? Value() : Value(q.spec.dst); }
Value ParentOf(const Queue& q) { return q.spec.parent.empty() ? "none" : q.spec.parent; }
Value MarksOf(const Queue& q) { return q.spec.packet_marks; }
Value QueueTypeOf(const Queue& q) { return q.spec.queue_type; }
Value QueueTypesOf(const Queue& q) {
  return absl::StrCat(q.spec.queue_type, "/", q.spec.queue_type);
}
Value BurstTimesOf(const Queue& q) {
  return absl::StrCat(RouterDuration(q.spec.burst_time_s.up), "/",
                      RouterDuration(q.spec.burst_time_s.down));
}
Value BurstTimeOf(const Queue& q) { return RouterDuration(q.spec.burst_time_s.down); }
Value InvalidOf(const Queue& q) { return BoolValue(q.invalid); }
Value DynamicOf(const Queue& q) { return BoolValue(q.spec.dynamic); }
Value DisabledOf(const Queue& q) { return BoolValue(q.spec.disabled); }
Value CommentOf(const Queue& q) {
  if (q.spec.comment.empty() && !q.spec.empty_comment) return std::nullopt;
  return q.spec.comment;
}

bool HasPcq(const Queue& q) { return absl::StrContains(q.spec.queue_type, "pcq"); }
Value PcqQueuesOf(const Queue& q) { return HasPcq(q) ? Value("0") : Value(); }
Value PcqQueuePairOf(const Queue& q) { return HasPcq(q) ? Value("0/0") : Value(); }
Value TimeOf(const Queue& q) { return q.spec.time.empty() ? Value() : Value(q.spec.time); }
// The totals count, and their limits show, only where a total limit is set.
bool HasTotal(const Queue& q) { return q.spec.total_max_limit != 0; }
template <UpDown Queue::*kMember>
Value TotalOf(const Queue& q) {
  return absl::StrCat(HasTotal(q) ? (q.*kMember).up + (q.*kMember).down : 0);
}
template <const char* kText>
Value TotalSetting(const Queue& q) {
  return HasTotal(q) ? Value(kText) : Value();
}
Value TotalMaxLimitOf(const Queue& q) {
  return HasTotal(q) ? Value(absl::StrCat(q.spec.total_max_limit)) : Value();
}
Value TotalQueueOf(const Queue& q) { return HasTotal(q) ? Value(q.spec.queue_type) : Value(); }

template <UpDown QueueSpec::*kMember>
Value SpecPair(const Queue& q) {
  return Pair(q.spec.*kMember);
}
template <UpDown QueueSpec::*kMember>
Value SpecDown(const Queue& q) {
  return absl::StrCat((q.spec.*kMember).down);
}
template <UpDown Queue::*kMember>
Value LivePair(const Queue& q) {
  return Pair(q.*kMember);
}
template <UpDown Queue::*kMember>
Value LiveDown(const Queue& q) {
  return absl::StrCat((q.*kMember).down);
}

std::vector<QueueField> SimpleFields() {
  return {{".id", IdOf},
          {"name", NameOf},
          {"target", TargetOf},
          {"dst", DstOf},
          {"parent", ParentOf},
          {"packet-marks", MarksOf},
          {"priority", Constant<kPriorityPair>},
          {"queue", QueueTypesOf},
          {"limit-at", SpecPair<&QueueSpec::limit_at>},
          {"max-limit", SpecPair<&QueueSpec::max_limit>},
          {"burst-limit", SpecPair<&QueueSpec::burst_limit>},
          {"burst-threshold", SpecPair<&QueueSpec::burst_threshold>},
          {"burst-time", BurstTimesOf},
          {"bucket-size", Constant<kBucketPair>},
          {"bytes", LivePair<&Queue::bytes>},
          {"total-bytes", TotalOf<&Queue::bytes>},
          {"packets", LivePair<&Queue::packets>},
          {"dropped", LivePair<&Queue::dropped>},
          {"packet-rate", LivePair<&Queue::packet_rate>},
          {"queued-packets", Constant<kZeroPair>},
          {"queued-bytes", Constant<kZeroPair>},
          {"rate", LivePair<&Queue::rate_bps>},
          {"total-packets", TotalOf<&Queue::packets>},
          {"total-dropped", TotalOf<&Queue::dropped>},
          {"total-rate", TotalOf<&Queue::rate_bps>},
          {"total-packet-rate", TotalOf<&Queue::packet_rate>},
          {"total-queued-packets", Constant<kZero>},
          {"total-queued-bytes", Constant<kZero>},
          {"pcq-queues", PcqQueuePairOf},
          {"total-pcq-queues", PcqQueuesOf},
          {"total-priority", TotalSetting<kPriority>},
          {"total-queue", TotalQueueOf},
          {"total-limit-at", TotalSetting<kZero>},
          {"total-max-limit", TotalMaxLimitOf},
          {"total-burst-limit", TotalSetting<kZero>},
          {"total-burst-threshold", TotalSetting<kZero>},
          {"total-burst-time", TotalSetting<kNoTime>},
          {"total-bucket-size", TotalSetting<kBucket>},
          {"time", TimeOf},
          {"invalid", InvalidOf},
          {"dynamic", DynamicOf},
          {"disabled", DisabledOf},
          {"comment", CommentOf}};
}

std::vector<QueueField> TreeFields() {
  return {{".id", IdOf},
          {"name", NameOf},
          {"parent", ParentOf},
          {"packet-mark", MarksOf},
          {"limit-at", SpecDown<&QueueSpec::limit_at>},
          {"queue", QueueTypeOf},
          {"priority", Constant<kPriority>},
          {"max-limit", SpecDown<&QueueSpec::max_limit>},
          {"burst-limit", SpecDown<&QueueSpec::burst_limit>},
          {"burst-threshold", SpecDown<&QueueSpec::burst_threshold>},
          {"burst-time", BurstTimeOf},
          {"bucket-size", Constant<kBucket>},
          {"bytes", LiveDown<&Queue::bytes>},
          {"packets", LiveDown<&Queue::packets>},
          {"dropped", LiveDown<&Queue::dropped>},
          {"rate", LiveDown<&Queue::rate_bps>},
          {"packet-rate", LiveDown<&Queue::packet_rate>},
          {"queued-packets", Constant<kZero>},
          {"queued-bytes", Constant<kZero>},
          {"pcq-queues", PcqQueuesOf},
          {"invalid", InvalidOf},
          {"disabled", DisabledOf},
          {"comment", CommentOf}};
}

}  // namespace

const std::vector<QueueField>& QueueFields(Menu menu) {
  static const std::vector<QueueField> simple = SimpleFields();
  static const std::vector<QueueField> tree = TreeFields();
  return menu == Menu::kSimple ? simple : tree;
}

std::optional<std::string> QueueValue(Menu menu, const Queue& queue, absl::string_view key) {
  for (const QueueField& field : QueueFields(menu)) {
    if (key == field.key) return field.value(queue);
  }
  return std::nullopt;
}

std::string RouterDuration(std::uint64_t seconds) {
  if (seconds == 0) return "0s";
  struct Unit {
    std::uint64_t seconds;
    char letter;
  };
  std::string text;
  for (const Unit unit :
       {Unit{604800, 'w'}, Unit{86400, 'd'}, Unit{3600, 'h'}, Unit{60, 'm'}, Unit{1, 's'}}) {
    const std::uint64_t count = seconds / unit.seconds;
    seconds %= unit.seconds;
    if (count != 0) absl::StrAppend(&text, count, std::string(1, unit.letter));
  }
  return text;
}

std::string RouterId(std::uint64_t row_id) { return absl::StrFormat("*%X", row_id); }

std::string Pair(UpDown pair) { return absl::StrCat(pair.up, "/", pair.down); }

}  // namespace netsentinel::simulator
