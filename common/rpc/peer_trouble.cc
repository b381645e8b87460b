#include "common/rpc/peer_trouble.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace netsentinel::rpc {
namespace {

bool HoldsAny(absl::string_view text, std::initializer_list<absl::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [text](absl::string_view part) { return absl::StrContains(text, part); });
}

std::string ExplainUnavailable(const std::string& words, const PeerNames& names) {
  const std::string low = absl::AsciiStrToLower(words);
  const std::string where = absl::StrCat("the ", names.what, " at ", names.target);
  if (HoldsAny(low, {"unknown ca", "bad certificate", "certificate required", "certificate expired",
                     "certificate revoked", "unsupported certificate"})) {
    return absl::StrCat(where, " does not take the certificate ", names.certificate_key, " ",
                        names.certificate_file,
                        ": it was issued by another authority than its own, has expired or was "
                        "revoked; issue one with netsentinelctl certs issue (",
                        words, ")");
  }
  if (HoldsAny(low, {"certificate verify failed", "certificate_verify_failed"})) {
    return absl::StrCat(where,
                        " shows a certificate that was issued by another authority than the one "
                        "in ",
                        names.authority_key, " ", names.authority_file,
                        ", or that is not valid today: both must come from the same netsentinelctl "
                        "certs folder (",
                        words, ")");
  }
  if (HoldsAny(low, {"hostname verification", "is not in peer certificate"})) {
    return absl::StrCat(where,
                        " shows a certificate for another name or address: dial it as it is named "
                        "there, or issue one with that --dns or --ip (",
                        words, ")");
  }
  if (HoldsAny(low, {"wrong version number", "wrong_version_number"})) {
    return absl::StrCat(where, " does not speak TLS: is this its listen.grpc port? (", words, ")");
  }
  // Without gRPC's words, which change from try to try: the same trouble is told once.
  if (HoldsAny(low, {"connection refused"})) {
    return absl::StrCat("cannot reach ", where,
                        ": connection refused; is it running, and is this "
                        "its listen.grpc port?");
  }
  if (HoldsAny(low, {"c-ares", "dns resolution", "domain name not found", "name or service"})) {
    return absl::StrCat("cannot reach ", where,
                        ": DNS does not know the name; check its spelling and the resolver");
  }
  if (HoldsAny(low, {"no route to host", "network is unreachable", "host is unreachable"})) {
    return absl::StrCat("cannot reach ", where,
                        ": no way to that network; check address and route");
  }
  if (HoldsAny(low, {"failed to connect", "socket closed", "connection reset"})) {
    return absl::StrCat("cannot reach ", where, " (", words,
                        "); if it runs, its log names whom it refused and why",
                        names.certificate_file.empty()
                            ? ""
                            : absl::StrCat(": perhaps the certificate ", names.certificate_key, " ",
                                           names.certificate_file, " is from another authority"));
  }
  return words;
}

std::string Explain(const absl::Status& status, const PeerNames& names) {
  const std::string words(status.message());
  const std::string where = absl::StrCat("the ", names.what, " at ", names.target);
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return ExplainUnavailable(words, names);
    case absl::StatusCode::kUnimplemented:
      return absl::StrCat(
          names.target, " is not an ", names.what, " of this version",
          names.other.empty()
              ? "; is it another program's port, or an older release?"
              : absl::StrCat("; is this the ", names.other, "'s port, or an older release?"));
    case absl::StatusCode::kDeadlineExceeded:
      return absl::StrCat(where, " has not answered in time (", words, ")");
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      if (names.certificate_file.empty()) break;
      return absl::StrCat(words, "; check ", names.certificate_key, " ", names.certificate_file,
                          ", or issue one with netsentinelctl certs issue");
    default:
      break;
  }
  if (!words.empty()) return words;
  return absl::StrCat(where, " refused without a reason (", absl::StatusCodeToString(status.code()),
                      "); its log may say more");
}

}  // namespace

PeerNames NamesOf(const std::string& what, const config::Peer& peer) {
  PeerNames names{.what = what, .target = peer.target};
  names.authority_key = absl::StrCat(what, ".tls.ca");
  names.certificate_key = absl::StrCat(what, ".tls.cert");
  if (peer.security.insecure) return names;
  names.authority_file = peer.security.tls.ca;
  names.certificate_file = peer.security.tls.cert;
  return names;
}

absl::Status ExplainTrouble(const absl::Status& status, const PeerNames& names) {
  return status.ok() ? status : absl::Status(status.code(), Explain(status, names));
}

}  // namespace netsentinel::rpc
