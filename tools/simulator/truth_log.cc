#include "tools/simulator/truth_log.h"

#include <cerrno>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "tools/simulator/json_text.h"

namespace netsentinel::simulator {
namespace {

std::string Optional(const std::optional<UpDown>& pair) {
  return pair ? absl::StrCat(pair->up, ",", pair->down) : "null,null";
}

std::string At(const Stamp& stamp) {
  return absl::StrCat("\"wall_us\":", stamp.wall_us, ",\"boot_us\":", stamp.boot_us);
}

const char* JsonBool(bool value) { return value ? "true" : "false"; }

}  // namespace

absl::StatusOr<std::unique_ptr<TruthLog>> TruthLog::Open(const std::string& path) {
  if (path.empty()) return std::unique_ptr<TruthLog>(new TruthLog(nullptr));
  std::FILE* file = std::fopen(path.c_str(), "ab");
  if (file == nullptr) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open the truth log ", path));
  }
  return std::unique_ptr<TruthLog>(new TruthLog(file));
}

void TruthLog::Write(std::string line) {
  line.push_back('\n');
  const bool written = std::fwrite(line.data(), 1, line.size(), file_.get()) == line.size() &&
                       std::fflush(file_.get()) == 0;
  if (!written && status_.ok()) status_ = absl::ErrnoToStatus(errno, "cannot write the truth log");
}

void TruthLog::Start(const Stamp& at, std::uint64_t seed, double speed) {
  if (file_ == nullptr) return;
  Write(absl::StrCat("{\"t\":\"start\",\"format\":1,", At(at), ",\"seed\":", seed,
                     ",\"speed\":", speed, "}"));
}

void TruthLog::Stop(const Stamp& at) {
  if (file_ == nullptr) return;
  Write(absl::StrCat("{\"t\":\"stop\",", At(at), "}"));
}

void TruthLog::Snapshot(const SnapshotRecord& record) {
  if (file_ == nullptr) return;
  const Served& served = record.served;
  std::string line =
      absl::StrCat("{\"t\":\"snapshot\",\"router\":", JsonString(record.router),
                   ",\"menu\":", JsonString(served.menu), ",\"session\":", record.session,
                   ",\"seq\":", served.sequence, ",\"begin_wall_us\":", record.begin.wall_us);
  absl::StrAppend(&line, ",\"begin_boot_us\":", record.begin.boot_us,
                  ",\"end_wall_us\":", record.end.wall_us, ",\"end_boot_us\":", record.end.boot_us);
  absl::StrAppend(&line, ",\"uptime_s\":", served.uptime_s, ",\"boot\":", served.boot_count,
                  ",\"complete\":", JsonBool(record.complete),
                  ",\"count_only\":", JsonBool(served.count_only), ",\"faults\":[");
  const char* separator = "";
  for (const std::string& fault : served.faults) {
    absl::StrAppend(&line, separator, JsonString(fault));
    separator = ",";
  }
  absl::StrAppend(&line, "],\"rows\":[");
  separator = "";
  for (const ServedRow& row : served.rows) {
    absl::StrAppend(&line, separator, "[\"", RouterId(row.row_id), "\",\"",
                    absl::BytesToHexString(row.name), "\",");
    absl::StrAppend(&line, Optional(row.bytes), ",", Optional(row.packets), "]");
    separator = ",";
  }
  absl::StrAppend(&line, "]}");
  Write(std::move(line));
}

void TruthLog::Moved(absl::string_view router, const Stamp& at, const std::vector<MovedRow>& rows) {
  if (file_ == nullptr || rows.empty()) return;
  std::string line =
      absl::StrCat("{\"t\":\"moved\",\"router\":", JsonString(router), ",", At(at), ",\"rows\":[");
  const char* separator = "";
  for (const MovedRow& row : rows) {
    absl::StrAppend(&line, separator, "{\"menu\":\"", counters::MenuName(row.menu), "\",\"id\":\"",
                    RouterId(row.row_id), "\",\"instance\":", row.instance);
    absl::StrAppend(&line, ",\"name\":\"", absl::BytesToHexString(row.name),
                    "\",\"up\":", row.moved.up, ",\"down\":", row.moved.down);
    absl::StrAppend(&line, ",\"uncounted_up\":", row.uncounted.up,
                    ",\"uncounted_down\":", row.uncounted.down, ",\"both\":", row.both, "}");
    separator = ",";
  }
  absl::StrAppend(&line, "]}");
  Write(std::move(line));
}

void TruthLog::Event(absl::string_view router, const Stamp& at, std::uint64_t uptime_s,
                     absl::string_view verb, const Arguments& arguments) {
  if (file_ == nullptr) return;
  std::string line = absl::StrCat("{\"t\":\"event\",\"router\":", JsonString(router), ",", At(at),
                                  ",\"uptime_s\":", uptime_s, ",\"do\":", JsonString(verb));
  absl::StrAppend(&line, ",\"args\":{");
  const char* separator = "";
  for (const auto& [key, value] : arguments.values()) {
    const bool secret = key == "password";
    absl::StrAppend(&line, separator, JsonString(key), ":", JsonString(secret ? "***" : value));
    separator = ",";
  }
  absl::StrAppend(&line, "}}");
  Write(std::move(line));
}

}  // namespace netsentinel::simulator
