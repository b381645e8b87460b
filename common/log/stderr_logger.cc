#include "common/log/stderr_logger.h"

#include <utility>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace netsentinel::log {
namespace {

class StderrLogger final : public Logger {
 public:
  StderrLogger(const base::Clock& clock, StderrOptions options)
      : clock_(clock),
        options_(options),
        spdlog_("netsentinel", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    spdlog_.set_pattern("%v");
    spdlog_.flush_on(spdlog::level::trace);
  }

 protected:
  bool Enabled(Level level) const override { return level >= options_.level; }
  void Write(Record record) override {
    spdlog_.log(spdlog::level::critical,
                spdlog::string_view_t(FormatRecord(options_.format, record, clock_.WallNow())));
  }

 private:
  const base::Clock& clock_;
  const StderrOptions options_;
  spdlog::logger spdlog_;
};

}  // namespace

std::unique_ptr<Logger> MakeStderrLogger(const base::Clock& clock, StderrOptions options) {
  return std::make_unique<StderrLogger>(clock, options);
}

}  // namespace netsentinel::log
