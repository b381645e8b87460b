#include "collector/uplink/stream_end.h"

#include "absl/strings/str_cat.h"

#include "common/rpc/peer_trouble.h"

namespace netsentinel::uplink {

std::string ExplainStreamEnd(const absl::Status& status, const AggregatorNames& names) {
  if (absl::IsFailedPrecondition(status)) {
    return absl::StrCat(status.message(), "; upgrade the older of collector and aggregator");
  }
  const rpc::PeerNames peer{.what = "aggregator",
                            .target = names.target,
                            .authority_file = names.authority_file,
                            .certificate_file = names.certificate_file,
                            .authority_key = "aggregator.tls.ca",
                            .certificate_key = "aggregator.tls.cert"};
  return std::string(rpc::ExplainTrouble(status, peer).message());
}

}  // namespace netsentinel::uplink
