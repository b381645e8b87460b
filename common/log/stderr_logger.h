#pragma once

#include <memory>

#include "common/base/clock.h"
#include "common/log/format.h"
#include "common/log/logger.h"

namespace netsentinel::log {

struct StderrOptions {
  Format format = Format::kLogfmt;
  Level level = Level::kInfo;  // events below it are dropped
};

// One line an event on standard error, written before the call returns. Thread-safe.
class StderrLogger : public Logger {
 public:
  // From the next event on; also while other threads log.
  virtual void Change(StderrOptions options) = 0;
};

// `clock` must outlive it.
std::unique_ptr<StderrLogger> MakeStderrLogger(const base::Clock& clock, StderrOptions options);

}  // namespace netsentinel::log
