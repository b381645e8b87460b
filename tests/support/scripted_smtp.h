#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"

namespace netsentinel::test {

// What one connection to a ScriptedSmtp has done.
struct SmtpSession {
  // 1 for the first connection.
  int number = 0;
  int mails = 0;
  std::string mechanism = {};
  // What was said after AUTH, decoded.
  std::vector<std::string> login = {};
  bool logged_in = false;
};

struct SmtpAnswer {
  // Without the last line break.
  std::string text;
  bool hang_up = false;
};

// An SMTP server on 127.0.0.1 that answers as a test says, one connection after the other, without
// TLS. What `script` leaves alone it answers as a friendly server does.
class ScriptedSmtp {
 public:
  struct Behaviour {
    // The words behind AUTH in EHLO; empty: no AUTH.
    std::string offers = {};
    // Whether the login is taken; called with everything that was said. Empty: PLAIN and LOGIN are.
    std::function<bool(const SmtpSession&)> accepts = nullptr;
    // What follows "334 " for a mechanism, for how many answers there are so far; nothing ends the
    // login. Empty: as PLAIN and LOGIN do.
    std::function<std::optional<std::string>(const SmtpSession&)> challenge = nullptr;
    std::string refusal = "535 5.7.8 authentication failed";
    // Asked first about each line; "." is the end of a mail.
    std::function<std::optional<SmtpAnswer>(SmtpSession&, const std::string& line)> script =
        nullptr;
  };

  explicit ScriptedSmtp(Behaviour behaviour) : behaviour_(std::move(behaviour)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    NS_CHECK(::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
    NS_CHECK(::listen(listener_, 16) == 0, "listen");
    NS_CHECK(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0, "name");
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~ScriptedSmtp() {
    stop_ = true;
    thread_.join();
    ::close(listener_);
  }
  ScriptedSmtp(const ScriptedSmtp&) = delete;
  ScriptedSmtp& operator=(const ScriptedSmtp&) = delete;

  std::uint16_t port() const { return port_; }
  // The mails that were taken, each with its lines.
  std::vector<std::string> Mails() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return mails_;
  }
  // "PLAIN", "LOGIN" …, one for each AUTH that was said.
  std::vector<std::string> Mechanisms() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return mechanisms_;
  }
  int connections() const { return connections_; }
  void Change(Behaviour behaviour) {
    std::lock_guard<std::mutex> lock(mutex_);
    behaviour_ = std::move(behaviour);
  }

 private:
  bool Readable(int fd) const {
    while (!stop_) {
      pollfd waiting = {.fd = fd, .events = POLLIN, .revents = 0};
      if (::poll(&waiting, 1, 20) > 0) return true;
    }
    return false;
  }
  void Serve() {
    while (Readable(listener_)) {
      const int fd = ::accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      SmtpSession session{.number = ++connections_};
      Talk(fd, session);
      ::close(fd);
    }
  }
  static bool Say(int fd, const std::string& text) {
    const std::string line = text + "\r\n";
    return ::send(fd, line.data(), line.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
  }
  std::optional<std::string> Line(int fd) {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      char part[4096];
      if (!Readable(fd)) return std::nullopt;
      const ssize_t size = ::recv(fd, part, sizeof(part), 0);
      if (size <= 0) return std::nullopt;
      buffer_.append(part, static_cast<std::size_t>(size));
    }
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return line;
  }
  void Talk(int fd, SmtpSession& session) {
    buffer_.clear();
    Say(fd, "220 scripted.example");
    while (const std::optional<std::string> line = Line(fd)) {
      Behaviour behaviour;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        behaviour = behaviour_;
      }
      std::optional<SmtpAnswer> answer;
      if (behaviour.script) answer = behaviour.script(session, *line);
      if (!answer.has_value()) answer = Friendly(fd, behaviour, session, *line);
      if (!answer.has_value() || (!answer->text.empty() && !Say(fd, answer->text)) ||
          answer->hang_up) {
        return;
      }
    }
  }
  std::optional<SmtpAnswer> Friendly(int fd, const Behaviour& behaviour, SmtpSession& session,
                                     const std::string& line) {
    if (absl::StartsWith(line, "EHLO")) {
      return SmtpAnswer{behaviour.offers.empty()
                            ? "250 scripted.example"
                            : absl::StrCat("250-scripted.example\r\n250 AUTH ", behaviour.offers)};
    }
    if (absl::StartsWith(line, "AUTH ")) return LogIn(fd, behaviour, session, line.substr(5));
    if (line == "QUIT") return SmtpAnswer{"221 bye", true};
    if (line == "DATA") return TakeMail(fd, behaviour, session);
    return SmtpAnswer{"250 OK"};
  }
  std::optional<SmtpAnswer> LogIn(int fd, const Behaviour& behaviour, SmtpSession& session,
                                  const std::string& words) {
    session.mechanism = words.substr(0, words.find(' '));
    session.login.clear();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      mechanisms_.push_back(session.mechanism);
    }
    while (true) {
      const std::optional<std::string> challenge =
          behaviour.challenge ? behaviour.challenge(session) : Challenge(session);
      if (!challenge.has_value()) break;
      if (!Say(fd, absl::StrCat("334 ", *challenge))) return std::nullopt;
      const std::optional<std::string> said = Line(fd);
      if (!said.has_value()) return std::nullopt;
      std::string decoded;
      absl::Base64Unescape(*said, &decoded);
      session.login.push_back(decoded);
    }
    session.logged_in = behaviour.accepts
                            ? behaviour.accepts(session)
                            : session.mechanism == "PLAIN" || session.mechanism == "LOGIN";
    return SmtpAnswer{session.logged_in ? "235 2.7.0 welcome" : behaviour.refusal};
  }
  static std::optional<std::string> Challenge(const SmtpSession& session) {
    if (session.mechanism == "LOGIN" && session.login.size() < 2) {
      return session.login.empty() ? "VXNlcm5hbWU6" : "UGFzc3dvcmQ6";
    }
    return session.login.empty() ? std::optional<std::string>("") : std::nullopt;
  }
  std::optional<SmtpAnswer> TakeMail(int fd, const Behaviour& behaviour, SmtpSession& session) {
    if (!Say(fd, "354 go on")) return std::nullopt;
    std::string mail;
    while (const std::optional<std::string> line = Line(fd)) {
      if (*line != ".") {
        absl::StrAppend(&mail, *line, "\r\n");
        continue;
      }
      std::optional<SmtpAnswer> answer;
      if (behaviour.script) answer = behaviour.script(session, ".");
      if (answer.has_value()) return answer;
      ++session.mails;
      std::lock_guard<std::mutex> lock(mutex_);
      mails_.push_back(mail);
      return SmtpAnswer{"250 2.0.0 taken"};
    }
    return std::nullopt;
  }

  mutable std::mutex mutex_;
  Behaviour behaviour_;
  std::vector<std::string> mails_;
  std::vector<std::string> mechanisms_;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stop_ = false;
  // Of the serving thread.
  std::string buffer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace netsentinel::test
