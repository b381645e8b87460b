#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/string_view.h"

#include "collector/routeros/word_codec.h"
#include "common/base/mutex.h"

// OpenSSL's own names, so that no test needs its headers.
using SSL = struct ssl_st;
using SSL_CTX = struct ssl_ctx_st;

namespace netsentinel::test {

// A self-signed certificate with its key, both PEM.
struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
  std::string sha256_hex;  // lowercase, of the DER
};

// `subject_alt_name` as OpenSSL writes it: "IP:127.0.0.1,DNS:router.example".
TestCertificate MakeTestCertificate(const std::string& subject_alt_name);

using SentenceWords = std::vector<std::string>;

// One connection as the router's side sees it. Every wait ends after ten seconds.
class RouterConnection {
 public:
  RouterConnection(int socket, SSL* tls) : socket_(socket), tls_(tls) {}
  // Nothing when the client has gone or sent something that is no sentence.
  std::optional<SentenceWords> Read();
  void Send(const std::vector<SentenceWords>& sentences);
  void SendBytes(absl::string_view bytes);
  // SendBytes, one byte a write.
  void SendSlowly(absl::string_view bytes);
  // Answers a plain login of anybody.
  void AcceptLogin();
  // Returns when the client has closed.
  void AwaitClose();
  // All bytes that come until the client has closed; none that were read before.
  std::string ReadToEnd();

 private:
  std::optional<absl::string_view> ReadSome();
  const int socket_;
  SSL* const tls_;
  std::string buffer_;
  routeros::SentenceDecoder decoder_;
};

// The `.tag=…` word of a command, to be put into the answer.
std::string TagOf(const SentenceWords& command);

struct ScriptedRouterOptions {
  enum class Transport { kPlain, kTls, kAnonymousTls };
  Transport transport = Transport::kPlain;
  // For kTls.
  TestCertificate certificate = {};
  // Where it listens, as a number: "fe80::1%lo".
  std::string address = "127.0.0.1";
};

// A TCP server on a port the kernel chooses, which plays one script for each connection, one
// connection after the other, in a thread of its own. The connection is closed when the script
// returns.
class ScriptedRouter {
 public:
  using Script = std::function<void(RouterConnection&)>;
  ScriptedRouter(ScriptedRouterOptions options, Script script);
  explicit ScriptedRouter(Script script) : ScriptedRouter(ScriptedRouterOptions{}, script) {}
  // Ends the connection under way and waits for the thread.
  ~ScriptedRouter();
  ScriptedRouter(const ScriptedRouter&) = delete;
  ScriptedRouter& operator=(const ScriptedRouter&) = delete;

  // Takes no further connection and waits until the script under way has ended by itself, as it
  // does when the client has closed or within ten seconds: what it noted may then be looked at.
  void Join();
  std::uint16_t port() const { return port_; }
  // Connections whose script was started (with TLS: whose handshake succeeded).
  int scripts_started();

 private:
  void Serve();
  void ServeOne(int socket);

  const Script script_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  base::Mutex mutex_;
  int current_ ABSL_GUARDED_BY(mutex_) = -1;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  int started_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread thread_;
};

}  // namespace netsentinel::test
