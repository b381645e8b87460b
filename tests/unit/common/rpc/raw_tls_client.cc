#include "tests/unit/common/rpc/raw_tls_client.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "common/base/check.h"

namespace netsentinel::rpc {
namespace {

template <auto kFree>
struct Free {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

std::string Failure() {
  std::array<char, 256> text{};
  ERR_error_string_n(ERR_peek_last_error(), text.data(), text.size());
  ERR_clear_error();
  return absl::StrCat("failed: ", text.data());
}

Bio Open(const std::string& path, const char* mode) {
  Bio bio(BIO_new_file(path.c_str(), mode));
  NS_CHECK(bio != nullptr, path);
  return bio;
}

}  // namespace

std::string Handshake(std::uint16_t port, const config::TlsFiles& files, int max_version) {
  // A server that refuses closes its end while we may still be writing.
  std::signal(SIGPIPE, SIG_IGN);
  const Context context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_max_proto_version(context.get(), max_version);
  NS_CHECK(SSL_CTX_load_verify_file(context.get(), files.ca.c_str()) == 1, files.ca);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (!files.cert.empty()) {
    SSL_CTX_use_certificate_chain_file(context.get(), files.cert.c_str());
    SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM);
  }
  const Bio bio(BIO_new_ssl_connect(context.get()));
  SSL* ssl = nullptr;
  BIO_get_ssl(bio.get(), &ssl);
  // gRPC takes no connection without the HTTP/2 protocol name.
  constexpr std::array<unsigned char, 3> kHttp2 = {2, 'h', '2'};
  SSL_set_alpn_protos(ssl, kHttp2.data(), kHttp2.size());
  BIO_set_conn_hostname(bio.get(), absl::StrCat("127.0.0.1:", port).c_str());
  if (BIO_do_connect(bio.get()) != 1) return Failure();
  // With TLS 1.3 a refused client certificate shows only now.
  constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
  BIO_write(bio.get(), kPreface, 33);
  char byte = 0;
  if (BIO_read(bio.get(), &byte, 1) != 1) return Failure();
  return SSL_get_version(ssl);
}

void MakeRsa(const std::string& folder, const config::TlsFiles& files) {
  const Certificate certificate(
      PEM_read_bio_X509(Open(files.cert, "r").get(), nullptr, nullptr, nullptr));
  const Key authority(
      PEM_read_bio_PrivateKey(Open(folder + "/ca.key", "r").get(), nullptr, nullptr, nullptr));
  const Key rsa(EVP_RSA_gen(2048));
  NS_CHECK(X509_set_pubkey(certificate.get(), rsa.get()) == 1, "RSA key");
  NS_CHECK(X509_sign(certificate.get(), authority.get(), EVP_sha256()) > 0, "signature");
  PEM_write_bio_PKCS8PrivateKey(Open(files.key, "w").get(), rsa.get(), nullptr, nullptr, 0, nullptr,
                                nullptr);
  PEM_write_bio_X509(Open(files.cert, "w").get(), certificate.get());
}

}  // namespace netsentinel::rpc
