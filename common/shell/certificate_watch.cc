#include "common/shell/certificate_watch.h"

#include "absl/status/statusor.h"

#include "common/base/status_macros.h"
#include "common/io/files.h"
#include "common/rpc/revocation.h"
#include "common/rpc/tls_files.h"

namespace netsentinel::shell {
namespace {

constexpr absl::Duration kLookEvery = absl::Seconds(10);
constexpr absl::Duration kWarnBefore = absl::Hours(30 * 24);
constexpr absl::Duration kWarnEvery = absl::Hours(24);
constexpr std::size_t kMaxPemBytes = std::size_t{1} << 20;

absl::StatusOr<absl::Time> EndOf(const std::string& path) {
  NS_ASSIGN_OR_RETURN(const std::string pem, io::ReadFile(path, kMaxPemBytes));
  NS_ASSIGN_OR_RETURN(const rpc::CertificateFacts facts, rpc::ReadCertificate(pem));
  return facts.not_after;
}

}  // namespace

void CertificateWatch::Add(const config::Security& security) {
  if (security.insecure) return;
  base::MutexLock lock(mutex_);
  for (const std::string& path : {security.tls.cert, security.tls.ca}) {
    const auto [at, added] = files_.try_emplace(path);
    if (!added) continue;
    at->second.expiry =
        metrics_.AddGauge("netsentinel_certificate_expiry_timestamp_seconds",
                          "When the first certificate of the file ends.", {{"file", path}});
    at->second.quiet_until = clock_.MonotonicNow();
    LookAt(path, at->second);
  }
  pairs_.try_emplace(security.tls.cert, Pair{security.tls.key, clock_.MonotonicNow()});
  if (security.tls.crl.empty()) return;
  const auto [at, added] = lists_.try_emplace(security.tls.crl);
  if (!added) return;
  at->second.ca = security.tls.ca;
  at->second.revoked = metrics_.AddGauge("netsentinel_revoked_certificates",
                                         "How many certificates the revocation list refuses.",
                                         {{"file", at->first}});
  at->second.quiet_until = clock_.MonotonicNow();
  LookAtList(at->first, at->second);
}

void CertificateWatch::Look() {
  base::MutexLock lock(mutex_);
  const absl::Duration now = clock_.MonotonicNow();
  if (now < next_look_) return;
  next_look_ = now + kLookEvery;
  for (auto& [path, file] : files_) LookAt(path, file);
  for (auto& [path, pair] : pairs_) LookAtPair(path, pair);
  for (auto& [path, list] : lists_) LookAtList(path, list);
}

void CertificateWatch::LookAtPair(const std::string& path, Pair& pair) {
  const absl::Duration now = clock_.MonotonicNow();
  const absl::Status status = rpc::CheckPair(path, pair.key);
  if (status.ok()) {
    pair.quiet_until = now;
    return;
  }
  // A certificate that cannot be read is told of as such.
  if (now < pair.quiet_until || !EndOf(path).ok()) return;
  pair.quiet_until = now + kWarnEvery;
  logger_.Warn("certificate.mismatched",
               "a certificate and its key do not fit; the old ones stay in use until they do: "
               "bring both files from one `certs` command",
               {{"file", path}, {"reason", status}});
}

void CertificateWatch::LookAtList(const std::string& path, List& list) {
  const absl::StatusOr<rpc::RevocationLists> lists = rpc::LoadRevocationLists(path, list.ca);
  const absl::Duration now = clock_.MonotonicNow();
  if (lists.ok()) {
    list.revoked.Set(static_cast<double>(lists->revoked_count()));
    list.quiet_until = now;
    return;
  }
  if (now < list.quiet_until) return;
  list.quiet_until = now + kWarnEvery;
  logger_.Warn("revocation_list.unreadable",
               "a revocation list cannot be read; the last one that could be read stays in force",
               {{"file", path}, {"reason", lists.status()}});
}

void CertificateWatch::LookAt(const std::string& path, File& file) {
  const absl::StatusOr<absl::Time> end = EndOf(path);
  if (end.ok()) file.expiry.Set(static_cast<double>(absl::ToUnixSeconds(*end)));
  const absl::Duration left = end.ok() ? *end - clock_.WallNow() : absl::ZeroDuration();
  const absl::Duration now = clock_.MonotonicNow();
  if (left >= kWarnBefore) {
    file.quiet_until = now;
    return;
  }
  if (now < file.quiet_until) return;
  file.quiet_until = now + kWarnEvery;
  if (!end.ok()) {
    logger_.Warn("certificate.unreadable",
                 "a certificate in use cannot be read; new connections will fail",
                 {{"file", path}, {"reason", end.status()}});
  } else if (left < absl::ZeroDuration()) {
    logger_.Error("certificate.expired",
                  "a certificate has ended and connections fail; renew it with "
                  "`netsentinelctl certs renew NAME`, no restart is needed",
                  {{"file", path}, {"ended", *end}});
  } else {
    logger_.Warn("certificate.expiring",
                 "a certificate ends soon; renew it with `netsentinelctl certs renew NAME`, no "
                 "restart is needed",
                 {{"file", path}, {"ends", *end}, {"days_left", left / absl::Hours(24)}});
  }
}

}  // namespace netsentinel::shell
