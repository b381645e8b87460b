#pragma once

#include <cstddef>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/config/diagnostics.h"

namespace netsentinel::config {

inline constexpr std::size_t kMaxDepth = 16;
inline constexpr std::size_t kMaxNodes = 400000;

struct YamlEntry;

// One node of a parsed file.
struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };

  Kind kind = Kind::kNull;
  Position position;
  std::string path;    // the key path for messages; empty for the whole file
  std::string scalar;  // kScalar
  bool plain = true;   // the scalar has no quotes
  std::vector<std::unique_ptr<YamlNode>> items;  // kSequence
  std::vector<YamlEntry> entries;                // kMap, in the order of the file

  // What the program asked for; whatever nobody asked for is reported.
  bool read = false;
  std::set<std::string> known_keys;

  // The value of a key, or null.
  YamlNode* Find(absl::string_view key);
};

struct YamlEntry {
  std::string key;
  Position position;
  std::unique_ptr<YamlNode> value;
};

// Parses one YAML document. Reported as problems: syntax, duplicate keys, keys that are no plain
// text, anchors and aliases (a small file can stand for a huge one), tags, a second document,
// deeper than kMaxDepth, more than kMaxNodes. Null when the text is no single document that is a
// map; an empty text is an empty map.
std::unique_ptr<YamlNode> ParseYaml(absl::string_view text, Diagnostics& diagnostics);

}  // namespace netsentinel::config
