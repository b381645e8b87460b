#pragma once

#include <condition_variable>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/mutex.h"
#include "common/log/logger.h"

namespace netsentinel::log {

// Keeps what was logged, for tests; at most 100,000 events, later ones are dropped. Thread-safe.
class CapturingLogger final : public Logger {
 public:
  std::vector<Record> records() const;
  // How many events with this id there are.
  std::size_t Count(absl::string_view event) const;
  // All events as logfmt lines without their time: for searching in.
  std::string Text() const;
  // Waits until an event of this id has been logged; false after `timeout`.
  bool WaitFor(absl::string_view event, absl::Duration timeout = absl::Seconds(10)) const;
  // Waits until some line of Text() holds `part`; false after `timeout`.
  bool WaitForText(absl::string_view part, absl::Duration timeout = absl::Seconds(10)) const;

 protected:
  bool Enabled(Level level) const override;
  void Write(Record record) override;

 private:
  mutable base::Mutex mutex_;
  mutable std::condition_variable changed_;
  std::vector<Record> records_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::log
