#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/config/diagnostics.h"
#include "common/config/section.h"

namespace netsentinel::config {

inline constexpr std::size_t kMaxConfigBytes = std::size_t{8} << 20;

// A configuration file while it is being read:
//   NS_ASSIGN_OR_RETURN(auto document, config::Document::Load(path));
//   config::Section collector = document->root().RequiredSection("collector");
//   settings.id = collector.RequiredName("id");
//   NS_RETURN_IF_ERROR(document->Finish());
// One thread.
class Document {
 public:
  // Fails when the file cannot be read, is larger than kMaxConfigBytes, or is no YAML at all;
  // everything else waits for Finish().
  static absl::StatusOr<std::unique_ptr<Document>> Load(const std::string& path);
  // `file` is the name for messages; relative paths in the text are seen from its folder.
  static absl::StatusOr<std::unique_ptr<Document>> Parse(absl::string_view text,
                                                         const std::string& file);
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  Section root();

  // Reports every key that nobody asked for, with the known key that it resembles; then OK, or
  // kInvalidArgument with one line a problem, each with file:line:column. Call it once, after
  // everything has been read.
  absl::Status Finish();

 private:
  Document(const std::string& file, std::string folder);
  void ReportUnread(const YamlNode& node);

  Diagnostics diagnostics_;
  std::string folder_;
  std::unique_ptr<YamlNode> root_;
};

}  // namespace netsentinel::config
