#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include <sys/types.h>

#include "tests/support/temp_folder.h"

namespace netsentinel::test {

// A program that runs beside the test; its standard output and error go to files. Killed, with
// SIGKILL, when it is still running at the end. One thread.
class Subprocess {
 public:
  // Runs `program` (a path, or a name on the PATH) with these arguments.
  Subprocess(const std::string& program, std::vector<std::string> arguments);
  ~Subprocess();
  Subprocess(const Subprocess&) = delete;
  Subprocess& operator=(const Subprocess&) = delete;

  void Signal(int signal) const;
  // The exit code once it has ended; 128 + n when signal n ended it; -1 when it has not ended
  // within `timeout`.
  int Wait(absl::Duration timeout = absl::Seconds(30));
  // What it has written so far.
  std::string Stdout() const;
  std::string Stderr() const;
  // Waits until Stderr() holds `part`; false after `timeout`.
  bool WaitForStderr(absl::string_view part, absl::Duration timeout = absl::Seconds(30)) const;
  pid_t pid() const { return pid_; }

 private:
  TempFolder folder_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
};

// The content of a file that another process is about to write; empty after `timeout`.
std::string WaitForFile(const std::string& path, absl::Duration timeout = absl::Seconds(30));

// {"grpc": 7443, "http": 9101} of a --ports-file, waiting for it; empty after `timeout`.
std::map<std::string, std::uint16_t> WaitForPorts(const std::string& path,
                                                  absl::Duration timeout = absl::Seconds(30));

}  // namespace netsentinel::test
