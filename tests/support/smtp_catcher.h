#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>
#include <vector>

#include "common/base/check.h"
#include "tests/support/child_process.h"

namespace netsentinel::test {

// A self-signed certificate for `name` and its key as cert.pem and key.pem in `folder`.
inline void MakeCertificate(const std::string& folder, const std::string& name) {
  const int code = RunProgram(
      {"/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
       "-nodes", "-days", "2", "-subj", "/CN=" + name, "-addext", "subjectAltName=DNS:" + name,
       "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"},
      folder + "/openssl.log");
  NS_CHECK(code == 0, ReadWhole(folder + "/openssl.log"));
}

struct CatcherOptions {
  // With STARTTLS from cert.pem and key.pem in the folder.
  bool tls = false;
  // Not empty: AUTH is required.
  std::string user = {};
  std::string password = {};
  // 0: the kernel chooses.
  std::uint16_t port = 0;
};

// scripts/support/smtp_catcher.py beside the test, its files in `folder`.
class SmtpCatcher {
 public:
  explicit SmtpCatcher(std::string folder, const CatcherOptions& options = {})
      : folder_(std::move(folder)), process_(Command(folder_, options), folder_ + "/catcher.out") {
    NS_CHECK(WaitUntil([&] { return std::filesystem::exists(folder_ + "/port"); }),
             ReadWhole(folder_ + "/catcher.out"));
    port_ = static_cast<std::uint16_t>(std::stoi(ReadWhole(folder_ + "/port")));
  }
  std::uint16_t port() const { return port_; }

  // Changes the answers, see the script's own words; "" makes it friendly again.
  void Script(const std::string& json) {
    const std::string path = folder_ + "/script.json";
    std::error_code ignored;
    if (json.empty()) {
      std::filesystem::remove(path, ignored);
      return;
    }
    std::ofstream(path + ".new") << json;
    std::filesystem::rename(path + ".new", path);
  }
  // The mails that were kept, in order.
  std::vector<std::string> Mails() const { return Files(".eml"); }
  // Their envelopes.
  std::vector<std::string> Envelopes() const { return Files(".json"); }
  bool WaitForMails(std::size_t count) const {
    return WaitUntil([&] { return Envelopes().size() >= count; });
  }
  // One JSON line a command.
  std::string Log() const { return ReadWhole(folder_ + "/log"); }
  bool WaitForLog(const std::string& part) const {
    return WaitUntil([&] { return Log().find(part) != std::string::npos; });
  }

 private:
  static std::vector<std::string> Command(const std::string& folder,
                                          const CatcherOptions& options) {
    std::error_code ignored;
    std::filesystem::remove(folder + "/port", ignored);
    std::vector<std::string> command = {
        "/usr/bin/python3",
        std::string(NS_SOURCE_DIR) + "/scripts/support/smtp_catcher.py",
        "--out",
        folder + "/mails",
        "--port-file",
        folder + "/port",
        "--script",
        folder + "/script.json",
        "--log",
        folder + "/log",
        "--port",
        std::to_string(options.port)};
    if (options.tls) {
      command.insert(command.end(),
                     {"--tls-cert", folder + "/cert.pem", "--tls-key", folder + "/key.pem"});
    }
    if (!options.user.empty()) {
      std::ofstream(folder + "/password") << options.password << "\n";
      command.insert(command.end(),
                     {"--user", options.user, "--password-file", folder + "/password"});
    }
    return command;
  }
  std::vector<std::string> Files(const std::string& extension) const {
    std::vector<std::string> paths;
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ + "/mails", none)) {
      const std::string name = entry.path().filename().string();
      // A mail counts when its envelope is there.
      if (name.front() == '.' || entry.path().extension() != ".json") continue;
      paths.push_back(std::filesystem::path(entry.path()).replace_extension(extension).string());
    }
    std::sort(paths.begin(), paths.end());
    std::vector<std::string> contents;
    for (const std::string& path : paths) contents.push_back(ReadWhole(path));
    return contents;
  }

  std::string folder_;
  ChildProcess process_;
  std::uint16_t port_ = 0;
};

}  // namespace netsentinel::test
