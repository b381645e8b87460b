#include "common/log/capturing_logger.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "common/log/format.h"

namespace netsentinel::log {
namespace {

constexpr std::size_t kMaxRecords = 100000;

std::string Line(const Record& record) {
  const std::string line = FormatRecord(Format::kLogfmt, record, absl::UnixEpoch());
  return line.substr(line.find(' ') + 1);
}

}  // namespace

std::vector<Record> CapturingLogger::records() const {
  base::MutexLock lock(mutex_);
  return records_;
}

std::size_t CapturingLogger::Count(absl::string_view event) const {
  base::MutexLock lock(mutex_);
  return static_cast<std::size_t>(
      std::count_if(records_.begin(), records_.end(),
                    [&](const Record& record) { return record.event == event; }));
}

std::string CapturingLogger::Text() const {
  std::string text;
  for (const Record& record : records()) absl::StrAppend(&text, Line(record), "\n");
  return text;
}

bool CapturingLogger::WaitFor(absl::string_view event, absl::Duration timeout) const {
  base::MutexLock lock(mutex_);
  return changed_.wait_for(lock.native(), absl::ToChronoMilliseconds(timeout), [&] {
    return std::any_of(records_.begin(), records_.end(),
                       [&](const Record& record) { return record.event == event; });
  });
}

bool CapturingLogger::WaitForText(absl::string_view part, absl::Duration timeout) const {
  base::MutexLock lock(mutex_);
  return changed_.wait_for(lock.native(), absl::ToChronoMilliseconds(timeout), [&] {
    return std::any_of(records_.begin(), records_.end(),
                       [&](const Record& record) { return absl::StrContains(Line(record), part); });
  });
}

bool CapturingLogger::Enabled(Level) const { return true; }

void CapturingLogger::Write(Record record) {
  base::MutexLock lock(mutex_);
  if (records_.size() < kMaxRecords) records_.push_back(std::move(record));
  changed_.notify_all();
}

}  // namespace netsentinel::log
