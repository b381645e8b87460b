#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "tools/simulator/arguments.h"
#include "tools/simulator/router.h"
#include "tools/simulator/session.h"
#include "tools/simulator/simulated_time.h"

namespace netsentinel::simulator {

// A print that was answered, wholly or in part.
struct SnapshotRecord {
  std::string router;
  std::uint64_t session = 0;
  Stamp begin;
  Stamp end;
  // Every byte of the reply, its !done included, went to the operating system.
  bool complete = false;
  Served served;
};

// What really happened, as JSON lines, each written out before the call returns: see
// docs/simulator.md for the format. One thread.
class TruthLog {
 public:
  // An empty path logs nothing. Appends to an existing file.
  static absl::StatusOr<std::unique_ptr<TruthLog>> Open(const std::string& path);

  void Start(const Stamp& at, std::uint64_t seed, double speed);
  void Snapshot(const SnapshotRecord& record);
  // Nothing is written for an empty list.
  void Moved(absl::string_view router, const Stamp& at, const std::vector<MovedRow>& rows);
  void Event(absl::string_view router, const Stamp& at, std::uint64_t uptime_s,
             absl::string_view verb, const Arguments& arguments);
  void Stop(const Stamp& at);
  // The first write that failed, OK while all is well.
  const absl::Status& status() const { return status_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  explicit TruthLog(std::FILE* file) : file_(file) {}
  void Write(std::string line);

  std::unique_ptr<std::FILE, Close> file_;
  absl::Status status_;
};

}  // namespace netsentinel::simulator
