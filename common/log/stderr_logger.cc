#include "common/log/stderr_logger.h"

#include <atomic>
#include <utility>

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace netsentinel::log {
namespace {

class SpdlogStderrLogger final : public StderrLogger {
 public:
  SpdlogStderrLogger(const base::Clock& clock, StderrOptions options)
      : clock_(clock),
        format_(options.format),
        level_(options.level),
        spdlog_("netsentinel", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    spdlog_.set_pattern("%v");
    spdlog_.flush_on(spdlog::level::trace);
  }

  void Change(StderrOptions options) override {
    format_ = options.format;
    level_ = options.level;
  }

 protected:
  bool Enabled(Level level) const override { return level >= level_.load(); }
  void Write(Record record) override {
    spdlog_.log(spdlog::level::critical,
                spdlog::string_view_t(FormatRecord(format_, record, clock_.WallNow())));
  }

 private:
  const base::Clock& clock_;
  std::atomic<Format> format_;
  std::atomic<Level> level_;
  spdlog::logger spdlog_;
};

}  // namespace

std::unique_ptr<StderrLogger> MakeStderrLogger(const base::Clock& clock, StderrOptions options) {
  return std::make_unique<SpdlogStderrLogger>(clock, options);
}

}  // namespace netsentinel::log
