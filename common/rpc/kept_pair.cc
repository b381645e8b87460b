#include "common/rpc/kept_pair.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::rpc {

KeptPair::KeptPair(std::string cert, std::string key, absl::Duration refresh)
    : cert_(std::move(cert)), key_(std::move(key)), refresh_(std::max(refresh, absl::Seconds(1))) {
  if (!Take().ok()) return;
  path_ = absl::StrCat("/proc/self/fd/", kept_.get());
  watch_ = std::jthread([this](const std::stop_token& stop) { Watch(stop); });
}

KeptPair::~KeptPair() = default;

absl::Status KeptPair::Take() {
  NS_ASSIGN_OR_RETURN(const std::string chain, io::ReadFile(cert_));
  NS_ASSIGN_OR_RETURN(const base::Secret key, io::ReadSecretFile(key_));
  base::Secret text(absl::StrCat(chain, "\n", key.reveal(), "\n"));
  if (text.reveal() == text_.reveal()) return absl::OkStatus();
  io::FileDescriptor fresh(::memfd_create("netsentinel-pair", MFD_CLOEXEC));
  const std::string& bytes = text.reveal();
  if (!fresh.valid() || ::fchmod(fresh.get(), 0600) != 0 ||
      ::write(fresh.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    return absl::UnavailableError("no memory for a certificate and its key");
  }
  const std::string path = absl::StrCat("/proc/self/fd/", fresh.get());
  NS_RETURN_IF_ERROR(CheckPair(path, path));
  if (!kept_.valid()) {
    kept_ = std::move(fresh);
  } else if (::dup3(fresh.get(), kept_.get(), O_CLOEXEC) < 0) {
    // In one step: whoever opens the path has the old pair or the new one.
    return absl::UnavailableError("a new certificate and its key cannot be taken over");
  }
  text_ = std::move(text);
  return absl::OkStatus();
}

void KeptPair::Watch(const std::stop_token& stop) {
  base::MutexLock lock(mutex_);
  while (!stop.stop_requested()) {
    stopped_.wait_for(lock.native(), stop, absl::ToChronoMilliseconds(refresh_),
                      [] { return false; });
    // What does not fit is told by who watches the certificates; the old pair goes on.
    if (!stop.stop_requested()) Take().IgnoreError();
  }
}

}  // namespace netsentinel::rpc
