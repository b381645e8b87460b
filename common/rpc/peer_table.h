#pragma once

#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/base/mutex.h"
#include "common/rpc/certificate_mark.h"
#include "common/rpc/peer_identity.h"

namespace netsentinel::rpc {

// Who is behind each connection that was handed to gRPC. The front enters a connection under a
// token that only the two ends of an in-process socket know; a call is looked up by the token of
// its connection. Thread-safe.
class PeerTable {
 public:
  struct Peer {
    PeerIdentity identity;
    std::string address;               // "10.0.0.7:51234"
    CertificateMark certificate = {};  // empty without one

    bool operator==(const Peer&) const = default;
  };

  void Put(const std::string& token, Peer peer);
  // Says that the connection is over. A call that has just begun on it still finds it: it is
  // forgotten a minute later, or when 4,096 later ones are over.
  void Retire(const std::string& token, absl::Duration now);
  std::optional<Peer> Find(const std::string& token) const;

 private:
  static constexpr absl::Duration kKeep = absl::Minutes(1);
  static constexpr std::size_t kMaxRetired = 4096;

  mutable base::Mutex mutex_;
  std::unordered_map<std::string, Peer> peers_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::pair<absl::Duration, std::string>> retired_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace netsentinel::rpc
