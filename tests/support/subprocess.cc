#include "tests/support/subprocess.h"

#include <fstream>
#include <functional>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"

namespace netsentinel::test {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// Looks every 5 ms: other processes give no event to wait for.
bool WaitUntil(absl::Duration timeout, const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!done()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace

Subprocess::Subprocess(const std::string& program, std::vector<std::string> arguments) {
  std::vector<char*> argv;
  std::string name = program;
  argv.push_back(name.data());
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  const std::string out = folder_.path() + "/stdout";
  const std::string err = folder_.path() + "/stderr";
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out.c_str(), O_CREAT | O_WRONLY, 0600);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, err.c_str(), O_CREAT | O_WRONLY, 0600);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  const int error = posix_spawnp(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  NS_CHECK(error == 0, program);
}

Subprocess::~Subprocess() {
  if (exit_code_ >= 0) return;
  Signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Subprocess::Signal(int signal) const { ::kill(pid_, signal); }

int Subprocess::Wait(absl::Duration timeout) {
  WaitUntil(timeout, [this] {
    int status = 0;
    if (exit_code_ >= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return exit_code_ >= 0;
    exit_code_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  });
  return exit_code_;
}

std::string Subprocess::Stdout() const { return Contents(folder_.path() + "/stdout"); }
std::string Subprocess::Stderr() const { return Contents(folder_.path() + "/stderr"); }

bool Subprocess::WaitForStderr(absl::string_view part, absl::Duration timeout) const {
  return WaitUntil(timeout, [&] { return absl::StrContains(Stderr(), part); });
}

std::string WaitForFile(const std::string& path, absl::Duration timeout) {
  std::string text;
  WaitUntil(timeout, [&] {
    text = Contents(path);
    return !text.empty();
  });
  return text;
}

std::map<std::string, std::uint16_t> WaitForPorts(const std::string& path, absl::Duration timeout) {
  std::map<std::string, std::uint16_t> ports;
  const std::string text = WaitForFile(path, timeout);
  for (const absl::string_view part : absl::StrSplit(text, absl::ByAnyChar("{,}\n"))) {
    const std::vector<absl::string_view> words =
        absl::StrSplit(part, absl::ByAnyChar("\": "), absl::SkipEmpty());
    std::uint32_t port = 0;
    if (words.size() == 2 && absl::SimpleAtoi(words[1], &port)) {
      ports[std::string(words[0])] = static_cast<std::uint16_t>(port);
    }
  }
  return ports;
}

}  // namespace netsentinel::test
