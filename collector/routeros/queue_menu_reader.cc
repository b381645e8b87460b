#include "collector/routeros/queue_menu_reader.h"

#include <array>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "collector/routeros/parsers.h"
#include "collector/routeros/router_error.h"
#include "common/base/crc32c.h"
#include "common/base/display_name.h"

namespace netsentinel::routeros {
namespace {

using counters::DescriptorIndex;
using counters::Menu;
using counters::QueueDescriptor;
using counters::QueueReading;

constexpr std::size_t kNotKnown = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kShownNameBytes = 64;
constexpr absl::string_view kBytes = "=bytes=";
constexpr absl::string_view kPackets = "=packets=";

constexpr std::array<absl::string_view, 2> kPrintSimple = {
    "/queue/simple/print",
    "=.proplist=.id,name,target,parent,bytes,packets,max-limit,burst-limit,comment,disabled,"
    "dynamic,invalid"};
constexpr std::array<absl::string_view, 2> kPrintTree = {
    "/queue/tree/print",
    "=.proplist=.id,name,packet-mark,parent,bytes,packets,max-limit,burst-limit,comment,disabled,"
    "invalid"};
constexpr std::array<absl::string_view, 2> kCountSimple = {"/queue/simple/print", "=count-only="};
constexpr std::array<absl::string_view, 2> kCountTree = {"/queue/tree/print", "=count-only="};

// The keys that make a descriptor.
enum Field : std::size_t {
  kId,
  kName,
  kTarget,
  kPacketMark,
  kParent,
  kComment,
  kDynamic,
  kDisabled,
  kInvalid,
  kMaxLimit,
  kBurstLimit,
  kFieldCount,
};
constexpr std::array<absl::string_view, kFieldCount> kFieldKeys = {
    ".id",     "name",     "target",  "packet-mark", "parent",     "comment",
    "dynamic", "disabled", "invalid", "max-limit",   "burst-limit"};

std::size_t FieldOf(absl::string_view key) {
  for (std::size_t field = 0; field < kFieldCount; ++field) {
    if (kFieldKeys[field] == key) return field;
  }
  return kFieldCount;
}

bool StartsWith(absl::string_view word, absl::string_view prefix) {
  return word.size() >= prefix.size() &&
         std::memcmp(word.data(), prefix.data(), prefix.size()) == 0;
}

// Remembered words: a 32-bit length in the host's order, then the bytes.
void AppendKnownWord(std::string& out, absl::string_view word) {
  const auto length = static_cast<std::uint32_t>(word.size());
  char bytes[sizeof(length)];
  std::memcpy(bytes, &length, sizeof(length));
  out.append(bytes, sizeof(length));
  out.append(word.data(), word.size());
}

absl::string_view TakeKnownWord(absl::string_view& rest) {
  std::uint32_t length = 0;
  std::memcpy(&length, rest.data(), sizeof(length));
  const absl::string_view word = rest.substr(sizeof(length), length);
  rest.remove_prefix(sizeof(length) + length);
  return word;
}

std::uint64_t SaturatingSum(const NumberPair& pair) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
  return pair.upload > kMax - pair.download ? kMax : pair.upload + pair.download;
}

// A counter of a simple queue is a pair; of a tree queue one number, kept as download.
std::optional<NumberPair> ParseCounter(Menu menu, absl::string_view value) {
  if (menu == Menu::kSimple) return ParsePair(value);
  const std::optional<std::uint64_t> number = ParseUint64(value);
  if (!number.has_value()) return std::nullopt;
  return NumberPair{0, *number};
}

bool Assign(std::string* to, absl::string_view value) {
  to->assign(value.data(), value.size());
  return true;
}

bool AssignBool(bool* to, absl::string_view value) {
  const std::optional<bool> parsed = ParseBool(value);
  if (parsed.has_value()) *to = *parsed;
  return parsed.has_value();
}

}  // namespace

QueueMenuReader::QueueMenuReader(Menu menu, counters::DescriptorTable& table)
    : menu_(menu), table_(table) {}

absl::Span<const absl::string_view> QueueMenuReader::PrintCommand() const {
  return menu_ == Menu::kSimple ? kPrintSimple : kPrintTree;
}

absl::Span<const absl::string_view> QueueMenuReader::CountCommand() const {
  return menu_ == Menu::kSimple ? kCountSimple : kCountTree;
}

std::uint64_t QueueMenuReader::settings_fingerprint() const {
  return base::Crc32c(absl::StrJoin(PrintCommand(), " "));
}

void QueueMenuReader::Begin() {
  ++reply_;
  cursor_ = 0;
  same_order_ = true;
  rows_ = 0;
  rows_with_packets_ = 0;
  readings_.clear();
  known_of_row_.clear();
  fresh_.clear();
  fresh_ids_.clear();
  failure_ = absl::OkStatus();
}

bool QueueMenuReader::Fail(Sentence words, absl::string_view why) {
  if (!failure_.ok()) return false;
  const absl::string_view name = FindAttribute(words, "name").value_or("");
  failure_ = RouterStatus(
      RouterError::kIncompleteReply,
      absl::StrCat("the reply of /queue/", counters::MenuName(menu_), " is not usable: row ", rows_,
                   " ('", base::DisplayName(name.substr(0, kShownNameBytes)), "') ", why));
  return false;
}

bool QueueMenuReader::TakeCounter(absl::string_view word, CounterWords* counters) {
  if (StartsWith(word, kBytes)) {
    counters->twice |= std::exchange(counters->has_bytes, true);
    counters->bytes = word.substr(kBytes.size());
    return true;
  }
  if (StartsWith(word, kPackets)) {
    counters->twice |= std::exchange(counters->has_packets, true);
    counters->packets = word.substr(kPackets.size());
    return true;
  }
  return false;
}

bool QueueMenuReader::Matches(const Known& known, Sentence words, CounterWords* counters) {
  *counters = {};
  absl::string_view rest = known.words;
  absl::string_view expected = TakeKnownWord(rest);
  bool all_seen = false;
  for (const absl::string_view word : words) {
    if (!all_seen && word == expected) {
      all_seen = rest.empty();
      if (!all_seen) expected = TakeKnownWord(rest);
      continue;
    }
    if (word.front() != '=' || TakeCounter(word, counters)) continue;
    const std::optional<Attribute> attribute = ParseAttribute(word);
    // Properties nobody asked for may appear, and change as they like.
    if (attribute.has_value() && FieldOf(attribute->key) != kFieldCount) return false;
  }
  return all_seen;
}

std::size_t QueueMenuReader::FindKnown(Sentence words, CounterWords* counters) {
  if (cursor_ < known_.size() && Matches(known_[cursor_], words, counters)) [[likely]] {
    return cursor_++;
  }
  same_order_ = false;
  const std::optional<std::uint64_t> row_id =
      ParseRowId(FindAttribute(words, kFieldKeys[kId]).value_or(""));
  if (!row_id.has_value()) return kNotKnown;
  const auto found = known_by_id_.find(*row_id);
  if (found == known_by_id_.end()) return kNotKnown;
  // Rows below an added or removed one follow again in the remembered order.
  cursor_ = found->second + 1;
  return Matches(known_[found->second], words, counters) ? found->second : kNotKnown;
}

void QueueMenuReader::AddRow(Sentence words) {
  ++rows_;
  if (!failure_.ok()) return;
  CounterWords counters;
  const std::size_t known = FindKnown(words, &counters);
  if (known == kNotKnown) {
    if (!AddFresh(words, &counters)) return;
  } else if (std::exchange(known_[known].seen_in, reply_) == reply_) {
    Fail(words, "has a .id that another row of the reply has too");
    return;
  }
  AddReading(words, counters, known);
}

bool QueueMenuReader::AddFresh(Sentence words, CounterWords* counters) {
  Fresh fresh;
  fresh.row = rows_ - 1;
  if (!ReadDescriptor(words, &fresh.descriptor)) return false;
  const std::uint64_t row_id = fresh.descriptor.row_id;
  bool twice = !fresh_ids_.insert(row_id).second;
  if (const auto known = known_by_id_.find(row_id); known != known_by_id_.end()) {
    twice |= std::exchange(known_[known->second].seen_in, reply_) == reply_;
  }
  if (twice) return Fail(words, "has a .id that another row of the reply has too");
  *counters = {};
  fresh.known.row_id = row_id;
  fresh.known.seen_in = reply_;
  for (const absl::string_view word : words) {
    if (TakeCounter(word, counters)) continue;
    const std::optional<Attribute> attribute = ParseAttribute(word);
    if (attribute.has_value() && FieldOf(attribute->key) != kFieldCount) {
      AppendKnownWord(fresh.known.words, word);
    }
  }
  fresh.known.words.shrink_to_fit();
  fresh_.push_back(std::move(fresh));
  return true;
}

bool QueueMenuReader::AddReading(Sentence words, const CounterWords& counters, std::size_t known) {
  if (!counters.has_bytes) {
    return Fail(words, "has no `bytes`: the router sent no statistics, and absent is not zero");
  }
  if (counters.twice) return Fail(words, "has a counter twice");
  const std::optional<NumberPair> bytes = ParseCounter(menu_, counters.bytes);
  if (!bytes.has_value()) return Fail(words, "has `bytes` that are not the numbers expected");
  QueueReading reading;
  reading.descriptor = known == kNotKnown ? 0 : known_[known].index;
  reading.upload = bytes->upload;
  reading.download = bytes->download;
  if (counters.has_packets) {
    const std::optional<NumberPair> packets = ParseCounter(menu_, counters.packets);
    if (!packets.has_value()) return Fail(words, "has `packets` that are not the numbers expected");
    reading.packets = SaturatingSum(*packets);
    ++rows_with_packets_;
  }
  readings_.push_back(reading);
  known_of_row_.push_back(known);
  return true;
}

bool QueueMenuReader::ReadDescriptor(Sentence words, QueueDescriptor* descriptor) {
  std::array<bool, kFieldCount> seen = {};
  for (const absl::string_view word : words) {
    const std::optional<Attribute> attribute = ParseAttribute(word);
    if (!attribute.has_value()) continue;
    const std::size_t field = FieldOf(attribute->key);
    if (field == kFieldCount) continue;
    if (std::exchange(seen[field], true)) {
      return Fail(words, absl::StrCat("has `", kFieldKeys[field], "` twice"));
    }
    if (!ReadField(field, attribute->value, descriptor)) {
      return Fail(words, absl::StrCat("has a `", kFieldKeys[field], "` that cannot be read"));
    }
  }
  if (!seen[kId]) return Fail(words, "has no `.id`");
  if (!seen[kName]) return Fail(words, "has no `name`");
  return true;
}

bool QueueMenuReader::ReadField(std::size_t field, absl::string_view value,
                                QueueDescriptor* descriptor) const {
  switch (static_cast<Field>(field)) {
    case kId: {
      const std::optional<std::uint64_t> row_id = ParseRowId(value);
      if (row_id.has_value()) descriptor->row_id = *row_id;
      return row_id.has_value();
    }
    case kName:
      return Assign(&descriptor->name, value);
    case kTarget:
      return menu_ != Menu::kSimple || Assign(&descriptor->target, value);
    case kPacketMark:
      // What a tree queue catches stands where a simple queue has its target.
      return menu_ != Menu::kTree || Assign(&descriptor->target, value);
    case kParent:
      return Assign(&descriptor->parent, value == "none" ? absl::string_view() : value);
    case kComment:
      return Assign(&descriptor->comment, value);
    case kDynamic:
      return AssignBool(&descriptor->dynamic, value);
    case kDisabled:
      return AssignBool(&descriptor->disabled, value);
    case kInvalid:
      return AssignBool(&descriptor->invalid, value);
    case kMaxLimit:
      return ReadLimit(value, &descriptor->max_limit_upload, &descriptor->max_limit_download);
    case kBurstLimit:
      return ReadLimit(value, &descriptor->burst_limit_upload, &descriptor->burst_limit_download);
    case kFieldCount:
      break;
  }
  return true;
}

bool QueueMenuReader::ReadLimit(absl::string_view value, std::uint64_t* upload,
                                std::uint64_t* download) const {
  if (menu_ == Menu::kSimple) {
    const std::optional<NumberPair> limit = ParseRatePair(value);
    if (!limit.has_value()) return false;
    *upload = limit->upload;
    *download = limit->download;
    return true;
  }
  const std::optional<std::uint64_t> limit = ParseRate(value);
  if (!limit.has_value()) return false;
  *download = *limit;
  return true;
}

DescriptorIndex QueueMenuReader::InternAgain(const Known& known) {
  std::vector<absl::string_view> words;
  for (absl::string_view rest = known.words; !rest.empty();) words.push_back(TakeKnownWord(rest));
  QueueDescriptor descriptor;
  ReadDescriptor(words, &descriptor);
  return table_.Intern(descriptor);
}

absl::Status QueueMenuReader::Finish(std::vector<QueueReading>& readings) {
  if (failure_.ok() && rows_with_packets_ != rows_ && (rows_with_packets_ > 0 || packets_known_)) {
    failure_ = RouterStatus(
        RouterError::kIncompleteReply,
        absl::StrCat("the reply of /queue/", counters::MenuName(menu_), " is not usable: only ",
                     rows_with_packets_, " of ", rows_, " rows have `packets`"));
  }
  if (!failure_.ok()) return failure_;
  for (std::size_t row = 0; row < readings_.size(); ++row) {
    const std::size_t known = known_of_row_[row];
    if (known == kNotKnown || table_.Find(known_[known].index) != nullptr) continue;
    known_[known].index = InternAgain(known_[known]);
    readings_[row].descriptor = known_[known].index;
  }
  for (Fresh& fresh : fresh_) {
    fresh.known.index = table_.Intern(fresh.descriptor);
    readings_[fresh.row].descriptor = fresh.known.index;
  }
  if (rows_with_packets_ > 0) packets_known_ = true;
  if (!same_order_ || !fresh_.empty() || rows_ != known_.size()) RememberReply();
  readings.swap(readings_);
  return absl::OkStatus();
}

void QueueMenuReader::RememberReply() {
  std::vector<Known> now;
  now.reserve(known_of_row_.size());
  auto fresh = fresh_.begin();
  for (const std::size_t known : known_of_row_) {
    now.push_back(known == kNotKnown ? std::move((fresh++)->known) : std::move(known_[known]));
  }
  known_ = std::move(now);
  known_by_id_.clear();
  known_by_id_.reserve(known_.size());
  for (std::size_t i = 0; i < known_.size(); ++i) known_by_id_[known_[i].row_id] = i;
  fresh_ = {};
  fresh_ids_ = {};
}

}  // namespace netsentinel::routeros
