#include "common/config/document.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "common/config/yaml_tree.h"
#include "common/io/files.h"

namespace netsentinel::config {

Document::Document(const std::string& file, std::string folder)
    : diagnostics_(file), folder_(std::move(folder)) {}

Document::~Document() = default;

absl::StatusOr<std::unique_ptr<Document>> Document::Load(const std::string& path) {
  NS_ASSIGN_OR_RETURN(const std::string text, io::ReadFile(path, kMaxConfigBytes));
  return Parse(text, path);
}

absl::StatusOr<std::unique_ptr<Document>> Document::Parse(absl::string_view text,
                                                          const std::string& file) {
  auto document = std::unique_ptr<Document>(new Document(file, io::FolderOf(file)));
  document->root_ = ParseYaml(text, document->diagnostics_);
  if (document->root_ == nullptr) return document->diagnostics_.ToStatus();
  return document;
}

Section Document::root() { return {diagnostics_, folder_, root_.get(), "", root_->position}; }

void Document::ReportUnread(const YamlNode& node) {
  for (const auto& item : node.items) {
    if (item->read) ReportUnread(*item);
  }
  const std::vector<std::string> known(node.known_keys.begin(), node.known_keys.end());
  for (const YamlEntry& entry : node.entries) {
    if (entry.value->read) {
      ReportUnread(*entry.value);
      continue;
    }
    // A value of the wrong type was reported where it stands, and so was never looked into.
    if (known.empty()) continue;
    const std::string closest = ClosestWord(entry.key, known);
    diagnostics_.Add({entry.position, entry.value->path, "is not a known key",
                      absl::StrCat("one of ", absl::StrJoin(known, ", ")),
                      closest.empty() ? "remove it" : absl::StrCat("did you mean ", closest, "?")});
  }
}

absl::Status Document::Finish() {
  ReportUnread(*root_);
  return diagnostics_.ToStatus();
}

}  // namespace netsentinel::config
