#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::spool {

// The small file beside the spool that outlives a restored copy of it: which spool it was, and
// below which number every sequence may have been used.
struct SpoolMark {
  std::string spool_uuid;  // 16 bytes
  std::uint64_t reserved_sequence = 0;

  bool operator==(const SpoolMark&) const = default;
};

// One line of text closed by its CRC32C.
std::string FormatMark(const SpoolMark& mark);
// Nothing for text that is damaged or of another form.
std::optional<SpoolMark> ParseMark(absl::string_view text);

// Nothing when there is no file or it is damaged; errors only when it cannot be read now.
absl::StatusOr<std::optional<SpoolMark>> ReadMark(const std::string& path);
// Durable before it returns.
absl::Status WriteMark(const std::string& path, const SpoolMark& mark);

}  // namespace netsentinel::spool
