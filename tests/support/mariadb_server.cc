#include "tests/support/mariadb_server.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <iterator>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace netsentinel::test {
namespace {

constexpr int kStartSeconds = 60;

std::string Find(const std::vector<std::string>& candidates) {
  for (const std::string& path : candidates) {
    if (::access(path.c_str(), X_OK) == 0) return path;
  }
  return "";
}

// Starts a program with its output in `log`; -1 on failure.
pid_t Spawn(const std::vector<std::string>& arguments, const std::string& log) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments)
    pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  // Goes with the test, however that ends.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  ::execv(pointers[0], pointers.data());
  ::_exit(127);
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

std::string Tail(const std::string& path) {
  std::ifstream file(path);
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

std::uint16_t FreePort() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), size);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  ::close(listener);
  return ntohs(address.sin_port);
}

bool Accepts(std::uint16_t port) {
  const int connection = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool accepted =
      ::connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  ::close(connection);
  return accepted;
}

}  // namespace

absl::StatusOr<std::unique_ptr<MariaDbServer>> MariaDbServer::Start(Flushing flushing) {
  std::unique_ptr<MariaDbServer> server(new MariaDbServer());
  server->flushing_ = flushing;
  const std::string install = Find({"/usr/bin/mariadb-install-db"});
  if (install.empty()) {
    return absl::FailedPreconditionError("mariadb-install-db is missing: install mariadb-server");
  }
  const std::string& folder = server->folder_.path();
  server->socket_path_ = folder + "/sock";
  const std::string log = folder + "/log";
  const int result =
      WaitFor(Spawn({install, "--no-defaults", "--user=root", "--datadir=" + folder + "/data",
                     "--auth-root-authentication-method=normal", "--skip-test-db"},
                    log));
  if (result != 0) {
    return absl::FailedPreconditionError(absl::StrCat("mariadb-install-db: ", Tail(log)));
  }
  // Another program may take the port between its choice and the start.
  absl::Status status;
  for (int attempt = 0; attempt < 5; ++attempt) {
    server->port_ = FreePort();
    status = server->Launch();
    if (status.ok()) return server;
  }
  return status;
}

absl::Status MariaDbServer::Launch() {
  const std::string program = Find({"/usr/sbin/mariadbd", "/usr/libexec/mariadbd"});
  if (program.empty()) {
    return absl::FailedPreconditionError("mariadbd is missing: install mariadb-server");
  }
  const std::string log = folder_.path() + "/log";
  std::vector<std::string> arguments = {program,
                                        "--no-defaults",
                                        "--user=root",
                                        "--datadir=" + folder_.path() + "/data",
                                        "--bind-address=127.0.0.1",
                                        absl::StrCat("--port=", port_),
                                        "--socket=" + socket_path_,
                                        "--innodb-buffer-pool-size=256M",
                                        "--innodb-log-file-size=256M"};
  if (flushing_ == Flushing::kFast) {
    arguments.push_back("--innodb-flush-method=nosync");
    arguments.push_back("--debug-no-sync");
  }
  pid_ = Spawn(arguments, log);
  if (pid_ < 0) return absl::FailedPreconditionError("cannot fork");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(kStartSeconds);
  while (std::chrono::steady_clock::now() < deadline) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return absl::FailedPreconditionError(absl::StrCat("mariadbd ended: ", Tail(log)));
    }
    if (Accepts(port_)) return absl::OkStatus();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  Kill();
  return absl::FailedPreconditionError(absl::StrCat("mariadbd does not answer: ", Tail(log)));
}

MariaDbServer::~MariaDbServer() { Kill(); }

void MariaDbServer::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  WaitFor(pid_);
  pid_ = -1;
}

absl::Status MariaDbServer::Restart() { return Launch(); }

void MariaDbServer::Freeze() {
  ::kill(pid_, SIGSTOP);
  // The signal is under way until the last thread stands still.
  int status = 0;
  NS_CHECK(::waitpid(pid_, &status, WUNTRACED) == pid_ && WIFSTOPPED(status), "mariadbd stops");
}
void MariaDbServer::Thaw() { ::kill(pid_, SIGCONT); }

absl::Status MariaDbServer::Run(const std::string& sql) {
  const std::string client = Find({"/usr/bin/mariadb", "/usr/bin/mysql"});
  if (client.empty()) return absl::FailedPreconditionError("the mariadb client is missing");
  const std::string log = folder_.path() + "/client-log";
  std::ofstream(log, std::ios::trunc).close();
  if (WaitFor(Spawn({client, "--no-defaults", "-uroot", "-S" + socket_path_, "-e" + sql}, log)) !=
      0) {
    return absl::InternalError(Tail(log));
  }
  return absl::OkStatus();
}

}  // namespace netsentinel::test
