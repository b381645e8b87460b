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
#include "common/counters/limits.h"

namespace netsentinel::routeros {
namespace {

using counters::DescriptorIndex;
using counters::Menu;
using counters::QueueDescriptor;
using counters::QueueReading;

constexpr std::size_t kNotKnown = std::numeric_limits<std::size_t>::max();
constexpr std::size_t kShownNameBytes = 64;
// What may be left behind by queues that have gone before it is cleared away.
constexpr std::size_t kStaleIndices = 4096;
constexpr std::size_t kStaleWordBytes = 64 * 1024;
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

// The one key of this length and first letter that is asked for.
Field CandidateOf(absl::string_view key) {
  switch (key.size()) {
    case 3:
      return kId;
    case 4:
      return kName;
    case 6:
      return key.front() == 't' ? kTarget : kParent;
    case 7:
      if (key.front() == 'c') return kComment;
      return key.front() == 'd' ? kDynamic : kInvalid;
    case 8:
      return kDisabled;
    case 9:
      return kMaxLimit;
    case 11:
      return key.front() == 'p' ? kPacketMark : kBurstLimit;
    default:
      return kFieldCount;
  }
}

Field FieldOf(absl::string_view key) {
  const Field field = CandidateOf(key);
  return field != kFieldCount && kFieldKeys[field] == key ? field : kFieldCount;
}

bool HasPrefix(absl::string_view word, absl::string_view prefix) {
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
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  return pair.upload > kMost - pair.download ? kMost : pair.upload + pair.download;
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

bool AssignShortened(std::string* to, absl::string_view value) {
  if (value.size() <= counters::kMaxDescriptionBytes) return Assign(to, value);
  *to = counters::Shortened(value, counters::kMaxDescriptionBytes);
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

void QueueMenuReader::BeginSession(const base::SecretMask& mask) {
  packets_known_ = false;
  if (mask == mask_) return;
  mask_ = mask;
  known_stale_ = !known_.empty();
}

void QueueMenuReader::Begin() {
  cursor_ = 0;
  same_order_ = true;
  rows_ = 0;
  rows_with_packets_ = 0;
  readings_.clear();
  readings_.reserve(known_.size());
  known_of_row_.clear();
  fresh_.clear();
  budget_.Begin();
  words_.resize(words_kept_);
  failure_ = absl::OkStatus();
}

std::string QueueMenuReader::ShownName(absl::string_view name) const {
  return base::DisplayName(mask_.Masked(name).substr(0, kShownNameBytes));
}

// One look at the whole row: hardly ever is there anything to find.
bool QueueMenuReader::HoldsSecret(Sentence words) {
  if (!mask_.masks_names()) return false;
  row_text_.clear();
  for (const absl::string_view word : words) {
    if (HasPrefix(word, kBytes) || HasPrefix(word, kPackets)) continue;
    row_text_.append(word.data(), word.size());
    row_text_.push_back('\n');
  }
  return mask_.Finds(row_text_);
}

bool QueueMenuReader::FailRow(std::size_t row, absl::string_view name, absl::string_view why) {
  if (!failure_.ok()) return false;
  failure_ =
      RouterStatus(RouterError::kIncompleteReply,
                   absl::StrCat("the reply of /queue/", counters::MenuName(menu_),
                                " is not usable: row ", row, " ('", ShownName(name), "') ", why));
  return false;
}

bool QueueMenuReader::Fail(Sentence words, absl::string_view why) {
  return FailRow(rows_, FindAttribute(words, "name").value_or(""), why);
}

bool QueueMenuReader::TakeCounter(absl::string_view word, CounterWords* counters) {
  if (HasPrefix(word, kBytes)) {
    counters->twice |= std::exchange(counters->has_bytes, true);
    counters->bytes = word.substr(kBytes.size());
    return true;
  }
  if (HasPrefix(word, kPackets)) {
    counters->twice |= std::exchange(counters->has_packets, true);
    counters->packets = word.substr(kPackets.size());
    return true;
  }
  return false;
}

bool QueueMenuReader::Matches(const Known& known, Sentence words, CounterWords* counters) const {
  *counters = {};
  absl::string_view rest = WordsOf(known);
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
  if (!known_stale_ && cursor_ < known_.size() && Matches(known_[cursor_], words, counters))
      [[likely]] {
    return cursor_++;
  }
  same_order_ = false;
  if (known_.empty() || known_stale_) return kNotKnown;
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
  if (known == kNotKnown && !AddFresh(words, &counters)) return;
  AddReading(words, counters, known);
}

bool QueueMenuReader::AddFresh(Sentence words, CounterWords* counters) {
  *counters = {};
  auto descriptor = std::make_shared<QueueDescriptor>();
  Known known;
  known.words_at = words_.size();
  std::array<bool, kFieldCount> seen = {};
  const bool masked = HoldsSecret(words);
  for (const absl::string_view word : words) {
    if (word.front() != '=' || TakeCounter(word, counters)) continue;
    const std::optional<Attribute> attribute = ParseAttribute(word);
    if (!attribute.has_value()) continue;
    const Field field = FieldOf(attribute->key);
    if (field == kFieldCount) continue;
    if (std::exchange(seen[field], true)) {
      return Fail(words, absl::StrCat("has `", kFieldKeys[field], "` twice"));
    }
    if ((field == kName || field == kParent) && attribute->value.size() > counters::kMaxNameBytes) {
      return Fail(words, absl::StrCat("has a `", kFieldKeys[field], "` of ",
                                      attribute->value.size(), " bytes; names of at most ",
                                      counters::kMaxNameBytes, " are counted: rename the queue"));
    }
    const bool read = masked ? ReadField(field, mask_.Masked(attribute->value), descriptor.get())
                             : ReadField(field, attribute->value, descriptor.get());
    if (!read) {
      if (field != kMaxLimit && field != kBurstLimit) {
        return Fail(words, absl::StrCat("has a `", kFieldKeys[field], "` that cannot be read"));
      }
      known.limit_unread = true;
    }
    AppendKnownWord(words_, word);
  }
  if (!seen[kId]) return Fail(words, "has no `.id`");
  if (!seen[kName]) return Fail(words, "has no `name`");
  if (!budget_.Add(*descriptor)) {
    return Fail(words,
                absl::StrCat("brings the texts of the reply beyond ", counters::kMostMenuTextBytes,
                             " bytes: shorten names, targets and comments on the router"));
  }
  known.row_id = descriptor->row_id;
  known.words_size = static_cast<std::uint32_t>(words_.size() - known.words_at);
  known.descriptor = std::move(descriptor);
  fresh_.push_back({.row = rows_ - 1, .known = std::move(known)});
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
      return menu_ != Menu::kSimple || AssignShortened(&descriptor->target, value);
    case kPacketMark:
      // What a tree queue catches stands where a simple queue has its target.
      return menu_ != Menu::kTree || AssignShortened(&descriptor->target, value);
    case kParent:
      return Assign(&descriptor->parent, value == "none" ? absl::string_view() : value);
    case kComment:
      return AssignShortened(&descriptor->comment, value);
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

bool QueueMenuReader::FindRows(RowsById& rows) {
  rows.reserve(rows_);
  auto fresh = fresh_.begin();
  for (std::size_t row = 0; row < known_of_row_.size(); ++row) {
    const std::size_t at = known_of_row_[row];
    const Known& known = at == kNotKnown ? (fresh++)->known : known_[at];
    if (!rows.try_emplace(known.row_id, row).second) {
      return FailRow(row + 1, known.descriptor->name,
                     "has a .id that another row of the reply has too");
    }
  }
  return true;
}

bool QueueMenuReader::KeepsToBudget() {
  std::uint64_t text_bytes = 0;
  auto fresh = fresh_.begin();
  for (const std::size_t at : known_of_row_) {
    const Known& known = at == kNotKnown ? (fresh++)->known : known_[at];
    text_bytes += counters::TextBytes(*known.descriptor);
  }
  const std::optional<std::string> why = budget_.Check(rows_, text_bytes);
  if (!why.has_value()) return true;
  failure_ = RouterStatus(
      RouterError::kIncompleteReply,
      absl::StrCat("the reply of /queue/", counters::MenuName(menu_), " is not taken: ", *why));
  return false;
}

absl::Status QueueMenuReader::Finish(std::vector<QueueReading>& readings) {
  if (failure_.ok() && rows_with_packets_ != rows_ && (rows_with_packets_ > 0 || packets_known_)) {
    failure_ = RouterStatus(
        RouterError::kIncompleteReply,
        absl::StrCat("the reply of /queue/", counters::MenuName(menu_), " is not usable: only ",
                     rows_with_packets_, " of ", rows_, " rows have `packets`"));
  }
  const bool changed = !same_order_ || !fresh_.empty() || rows_ != known_.size();
  RowsById rows;
  if (!failure_.ok() || (changed && (!FindRows(rows) || !KeepsToBudget()))) {
    absl::Status failure = failure_;
    Begin();
    TrimWords();
    failure_ = failure;
    return failure;
  }
  // Every remembered row has an entry of its own, unless others dropped some.
  for (std::size_t row = 0; table_.live() < known_.size() && row < readings_.size(); ++row) {
    const std::size_t known = known_of_row_[row];
    if (known == kNotKnown || table_.Find(known_[known].index) != nullptr) continue;
    known_[known].index = table_.Intern(known_[known].descriptor);
    readings_[row].descriptor = known_[known].index;
  }
  if (!fresh_.empty()) table_.Reserve(fresh_.size());
  for (Fresh& fresh : fresh_) {
    fresh.known.index = table_.Intern(fresh.known.descriptor);
    readings_[fresh.row].descriptor = fresh.known.index;
  }
  if (rows_with_packets_ > 0) packets_known_ = true;
  budget_.Accept();
  if (changed) RememberReply(std::move(rows));
  readings.swap(readings_);
  return absl::OkStatus();
}

void QueueMenuReader::RememberReply(RowsById rows) {
  std::vector<Known> now;
  now.reserve(known_of_row_.size());
  auto fresh = fresh_.begin();
  for (const std::size_t known : known_of_row_) {
    now.push_back(known == kNotKnown ? std::move((fresh++)->known) : std::move(known_[known]));
  }
  for (const Known& left : known_) {
    // Words in another order may describe the same queue: its entry is used on.
    const auto same = left.descriptor == nullptr ? rows.end() : rows.find(left.row_id);
    if (same != rows.end() && now[same->second].index == left.index) continue;
    if (left.descriptor != nullptr) table_.Drop(left.index);
  }
  known_ = std::move(now);
  known_stale_ = false;
  known_by_id_ = std::move(rows);
  words_kept_ = words_.size();
  fresh_ = {};
  TrimWords();
  if (table_.next_index() > 2 * known_.size() + kStaleIndices) Renumber();
  SetRemark();
}

// Words of rows that have gone, or of a refused reply, must not pile up.
void QueueMenuReader::TrimWords() {
  std::size_t live = 0;
  for (const Known& known : known_) live += known.words_size;
  if (words_.capacity() <= 2 * live + kStaleWordBytes) return;
  std::string trimmed;
  trimmed.reserve(live);
  for (Known& known : known_) {
    const absl::string_view words = WordsOf(known);
    known.words_at = trimmed.size();
    trimmed.append(words.data(), words.size());
  }
  words_ = std::move(trimmed);
  words_kept_ = words_.size();
}

// A table gives every index once; a new one begins at 0 again.
void QueueMenuReader::Renumber() {
  table_ = counters::DescriptorTable();
  table_.Reserve(known_.size());
  for (std::size_t row = 0; row < known_.size(); ++row) {
    known_[row].index = table_.Intern(known_[row].descriptor);
    readings_[row].descriptor = known_[row].index;
  }
}

void QueueMenuReader::SetRemark() {
  remark_.clear();
  for (const Known& known : known_) {
    if (!known.limit_unread) continue;
    remark_ = absl::StrCat("a limit of '", ShownName(known.descriptor->name), "' in /queue/",
                           counters::MenuName(menu_),
                           " is no rate and was taken as unlimited: set max-limit and burst-limit "
                           "anew on the router");
    return;
  }
}

}  // namespace netsentinel::routeros
