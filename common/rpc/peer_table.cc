#include "common/rpc/peer_table.h"

namespace netsentinel::rpc {

void PeerTable::Put(const std::string& token, Peer peer) {
  base::MutexLock lock(mutex_);
  peers_[token] = std::move(peer);
}

void PeerTable::Retire(const std::string& token, absl::Duration now) {
  base::MutexLock lock(mutex_);
  retired_.emplace_back(now, token);
  while (!retired_.empty() &&
         (retired_.size() > kMaxRetired || now - retired_.front().first > kKeep)) {
    peers_.erase(retired_.front().second);
    retired_.pop_front();
  }
}

std::optional<PeerTable::Peer> PeerTable::Find(const std::string& token) const {
  base::MutexLock lock(mutex_);
  const auto at = peers_.find(token);
  if (at == peers_.end()) return std::nullopt;
  return at->second;
}

}  // namespace netsentinel::rpc
