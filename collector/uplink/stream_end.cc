#include "collector/uplink/stream_end.h"

#include <algorithm>
#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace netsentinel::uplink {
namespace {

bool HoldsAny(absl::string_view text, std::initializer_list<absl::string_view> parts) {
  return std::any_of(parts.begin(), parts.end(),
                     [text](absl::string_view part) { return absl::StrContains(text, part); });
}

// gRPC tells what happened below it in its own words only.
std::string ExplainUnavailable(const std::string& words, const AggregatorNames& names) {
  const std::string low = absl::AsciiStrToLower(words);
  const std::string where = absl::StrCat("the aggregator at ", names.target);
  if (HoldsAny(low, {"unknown ca", "bad certificate", "certificate required", "certificate expired",
                     "certificate revoked", "unsupported certificate"})) {
    return absl::StrCat(where, " does not take the certificate aggregator.tls.cert ",
                        names.certificate_file,
                        ": it was issued by another authority than its own, has expired or was "
                        "revoked; issue one with netsentinelctl certs issue (",
                        words, ")");
  }
  if (HoldsAny(low, {"certificate verify failed", "certificate_verify_failed"})) {
    return absl::StrCat(where,
                        " shows a certificate that was issued by another authority than the one "
                        "in aggregator.tls.ca ",
                        names.authority_file,
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
  if (HoldsAny(low, {"connection refused"})) {
    return absl::StrCat("cannot reach ", where,
                        ": connection refused; is it running, and is this "
                        "its listen.grpc port?");
  }
  // Without gRPC's words, which change from try to try: the same trouble is told once.
  if (HoldsAny(low, {"c-ares", "dns resolution", "domain name not found", "name or service"})) {
    return absl::StrCat("cannot reach ", where,
                        ": DNS does not know the name; check its spelling and the resolver");
  }
  if (HoldsAny(low, {"failed to connect", "socket closed", "connection reset"})) {
    return absl::StrCat("cannot reach ", where, " (", words,
                        "); if it runs, its log names whom it refused and why",
                        names.certificate_file.empty()
                            ? ""
                            : absl::StrCat(": perhaps the certificate aggregator.tls.cert ",
                                           names.certificate_file, " is from another authority"));
  }
  return words;
}

}  // namespace

std::string ExplainStreamEnd(const absl::Status& status, const AggregatorNames& names) {
  const std::string words(status.message());
  switch (status.code()) {
    case absl::StatusCode::kUnavailable:
      return ExplainUnavailable(words, names);
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
      return absl::StrCat(words, "; check aggregator.tls.cert ", names.certificate_file,
                          ", or issue one with netsentinelctl certs issue");
    case absl::StatusCode::kFailedPrecondition:
      return absl::StrCat(words, "; upgrade the older of collector and aggregator");
    default:
      return words;
  }
}

}  // namespace netsentinel::uplink
