#include "common/config/yaml_tree.h"

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "common/base/display_name.h"

namespace netsentinel::config {
namespace {

Position At(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }

// Builds the tree from the parser's events. After a fault that makes the rest meaningless it only
// lets the events pass.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  std::unique_ptr<YamlNode> Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    CheckAnchor(mark, anchor);
    Value(mark, YamlNode::Kind::kNull);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fault(mark, "an alias (*name) is not allowed here", "write the value out where it is used");
    Value(mark, YamlNode::Kind::kNull);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag);
    if (ExpectsKey()) {
      Key(mark, value);
      return;
    }
    if (YamlNode* node = Value(mark, YamlNode::Kind::kScalar); node != nullptr) {
      node->scalar = value;
      node->plain = tag != "!";
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag, YamlNode::Kind::kSequence);
    Open(mark, YamlNode::Kind::kSequence);
  }
  void OnSequenceEnd() override { Close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag, YamlNode::Kind::kMap);
    Open(mark, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    YamlNode* node = nullptr;  // null: inside something that is left out
    bool has_key = false;
    std::string key;
    Position key_position;
    bool drop_value = false;
  };

  void Fault(const YAML::Mark& mark, absl::string_view problem, absl::string_view fix) {
    diagnostics_.Add({At(mark),
                      levels_.empty() || levels_.back().node == nullptr ? std::string()
                                                                        : levels_.back().node->path,
                      std::string(problem), "", std::string(fix)});
  }

  void CheckAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) {
      Fault(mark, "an anchor (&name) is not allowed here", "remove it");
    }
  }

  void CheckTag(const YAML::Mark& mark, const std::string& tag,
                YamlNode::Kind kind = YamlNode::Kind::kScalar) {
    // "?" is no tag at all, "!" a quoted scalar.
    if (tag.empty() || tag == "?" || (tag == "!" && kind == YamlNode::Kind::kScalar)) return;
    Fault(mark, "a type tag (!name) is not allowed here", "remove it");
  }

  bool ExpectsKey() const {
    return !levels_.empty() && levels_.back().node != nullptr &&
           levels_.back().node->kind == YamlNode::Kind::kMap && !levels_.back().has_key;
  }

  void Key(const YAML::Mark& mark, const std::string& key) {
    Level& level = levels_.back();
    level.has_key = true;
    level.key = key;
    level.key_position = At(mark);
    level.drop_value = false;
    for (const YamlEntry& entry : level.node->entries) {
      if (entry.key != key) continue;
      diagnostics_.Add({At(mark), Join(level.node->path, key),
                        absl::StrCat("is given twice; the first is on line ", entry.position.line),
                        "", "remove one of them"});
      level.drop_value = true;
      return;
    }
  }

  static std::string Join(const std::string& path, const std::string& key) {
    const std::string shown = base::DisplayName(key);
    return path.empty() ? shown : absl::StrCat(path, ".", shown);
  }

  // Attaches a new node where the parser stands; null when it is left out.
  YamlNode* Value(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (levels_.empty()) {
      if (root_ != nullptr) return nullptr;
      root_ = std::make_unique<YamlNode>();
      root_->kind = kind;
      root_->position = At(mark);
      return root_.get();
    }
    Level& level = levels_.back();
    if (level.node == nullptr) return nullptr;
    if (++nodes_ > kMaxNodes) {
      if (nodes_ == kMaxNodes + 1) Fault(mark, "the file has too many values", "split it");
      level.has_key = false;
      return nullptr;
    }
    auto node = std::make_unique<YamlNode>();
    node->kind = kind;
    node->position = At(mark);
    YamlNode* made = node.get();
    if (level.node->kind == YamlNode::Kind::kSequence) {
      node->path = absl::StrCat(level.node->path, "[", level.node->items.size(), "]");
      level.node->items.push_back(std::move(node));
      return made;
    }
    if (!level.has_key) {
      Fault(mark, "a key must be plain text", "");
      // Its value follows and is left out with it.
      level.has_key = true;
      level.drop_value = true;
      return nullptr;
    }
    level.has_key = false;
    if (level.drop_value) return nullptr;
    node->path = Join(level.node->path, level.key);
    // The parser places what is not there at the next thing that is.
    if (kind == YamlNode::Kind::kNull) node->position = level.key_position;
    level.node->entries.push_back({level.key, level.key_position, std::move(node)});
    return made;
  }

  void Open(const YAML::Mark& mark, YamlNode::Kind kind) {
    YamlNode* node = Value(mark, kind);
    if (levels_.size() >= kMaxDepth) {
      if (node != nullptr) {
        Fault(mark, absl::StrCat("is nested deeper than ", kMaxDepth, " levels"), "");
      }
      node = nullptr;
    }
    levels_.push_back({node, false, "", {}, false});
  }

  void Close() { levels_.pop_back(); }

  Diagnostics& diagnostics_;
  std::unique_ptr<YamlNode> root_;
  std::vector<Level> levels_;
  std::size_t nodes_ = 0;
};

// What the parser's words mean to whoever wrote the file.
absl::string_view Words(absl::string_view parser) {
  if (parser == "end of sequence not found") {
    return "a list item's keys must line up, and this line begins in another column";
  }
  if (parser == "end of map not found") {
    return "the keys of a group must line up, and this line begins in another column";
  }
  if (parser == "illegal map value") {
    return "there cannot be a second \":\" here: this line is indented too deep or with a tab, or"
           " the value needs quotes";
  }
  return parser;
}

// False, with the problem reported, when the text is not one YAML document.
bool Parse(absl::string_view text, TreeBuilder& builder, Diagnostics& diagnostics) {
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) return true;
    Diagnostics ignored(diagnostics.file());
    TreeBuilder second(ignored);
    if (!parser.HandleNextDocument(second)) return true;
    const auto node = second.Take();
    diagnostics.Add({node == nullptr ? Position{} : node->position, "",
                     "the file has a second document (---)", "one document", "remove it"});
  } catch (const YAML::ParserException& error) {
    const Position at = error.mark.is_null() ? Position{} : At(error.mark);
    diagnostics.Add({at, "", absl::StrCat("this is not valid YAML: ", Words(error.msg)), "",
                     "check indentation, quotes and brackets here and just above"});
  }
  return false;
}

}  // namespace

YamlNode* YamlNode::Find(absl::string_view key) {
  for (YamlEntry& entry : entries) {
    if (entry.key == key) return entry.value.get();
  }
  return nullptr;
}

std::unique_ptr<YamlNode> ParseYaml(absl::string_view text, Diagnostics& diagnostics) {
  if (!base::IsValidUtf8(text)) {
    diagnostics.Add({{}, "", "the file is not UTF-8", "", "save it as UTF-8"});
    return nullptr;
  }
  TreeBuilder builder(diagnostics);
  if (!Parse(text, builder, diagnostics)) return nullptr;
  std::unique_ptr<YamlNode> root = builder.Take();
  if (root == nullptr) root = std::make_unique<YamlNode>();
  if (root->kind == YamlNode::Kind::kNull) {
    root->kind = YamlNode::Kind::kMap;
    root->position = {1, 1};
  }
  if (root->kind != YamlNode::Kind::kMap) {
    diagnostics.Add({root->position, "", "the file holds a single value or a list",
                     "keys and their values, such as `listen: {http: \"127.0.0.1:9101\"}`", ""});
    return nullptr;
  }
  return root;
}

}  // namespace netsentinel::config
