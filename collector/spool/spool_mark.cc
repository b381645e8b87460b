#include "collector/spool/spool_mark.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "common/base/crc32c.h"
#include "common/base/status_macros.h"
#include "common/io/files.h"

namespace netsentinel::spool {
namespace {

constexpr absl::string_view kMagic = "netsentinel-spool-mark-1";
constexpr std::size_t kMaxMarkBytes = 4096;

}  // namespace

std::string FormatMark(const SpoolMark& mark) {
  const std::string body = absl::StrCat(kMagic, " ", absl::BytesToHexString(mark.spool_uuid), " ",
                                        mark.reserved_sequence);
  return absl::StrFormat("%s %08x\n", body, base::Crc32c(body));
}

std::optional<SpoolMark> ParseMark(absl::string_view text) {
  if (!absl::ConsumeSuffix(&text, "\n")) return std::nullopt;
  const std::vector<absl::string_view> words = absl::StrSplit(text, ' ');
  if (words.size() != 4 || words[0] != kMagic || words[1].size() != 32) return std::nullopt;
  const absl::string_view body = text.substr(0, text.size() - words[3].size() - 1);
  if (words[3] != absl::StrFormat("%08x", base::Crc32c(body))) return std::nullopt;
  SpoolMark mark;
  mark.spool_uuid = absl::HexStringToBytes(words[1]);
  if (!absl::SimpleAtoi(words[2], &mark.reserved_sequence)) return std::nullopt;
  return mark;
}

absl::StatusOr<std::optional<SpoolMark>> ReadMark(const std::string& path) {
  const absl::StatusOr<std::string> text = io::ReadFile(path, kMaxMarkBytes);
  if (absl::IsNotFound(text.status())) return std::nullopt;
  NS_RETURN_IF_ERROR(text.status());
  return ParseMark(*text);
}

absl::Status WriteMark(const std::string& path, const SpoolMark& mark) {
  return io::WriteFileDurably(path, FormatMark(mark), 0600);
}

}  // namespace netsentinel::spool
