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

// One line an event on standard error, written before the call returns. Thread-safe; `clock` must
// outlive it.
std::unique_ptr<Logger> MakeStderrLogger(const base::Clock& clock, StderrOptions options);

}  // namespace netsentinel::log
