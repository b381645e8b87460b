#include "common/log/logger.h"

namespace netsentinel::log {

Field::Field(absl::string_view key, absl::Time value)
    : Field(key, Text{}, absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", value, absl::UTCTimeZone())) {}

Field::Field(absl::string_view key, const absl::Status& value)
    : Field(key, Text{},
            value.ok()
                ? "OK"
                : absl::StrCat(absl::StatusCodeToString(value.code()), ": ", value.message())) {}

void Logger::Log(Level level, absl::string_view event, absl::string_view message,
                 std::initializer_list<Field> fields) {
  if (!Enabled(level)) return;
  Write({level, std::string(event), std::string(message), fields});
}

}  // namespace netsentinel::log
