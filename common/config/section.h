#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/config/address.h"
#include "common/config/diagnostics.h"
#include "common/config/secret_source.h"

namespace netsentinel::config {

struct YamlNode;

// Inclusive ends of what a value may be.
template <typename T>
struct Range {
  T min;
  T max;
};

// How long a text may be, in bytes.
struct TextRule {
  std::size_t min = 1;
  std::size_t max = 1024;
};

// The words that a key accepts and what each stands for.
template <typename T>
using Choices = std::vector<std::pair<std::string, T>>;

// A clock time such as 18:15.
struct TimeOfDay {
  int hour = 0;    // 0..23
  int minute = 0;  // 0..59
  bool operator==(const TimeOfDay&) const = default;
};

inline constexpr Range<absl::Duration> kAnyDuration = {absl::ZeroDuration(),
                                                       absl::Hours(24 * 3660)};
inline constexpr Range<std::uint64_t> kAnySize = {0, std::numeric_limits<std::int64_t>::max()};

class Section;

// The ids of a list's items, each of which stands once.
class UniqueIds {
 public:
  // `kind` is what the items are, such as "router".
  explicit UniqueIds(std::string kind) : kind_(std::move(kind)) {}
  // Reports at `key` of the item when `id` is that of an earlier one: router "hq-core" is listed
  // twice (lines 15 and 18); remove one. An empty id is taken for one that was reported already.
  void Add(Section& item, absl::string_view key, const std::string& id);

 private:
  const std::string kind_;
  std::map<std::string, Position> first_;
};

// One map of the file, read key by key. Every reader reports what is wrong (missing, wrong type,
// out of range) to the document and returns the default or an empty value, so that one run finds
// all mistakes; use nothing that was read before Document::Finish() said OK. Asking for a key makes
// it a known key; whatever nobody asked for is reported at the end. Copies are cheap and look at
// the same map. Valid as long as its document. One thread.
//
// A section that is absent answers every Optional… with its default, and reports each Required….
class Section {
 public:
  // Whether the section, or a key of it, is in the file. has() makes a key known, so
  // that advice on a misspelt one has it; read it as well.
  bool present() const { return node_ != nullptr; }
  bool has(absl::string_view key) const;
  // Its key path, for messages; empty for the whole file.
  const std::string& path() const { return path_; }
  Position position() const { return position_; }
  // The folder that relative paths start from: the one that the file lies in.
  const std::string& folder() const { return *folder_; }

  std::string RequiredString(absl::string_view key, TextRule rule = {});
  std::string OptionalString(absl::string_view key, absl::string_view fallback, TextRule rule = {});
  // Letters, digits, '.', '_' and '-', at most 64.
  std::string RequiredName(absl::string_view key);
  std::string OptionalName(absl::string_view key, absl::string_view fallback);
  // A file or folder; a relative one is seen from folder().
  std::string RequiredPath(absl::string_view key);
  std::string OptionalPath(absl::string_view key, absl::string_view fallback);

  // "30s", "5m", "14d": the unit is mandatory, as for sizes and rates.
  absl::Duration RequiredDuration(absl::string_view key,
                                  Range<absl::Duration> range = kAnyDuration);
  absl::Duration OptionalDuration(absl::string_view key, absl::Duration fallback,
                                  Range<absl::Duration> range = kAnyDuration);
  // "10GiB" → bytes.
  std::uint64_t RequiredByteSize(absl::string_view key, Range<std::uint64_t> range = kAnySize);
  std::uint64_t OptionalByteSize(absl::string_view key, std::uint64_t fallback,
                                 Range<std::uint64_t> range = kAnySize);
  // "10Gbps" → bit/s.
  std::uint64_t RequiredBitRate(absl::string_view key, Range<std::uint64_t> range = kAnySize);
  std::uint64_t OptionalBitRate(absl::string_view key, std::uint64_t fallback,
                                Range<std::uint64_t> range = kAnySize);
  std::int64_t RequiredInteger(absl::string_view key, Range<std::int64_t> range);
  std::int64_t OptionalInteger(absl::string_view key, std::int64_t fallback,
                               Range<std::int64_t> range);
  // true or false, nothing else.
  bool OptionalBool(absl::string_view key, bool fallback);
  // "HH:MM", quoted or not.
  TimeOfDay RequiredTimeOfDay(absl::string_view key);
  TimeOfDay OptionalTimeOfDay(absl::string_view key, TimeOfDay fallback);
  // An IANA name such as Asia/Karachi that this host knows.
  absl::TimeZone RequiredTimeZone(absl::string_view key);
  absl::TimeZone OptionalTimeZone(absl::string_view key, absl::TimeZone fallback);
  // HOST:PORT to listen on or to reach; port 0 lets the kernel choose where something listens.
  Address RequiredAddress(absl::string_view key);
  std::optional<Address> OptionalAddress(absl::string_view key);
  // A gRPC target, as ParseTarget checks it.
  std::string RequiredTarget(absl::string_view key);

  // `<key>_file` or `<key>_env`; the secret itself under `<key>` is refused in words.
  SecretSource RequiredSecret(absl::string_view key);
  SecretSource OptionalSecret(absl::string_view key);

  template <typename T>
  T RequiredEnum(absl::string_view key, const Choices<T>& choices) {
    return choices[EnumIndex(key, Words(choices), true).value_or(0)].second;
  }
  template <typename T>
  T OptionalEnum(absl::string_view key, const Choices<T>& choices, T fallback) {
    const std::optional<std::size_t> index = EnumIndex(key, Words(choices), false);
    return index.has_value() ? choices[*index].second : fallback;
  }

  // Lists; where optional, a missing one is empty. At most `max_items` each.
  std::vector<std::string> OptionalStringList(absl::string_view key, TextRule rule = {},
                                              std::size_t max_items = 10000);
  std::vector<std::string> RequiredStringList(absl::string_view key, TextRule rule = {},
                                              std::size_t max_items = 10000);
  std::vector<std::string> RequiredNameList(absl::string_view key);
  std::vector<std::string> OptionalNameList(absl::string_view key);
  // A list of names, or `word` for every one, which is also the default: then the list is empty.
  std::vector<std::string> NameListOrWord(absl::string_view key, absl::string_view word);
  std::vector<std::int64_t> OptionalIntegerList(absl::string_view key, Range<std::int64_t> range,
                                                std::size_t max_items = 100);
  // The list's items are maps.
  std::vector<Section> OptionalSectionList(absl::string_view key, std::size_t max_items = 20000);
  std::vector<Section> RequiredSectionList(absl::string_view key, std::size_t max_items = 20000);

  Section RequiredSection(absl::string_view key);
  Section OptionalSection(absl::string_view key);
  // The keys of this section are free words, each with a map: (word, its map), in file order.
  std::vector<std::pair<std::string, Section>> NamedSections();

  // Reports a mistake that only the caller can see, at the key's value (at the section when the key
  // is missing or empty).
  void Fail(absl::string_view key, absl::string_view problem, absl::string_view expected = "",
            absl::string_view fix = "");

 private:
  friend class Document;
  Section(Diagnostics& diagnostics, const std::string& folder, YamlNode* node, std::string path,
          Position position)
      : diagnostics_(&diagnostics),
        folder_(&folder),
        node_(node),
        path_(std::move(path)),
        position_(position) {}

  template <typename T>
  static std::vector<std::string> Words(const Choices<T>& choices) {
    std::vector<std::string> words;
    for (const auto& choice : choices) words.push_back(choice.first);
    return words;
  }

  std::string KeyPath(absl::string_view key) const;
  // The value of a key, now known and read; reports a missing one when required.
  YamlNode* Lookup(absl::string_view key, absl::string_view expected, bool required);
  // As Lookup, and reports whatever is no single value.
  const YamlNode* Scalar(absl::string_view key, absl::string_view expected, bool required);
  YamlNode* ListNode(absl::string_view key, absl::string_view expected, bool required,
                     std::size_t max_items);
  template <typename T, typename Parse>
  T Parsed(absl::string_view key, absl::string_view expected, std::optional<T> fallback,
           Parse parse);
  void Report(const YamlNode& node, absl::string_view problem, absl::string_view expected,
              absl::string_view fix = "");
  std::string CheckedText(const YamlNode& node, TextRule rule);
  std::vector<std::string> TextList(absl::string_view key, TextRule rule, bool required,
                                    std::size_t max_items);
  std::vector<std::string> NameList(absl::string_view key, bool required);
  std::vector<Section> SectionList(absl::string_view key, bool required, std::size_t max_items);
  Section MapAt(absl::string_view key, bool required);
  std::optional<std::size_t> EnumIndex(absl::string_view key, const std::vector<std::string>& words,
                                       bool required);
  SecretSource SecretAt(absl::string_view key, bool required);

  Diagnostics* diagnostics_;
  const std::string* folder_;
  YamlNode* node_;  // null when absent
  std::string path_;
  Position position_;
};

}  // namespace netsentinel::config
