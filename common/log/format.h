#pragma once

#include <cstddef>
#include <string>

#include "absl/time/time.h"

#include "common/log/logger.h"

namespace netsentinel::log {

enum class Format { kLogfmt, kJson };

// A value longer than this is cut, which "…" shows.
inline constexpr std::size_t kMaxValueBytes = 4096;

// One line without its newline, valid UTF-8 whatever the values hold. Control characters (C0, DEL,
// C1) and bytes that are no UTF-8 are escaped, so no value can begin a line of its own:
//   logfmt: time=2026-01-01T00:00:00.000000Z level=info event=x msg="…" key=value
//   JSON:   {"time":"…","level":"info","event":"x","msg":"…","key":"value"}
std::string FormatRecord(Format format, const Record& record, absl::Time time);

}  // namespace netsentinel::log
