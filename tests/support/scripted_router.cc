#include "tests/support/scripted_router.h"

#include <array>
#include <utility>

#include "absl/strings/escaping.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/check.h"

namespace netsentinel::test {
namespace {

constexpr timeval kPatience = {.tv_sec = 10, .tv_usec = 0};
constexpr int kRsaBits = 2048;
constexpr long kDaySeconds = 24 * 3600;

std::string TakeBio(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string text(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  return text;
}

SSL_CTX* MakeContext(const ScriptedRouterOptions& options) {
  using Transport = ScriptedRouterOptions::Transport;
  if (options.transport == Transport::kPlain) return nullptr;
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  NS_CHECK(context != nullptr, "TLS");
  if (options.transport == Transport::kAnonymousTls) {
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    NS_CHECK(SSL_CTX_set_cipher_list(context, "ADH:@SECLEVEL=0") == 1, "anonymous suites");
    SSL_CTX_set_dh_auto(context, 1);
    return context;
  }
  BIO* certificate_bio = BIO_new_mem_buf(options.certificate.certificate_pem.data(), -1);
  BIO* key_bio = BIO_new_mem_buf(options.certificate.key_pem.data(), -1);
  X509* certificate = PEM_read_bio_X509(certificate_bio, nullptr, nullptr, nullptr);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  NS_CHECK(SSL_CTX_use_certificate(context, certificate) == 1, "certificate");
  NS_CHECK(SSL_CTX_use_PrivateKey(context, key) == 1, "key");
  X509_free(certificate);
  EVP_PKEY_free(key);
  BIO_free(certificate_bio);
  BIO_free(key_bio);
  return context;
}

}  // namespace

TestCertificate MakeTestCertificate(const std::string& subject_alt_name) {
  EVP_PKEY* key = EVP_RSA_gen(kRsaBits);
  X509* certificate = X509_new();
  NS_CHECK(key != nullptr && certificate != nullptr, "key");
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate), kDaySeconds);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("test router"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* extension =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, subject_alt_name.c_str());
  NS_CHECK(extension != nullptr, subject_alt_name);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  NS_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0, "sign");

  TestCertificate made;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest = {};
  unsigned int length = 0;
  X509_digest(certificate, EVP_sha256(), digest.data(), &length);
  made.sha256_hex = absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest.data()), length));
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(bio, certificate);
  made.certificate_pem = TakeBio(bio);
  bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  made.key_pem = TakeBio(bio);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

std::string TagOf(const SentenceWords& command) {
  for (const std::string& word : command) {
    if (word.rfind(".tag=", 0) == 0) return word;
  }
  return ".tag=none";
}

std::optional<absl::string_view> RouterConnection::ReadSome() {
  buffer_.resize(16 * 1024);
  const auto size = static_cast<int>(buffer_.size());
  const long count = tls_ != nullptr ? SSL_read(tls_, buffer_.data(), size)
                                     : recv(socket_, buffer_.data(), buffer_.size(), 0);
  if (count <= 0) return std::nullopt;
  return absl::string_view(buffer_.data(), static_cast<std::size_t>(count));
}

std::optional<SentenceWords> RouterConnection::Read() {
  while (true) {
    switch (decoder_.Next()) {
      case routeros::SentenceDecoder::Result::kSentence: {
        SentenceWords words;
        for (const absl::string_view word : decoder_.sentence()) words.emplace_back(word);
        return words;
      }
      case routeros::SentenceDecoder::Result::kError:
        return std::nullopt;
      case routeros::SentenceDecoder::Result::kNeedMore: {
        const std::optional<absl::string_view> bytes = ReadSome();
        if (!bytes.has_value()) return std::nullopt;
        decoder_.Feed(*bytes);
        break;
      }
    }
  }
}

void RouterConnection::SendBytes(absl::string_view bytes) {
  while (!bytes.empty()) {
    const long count = tls_ != nullptr
                           ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                           : send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void RouterConnection::SendSlowly(absl::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); ++i) SendBytes(bytes.substr(i, 1));
}

void RouterConnection::Send(const std::vector<SentenceWords>& sentences) {
  std::string bytes;
  for (const SentenceWords& words : sentences) {
    routeros::SentenceBuilder builder(bytes);
    for (const std::string& word : words) builder.Word(word);
    builder.End();
  }
  SendBytes(bytes);
}

void RouterConnection::AcceptLogin() {
  const std::optional<SentenceWords> login = Read();
  if (login.has_value()) Send({{"!done", TagOf(*login)}});
}

void RouterConnection::AwaitClose() {
  while (ReadSome().has_value()) {
  }
}

std::string RouterConnection::ReadToEnd() {
  std::string all;
  while (const std::optional<absl::string_view> bytes = ReadSome()) {
    all.append(bytes->data(), bytes->size());
  }
  return all;
}

ScriptedRouter::ScriptedRouter(ScriptedRouterOptions options, Script script)
    : script_(std::move(script)), context_(MakeContext(options)) {
  addrinfo wish = {};
  wish.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  wish.ai_socktype = SOCK_STREAM;
  addrinfo* address = nullptr;
  NS_CHECK(getaddrinfo(options.address.c_str(), "0", &wish, &address) == 0, options.address);
  listener_ = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  NS_CHECK(bind(listener_, address->ai_addr, address->ai_addrlen) == 0, options.address);
  freeaddrinfo(address);
  sockaddr_storage bound = {};
  socklen_t size = sizeof(bound);
  NS_CHECK(listen(listener_, 16) == 0, "listen");
  NS_CHECK(getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size) == 0, "port");
  // The port stands at the same place for both families.
  port_ = ntohs(reinterpret_cast<const sockaddr_in&>(bound).sin_port);
  thread_ = std::thread([this] { Serve(); });
}

void ScriptedRouter::Join() {
  shutdown(listener_, SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
}

ScriptedRouter::~ScriptedRouter() {
  {
    const base::MutexLock lock(mutex_);
    stopping_ = true;
    if (current_ >= 0) shutdown(current_, SHUT_RDWR);
  }
  Join();
  close(listener_);
  SSL_CTX_free(context_);
}

int ScriptedRouter::scripts_started() {
  const base::MutexLock lock(mutex_);
  return started_;
}

void ScriptedRouter::Serve() {
  // OpenSSL writes without MSG_NOSIGNAL, and clients may go at any time.
  sigset_t pipe_signal;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_signal, nullptr);
  while (true) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) return;
    {
      const base::MutexLock lock(mutex_);
      current_ = connection;
      if (stopping_) shutdown(connection, SHUT_RDWR);
    }
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
    setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
    ServeOne(connection);
    {
      const base::MutexLock lock(mutex_);
      current_ = -1;
    }
    close(connection);
  }
}

void ScriptedRouter::ServeOne(int socket) {
  SSL* tls = nullptr;
  if (context_ != nullptr) {
    tls = SSL_new(context_);
    SSL_set_fd(tls, socket);
    if (SSL_accept(tls) != 1) {
      SSL_free(tls);
      return;
    }
  }
  {
    const base::MutexLock lock(mutex_);
    ++started_;
  }
  RouterConnection connection(socket, tls);
  script_(connection);
  if (tls != nullptr) {
    SSL_shutdown(tls);
    SSL_free(tls);
  }
}

}  // namespace netsentinel::test
