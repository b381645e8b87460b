#include "common/config/section.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"
#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"
#include "common/config/yaml_tree.h"
#include "common/io/files.h"

namespace netsentinel::config {
namespace {

constexpr absl::string_view kDurationForm = "a duration such as 30s, 5m, 24h or 14d";
constexpr absl::string_view kSizeForm = "a size such as 10GiB or 500MB";
constexpr absl::string_view kRateForm = "a rate such as 10Gbps or 100Mbps";
constexpr absl::string_view kNameForm =
    "a name of at most 64 letters, digits, dots, underscores and dashes";
constexpr absl::string_view kAddressForm =
    "HOST:PORT, such as \"127.0.0.1:9101\" or \"[::1]:9101\"";
constexpr absl::string_view kTargetForm =
    "a target such as \"dns:///aggregator.example:7443\" or \"127.0.0.1:7443\"";

std::string Quoted(absl::string_view text) {
  constexpr std::size_t kShown = 80;
  if (text.size() > kShown)
    return absl::StrCat("\"", base::DisplayName(text.substr(0, kShown)), "…\"");
  return absl::StrCat("\"", base::DisplayName(text), "\"");
}

absl::string_view KindWord(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "is empty";
    case YamlNode::Kind::kScalar:
      return "is a single value";
    case YamlNode::Kind::kSequence:
      return "is a list";
    case YamlNode::Kind::kMap:
      return "is a group of keys";
  }
  return "is something else";
}

// The words of quantity_text.h end in their own "; expected …", which the problem has already.
std::string WithoutExpectation(absl::string_view message) {
  return std::string(message.substr(0, message.find("; expected ")));
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

std::string DurationText(absl::Duration value) {
  if (value != absl::ZeroDuration() && value % absl::Hours(24) == absl::ZeroDuration()) {
    return absl::StrCat(value / absl::Hours(24), "d");
  }
  return absl::FormatDuration(value);
}

template <typename T, typename Format>
absl::Status CheckRange(T value, const Range<T>& range, Format format) {
  if (value < range.min) {
    return absl::OutOfRangeError(
        absl::StrCat("is less than the smallest allowed value, ", format(range.min)));
  }
  if (value > range.max) {
    return absl::OutOfRangeError(
        absl::StrCat("is more than the largest allowed value, ", format(range.max)));
  }
  return absl::OkStatus();
}

std::string RateText(std::uint64_t bits) {
  constexpr std::pair<std::uint64_t, absl::string_view> kUnits[] = {
      {1000000000ULL, "Gbps"}, {1000000ULL, "Mbps"}, {1000ULL, "kbps"}};
  for (const auto& [factor, unit] : kUnits) {
    if (bits >= factor && bits % factor == 0) return absl::StrCat(bits / factor, unit);
  }
  return absl::StrCat(bits, "bps");
}

absl::StatusOr<absl::Duration> DurationIn(absl::string_view text, Range<absl::Duration> range) {
  NS_ASSIGN_OR_RETURN(const absl::Duration value, base::ParseDuration(text));
  NS_RETURN_IF_ERROR(CheckRange(value, range, DurationText));
  return value;
}

absl::StatusOr<std::uint64_t> SizeIn(absl::string_view text, Range<std::uint64_t> range) {
  NS_ASSIGN_OR_RETURN(const std::uint64_t value, base::ParseByteSize(text));
  NS_RETURN_IF_ERROR(CheckRange(value, range, base::FormatByteSize));
  return value;
}

absl::StatusOr<std::uint64_t> RateIn(absl::string_view text, Range<std::uint64_t> range) {
  NS_ASSIGN_OR_RETURN(const std::uint64_t value, base::ParseBitRate(text));
  NS_RETURN_IF_ERROR(CheckRange(value, range, RateText));
  return value;
}

absl::StatusOr<std::int64_t> IntegerIn(absl::string_view text, Range<std::int64_t> range) {
  std::int64_t value = 0;
  if (text.empty() || absl::ascii_isspace(static_cast<unsigned char>(text.front())) ||
      text.front() == '+' || !absl::SimpleAtoi(text, &value)) {
    return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " is not a whole number"));
  }
  NS_RETURN_IF_ERROR(
      CheckRange(value, range, [](std::int64_t number) { return absl::StrCat(number); }));
  return value;
}

std::string IntegerForm(Range<std::int64_t> range) {
  if (range.max == std::numeric_limits<std::int64_t>::max()) {
    return absl::StrCat("a whole number of at least ", range.min);
  }
  return absl::StrCat("a whole number from ", range.min, " to ", range.max);
}

absl::StatusOr<TimeOfDay> ParseTimeOfDay(absl::string_view text) {
  const auto digit = [&](std::size_t i) {
    return absl::ascii_isdigit(static_cast<unsigned char>(text[i]));
  };
  const auto number = [&](std::size_t i) { return (text[i] - '0') * 10 + (text[i + 1] - '0'); };
  if (text.size() == 5 && text[2] == ':' && digit(0) && digit(1) && digit(3) && digit(4) &&
      number(0) < 24 && number(3) < 60) {
    return TimeOfDay{number(0), number(3)};
  }
  return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " is not a time of day"));
}

absl::StatusOr<absl::TimeZone> ParseTimeZone(absl::string_view text) {
  absl::TimeZone zone;
  if (absl::LoadTimeZone(text, &zone)) return zone;
  return absl::InvalidArgumentError(
      absl::StrCat(Quoted(text), " is not a time zone that this host knows"));
}

}  // namespace

std::string Section::KeyPath(absl::string_view key) const {
  if (key.empty()) return path_;
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

bool Section::has(absl::string_view key) const {
  if (node_ == nullptr) return false;
  node_->known_keys.insert(std::string(key));
  return node_->Find(key) != nullptr;
}

void Section::Report(const YamlNode& node, absl::string_view problem, absl::string_view expected,
                     absl::string_view fix) {
  diagnostics_->Add(
      {node.position, node.path, std::string(problem), std::string(expected), std::string(fix)});
}

void Section::Fail(absl::string_view key, absl::string_view problem, absl::string_view expected,
                   absl::string_view fix) {
  const YamlNode* node = node_ == nullptr || key.empty() ? nullptr : node_->Find(key);
  diagnostics_->Add({node == nullptr ? position_ : node->position, KeyPath(key),
                     std::string(problem), std::string(expected), std::string(fix)});
}

YamlNode* Section::Lookup(absl::string_view key, absl::string_view expected, bool required) {
  YamlNode* node = nullptr;
  if (node_ != nullptr) {
    node_->known_keys.insert(std::string(key));
    node = node_->Find(key);
  }
  if (node == nullptr) {
    if (required) Fail(key, "is missing", expected, absl::StrCat("add `", key, ":` here"));
    return nullptr;
  }
  node->read = true;
  return node;
}

const YamlNode* Section::Scalar(absl::string_view key, absl::string_view expected, bool required) {
  const YamlNode* node = Lookup(key, expected, required);
  if (node == nullptr || node->kind == YamlNode::Kind::kScalar) return node;
  Report(*node, KindWord(*node), expected,
         required ? "write the value" : "write the value or remove the key");
  return nullptr;
}

template <typename T, typename Parse>
T Section::Parsed(absl::string_view key, absl::string_view expected, std::optional<T> fallback,
                  Parse parse) {
  const YamlNode* node = Scalar(key, expected, !fallback.has_value());
  const T otherwise = fallback.value_or(T());
  if (node == nullptr) return otherwise;
  absl::StatusOr<T> value = parse(node->scalar);
  if (value.ok()) return *std::move(value);
  const bool out_of_range = absl::IsOutOfRange(value.status());
  Report(*node,
         out_of_range ? absl::StrCat(Quoted(node->scalar), " ", value.status().message())
                      : WithoutExpectation(value.status().message()),
         expected);
  return otherwise;
}

std::string Section::CheckedText(const YamlNode& node, TextRule rule) {
  const std::size_t size = node.scalar.size();
  if (size < rule.min) {
    Report(node, size == 0 ? "is empty" : absl::StrCat(Quoted(node.scalar), " is too short"),
           absl::StrCat("text of at least ", rule.min, " bytes"));
  } else if (size > rule.max) {
    Report(node, absl::StrCat("is ", size, " bytes long"),
           absl::StrCat("text of at most ", rule.max, " bytes"));
  }
  return node.scalar;
}

std::string Section::RequiredString(absl::string_view key, TextRule rule) {
  const YamlNode* node = Scalar(key, "text", true);
  return node == nullptr ? std::string() : CheckedText(*node, rule);
}

std::string Section::OptionalString(absl::string_view key, absl::string_view fallback,
                                    TextRule rule) {
  const YamlNode* node = Scalar(key, "text", false);
  return node == nullptr ? std::string(fallback) : CheckedText(*node, rule);
}

namespace {

absl::StatusOr<std::string> ParseName(absl::string_view text) {
  if (IsName(text)) return std::string(text);
  return absl::InvalidArgumentError(absl::StrCat(Quoted(text), " is not allowed as a name"));
}

}  // namespace

std::string Section::RequiredName(absl::string_view key) {
  return Parsed<std::string>(key, kNameForm, std::nullopt, ParseName);
}

std::string Section::OptionalName(absl::string_view key, absl::string_view fallback) {
  return Parsed<std::string>(key, kNameForm, std::string(fallback), ParseName);
}

std::string Section::RequiredPath(absl::string_view key) {
  const std::string path = RequiredString(key, {1, 4096});
  return path.empty() ? path : io::ResolvePath(*folder_, path);
}

std::string Section::OptionalPath(absl::string_view key, absl::string_view fallback) {
  if (!has(key)) {
    OptionalString(key, fallback);
    return std::string(fallback);
  }
  return RequiredPath(key);
}

absl::Duration Section::RequiredDuration(absl::string_view key, Range<absl::Duration> range) {
  return Parsed<absl::Duration>(key, kDurationForm, std::nullopt,
                                [&](absl::string_view text) { return DurationIn(text, range); });
}

absl::Duration Section::OptionalDuration(absl::string_view key, absl::Duration fallback,
                                         Range<absl::Duration> range) {
  return Parsed<absl::Duration>(key, kDurationForm, fallback,
                                [&](absl::string_view text) { return DurationIn(text, range); });
}

std::uint64_t Section::RequiredByteSize(absl::string_view key, Range<std::uint64_t> range) {
  return Parsed<std::uint64_t>(key, kSizeForm, std::nullopt,
                               [&](absl::string_view text) { return SizeIn(text, range); });
}

std::uint64_t Section::OptionalByteSize(absl::string_view key, std::uint64_t fallback,
                                        Range<std::uint64_t> range) {
  return Parsed<std::uint64_t>(key, kSizeForm, fallback,
                               [&](absl::string_view text) { return SizeIn(text, range); });
}

std::uint64_t Section::RequiredBitRate(absl::string_view key, Range<std::uint64_t> range) {
  return Parsed<std::uint64_t>(key, kRateForm, std::nullopt,
                               [&](absl::string_view text) { return RateIn(text, range); });
}

std::uint64_t Section::OptionalBitRate(absl::string_view key, std::uint64_t fallback,
                                       Range<std::uint64_t> range) {
  return Parsed<std::uint64_t>(key, kRateForm, fallback,
                               [&](absl::string_view text) { return RateIn(text, range); });
}

std::int64_t Section::RequiredInteger(absl::string_view key, Range<std::int64_t> range) {
  return Parsed<std::int64_t>(key, IntegerForm(range), std::nullopt,
                              [&](absl::string_view text) { return IntegerIn(text, range); });
}

std::int64_t Section::OptionalInteger(absl::string_view key, std::int64_t fallback,
                                      Range<std::int64_t> range) {
  return Parsed<std::int64_t>(key, IntegerForm(range), fallback,
                              [&](absl::string_view text) { return IntegerIn(text, range); });
}

bool Section::OptionalBool(absl::string_view key, bool fallback) {
  const YamlNode* node = Scalar(key, "true or false", false);
  if (node == nullptr) return fallback;
  if (node->plain && node->scalar == "true") return true;
  if (node->plain && node->scalar == "false") return false;
  Report(*node, absl::StrCat(Quoted(node->scalar), " is not a yes-or-no value"), "true or false",
         "write it without quotes");
  return fallback;
}

TimeOfDay Section::RequiredTimeOfDay(absl::string_view key) {
  return Parsed<TimeOfDay>(key, "a time such as \"18:15\"", std::nullopt, ParseTimeOfDay);
}

TimeOfDay Section::OptionalTimeOfDay(absl::string_view key, TimeOfDay fallback) {
  return Parsed<TimeOfDay>(key, "a time such as \"18:15\"", fallback, ParseTimeOfDay);
}

absl::TimeZone Section::RequiredTimeZone(absl::string_view key) {
  return Parsed<absl::TimeZone>(key, "an IANA time zone such as Asia/Karachi", std::nullopt,
                                ParseTimeZone);
}

absl::TimeZone Section::OptionalTimeZone(absl::string_view key, absl::TimeZone fallback) {
  return Parsed<absl::TimeZone>(key, "an IANA time zone such as Asia/Karachi", fallback,
                                ParseTimeZone);
}

Address Section::RequiredAddress(absl::string_view key) {
  return Parsed<Address>(key, kAddressForm, std::nullopt, ParseAddress);
}

std::optional<Address> Section::OptionalAddress(absl::string_view key) {
  const Address none;
  Address address = Parsed<Address>(key, kAddressForm, none, ParseAddress);
  if (address == none) return std::nullopt;
  return address;
}

std::string Section::RequiredTarget(absl::string_view key) {
  return Parsed<std::string>(key, kTargetForm, std::nullopt,
                             [](absl::string_view text) -> absl::StatusOr<std::string> {
                               NS_RETURN_IF_ERROR(ParseTarget(text).status());
                               return std::string(text);
                             });
}

SecretSource Section::RequiredSecret(absl::string_view key) { return SecretAt(key, true); }
SecretSource Section::OptionalSecret(absl::string_view key) { return SecretAt(key, false); }

SecretSource Section::SecretAt(absl::string_view key, bool required) {
  const std::string file_key = absl::StrCat(key, "_file");
  const std::string env_key = absl::StrCat(key, "_env");
  SecretSource source;
  source.key = KeyPath(key);
  source.position = position_;
  const std::string fix = absl::StrCat("put it in a file of mode 0600 and name that as ", file_key);
  if (has(key)) {
    Lookup(key, "", false);
    Fail(key, "a secret does not belong in this file", absl::StrCat(file_key, " or ", env_key),
         fix);
    return source;
  }
  source.file = OptionalPath(file_key, "");
  source.environment = OptionalString(env_key, "");
  if (has(file_key) && has(env_key)) {
    Fail(env_key, absl::StrCat("is given as well as ", file_key), "one of the two", "remove one");
  } else if (required && !has(file_key) && !has(env_key)) {
    Fail(file_key, "is missing", "the path of a file that holds the secret", fix);
  }
  return source;
}

std::optional<std::size_t> Section::EnumIndex(absl::string_view key,
                                              const std::vector<std::string>& words,
                                              bool required) {
  const std::string expected = absl::StrCat("one of ", absl::StrJoin(words, ", "));
  const YamlNode* node = Scalar(key, expected, required);
  if (node == nullptr) return std::nullopt;
  const auto at = std::find(words.begin(), words.end(), node->scalar);
  if (at != words.end()) return static_cast<std::size_t>(at - words.begin());
  const std::string closest = ClosestWord(node->scalar, words);
  Report(*node, absl::StrCat(Quoted(node->scalar), " is not known"), expected,
         closest.empty() ? "" : absl::StrCat("did you mean ", closest, "?"));
  return std::nullopt;
}

YamlNode* Section::ListNode(absl::string_view key, absl::string_view expected, bool required,
                            std::size_t max_items) {
  YamlNode* node = Lookup(key, expected, required);
  if (node == nullptr) return nullptr;
  if (node->kind != YamlNode::Kind::kSequence) {
    Report(*node, KindWord(*node), expected, "put it in brackets: [a, b]");
    return nullptr;
  }
  if (node->items.size() > max_items) {
    Report(*node, absl::StrCat("has ", node->items.size(), " items"),
           absl::StrCat("at most ", max_items));
  }
  if (required && node->items.empty()) Report(*node, "is an empty list", expected);
  return node;
}

std::vector<std::string> Section::TextList(absl::string_view key, TextRule rule, bool required,
                                           std::size_t max_items) {
  std::vector<std::string> texts;
  YamlNode* node = ListNode(key, "a list of texts", required, max_items);
  if (node == nullptr) return texts;
  for (const auto& item : node->items) {
    item->read = true;
    if (item->kind != YamlNode::Kind::kScalar) {
      Report(*item, KindWord(*item), "text");
      continue;
    }
    texts.push_back(CheckedText(*item, rule));
  }
  return texts;
}

std::vector<std::string> Section::OptionalStringList(absl::string_view key, TextRule rule,
                                                     std::size_t max_items) {
  return TextList(key, rule, false, max_items);
}

std::vector<std::string> Section::RequiredStringList(absl::string_view key, TextRule rule,
                                                     std::size_t max_items) {
  return TextList(key, rule, true, max_items);
}

std::vector<std::string> Section::NameList(absl::string_view key, bool required) {
  std::vector<std::string> names = TextList(key, {}, required, 10000);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (IsName(names[i]) || names[i].empty()) continue;
    Fail(key, absl::StrCat(Quoted(names[i]), " is not allowed as a name"), kNameForm);
  }
  return names;
}

std::vector<std::string> Section::RequiredNameList(absl::string_view key) {
  return NameList(key, true);
}

std::vector<std::string> Section::OptionalNameList(absl::string_view key) {
  return NameList(key, false);
}

std::vector<std::string> Section::NameListOrWord(absl::string_view key, absl::string_view word) {
  const std::string expected = absl::StrCat(word, ", or a list of names");
  const YamlNode* node = Lookup(key, expected, false);
  if (node == nullptr) return {};
  if (node->kind != YamlNode::Kind::kScalar) return NameList(key, true);
  if (node->scalar != word) {
    Report(*node, Quoted(node->scalar), expected, "put names in brackets: [a, b]");
  }
  return {};
}

std::vector<std::int64_t> Section::OptionalIntegerList(absl::string_view key,
                                                       Range<std::int64_t> range,
                                                       std::size_t max_items) {
  std::vector<std::int64_t> numbers;
  YamlNode* node = ListNode(key, "a list of whole numbers", false, max_items);
  if (node == nullptr) return numbers;
  for (const auto& item : node->items) {
    item->read = true;
    if (item->kind != YamlNode::Kind::kScalar) {
      Report(*item, KindWord(*item), IntegerForm(range));
      continue;
    }
    const absl::StatusOr<std::int64_t> number = IntegerIn(item->scalar, range);
    if (number.ok()) {
      numbers.push_back(*number);
    } else {
      Report(*item,
             absl::IsOutOfRange(number.status())
                 ? absl::StrCat(Quoted(item->scalar), " ", number.status().message())
                 : std::string(number.status().message()),
             IntegerForm(range));
    }
  }
  return numbers;
}

std::vector<Section> Section::SectionList(absl::string_view key, bool required,
                                          std::size_t max_items) {
  std::vector<Section> sections;
  YamlNode* node = ListNode(key, "a list of groups of keys", required, max_items);
  if (node == nullptr) return sections;
  for (const auto& item : node->items) {
    item->read = true;
    if (item->kind != YamlNode::Kind::kMap) {
      Report(*item, KindWord(*item), "a group of keys, such as {id: …}");
      continue;
    }
    sections.push_back(Section(*diagnostics_, *folder_, item.get(), item->path, item->position));
  }
  return sections;
}

std::vector<Section> Section::OptionalSectionList(absl::string_view key, std::size_t max_items) {
  return SectionList(key, false, max_items);
}

std::vector<Section> Section::RequiredSectionList(absl::string_view key, std::size_t max_items) {
  return SectionList(key, true, max_items);
}

Section Section::MapAt(absl::string_view key, bool required) {
  YamlNode* node = Lookup(key, "a group of keys", required);
  if (node != nullptr && node->kind != YamlNode::Kind::kMap) {
    Report(*node, KindWord(*node), "a group of keys");
    node = nullptr;
  }
  return {*diagnostics_, *folder_, node, KeyPath(key),
          node == nullptr ? position_ : node->position};
}

Section Section::RequiredSection(absl::string_view key) { return MapAt(key, true); }
Section Section::OptionalSection(absl::string_view key) { return MapAt(key, false); }

std::vector<std::pair<std::string, Section>> Section::NamedSections() {
  std::vector<std::pair<std::string, Section>> sections;
  if (node_ == nullptr) return sections;
  for (const YamlEntry& entry : node_->entries) {
    sections.emplace_back(entry.key, MapAt(entry.key, false));
  }
  return sections;
}

void UniqueIds::Add(Section& item, absl::string_view key, const std::string& id) {
  if (id.empty()) return;
  const auto [first, fresh] = first_.try_emplace(id, item.position());
  if (fresh) return;
  const int before = first->second.line;
  const int here = item.position().line;
  item.Fail(key,
            absl::StrCat(kind_, " ", Quoted(id), " is listed twice (",
                         before == here ? absl::StrCat("both on line ", here)
                                        : absl::StrCat("lines ", before, " and ", here),
                         ")"),
            "", "remove one");
}

}  // namespace netsentinel::config
