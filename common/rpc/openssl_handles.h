#pragma once

#include <memory>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

// Owners of OpenSSL's objects.
namespace netsentinel::rpc::openssl {

template <auto kFree>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};
using Text = std::unique_ptr<BIO, Release<BIO_free>>;
using Cert = std::unique_ptr<X509, Release<X509_free>>;
using PrivateKey = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using List = std::unique_ptr<X509_CRL, Release<X509_CRL_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Release<BN_free>>;

}  // namespace netsentinel::rpc::openssl
