#include "common/rpc/admission.h"

#include <algorithm>
#include <iterator>

namespace netsentinel::rpc {

std::optional<Admission::Id> Admission::Enter(Id id, const std::string& host) {
  std::optional<Id> evicted;
  const auto at = hosts_.find(host);
  if (at != hosts_.end() && at->second.size() >= limits_.newcomers_per_host) {
    evicted = at->second.front();
  } else if (newcomers_.size() >= limits_.newcomers) {
    evicted = OldestOfTheFullest();
  }
  if (evicted.has_value()) Leave(*evicted);
  std::list<Id>& line = hosts_[host];
  line.push_back(id);
  newcomers_[id] = {host, std::prev(line.end())};
  return evicted;
}

Admission::Id Admission::OldestOfTheFullest() const {
  const auto fullest =
      std::max_element(hosts_.begin(), hosts_.end(), [](const auto& left, const auto& right) {
        const std::size_t of_left = left.second.size();
        const std::size_t of_right = right.second.size();
        // Ids grow with time: of hosts with as many, the one whose oldest has been here longest.
        return of_left != of_right ? of_left < of_right
                                   : left.second.front() > right.second.front();
      });
  return fullest->second.front();
}

Admission::Verdict Admission::Prove(Id id, const std::string& name) {
  const auto known = names_.find(name);
  const bool is_known = known != names_.end();
  const std::size_t connections = is_known ? known->second.connections : 0;
  if (limits_.peers_per_name > 0 && connections >= limits_.peers_per_name) {
    return Verdict::kNameFull;
  }
  if (peers_.size() >= limits_.peers) return Verdict::kFull;
  const std::size_t kept = std::min(limits_.peers / 4, away_.size());
  if (!is_known && peers_.size() + kept >= limits_.peers) {
    return Verdict::kKeptForOthers;
  }
  Leave(id);
  Name& entry = names_[name];
  if (is_known && entry.connections == 0) away_.erase(entry.place);
  ++entry.connections;
  peers_[id] = name;
  return Verdict::kTaken;
}

void Admission::Leave(Id id) {
  if (const auto at = newcomers_.find(id); at != newcomers_.end()) {
    const auto host = hosts_.find(at->second.host);
    host->second.erase(at->second.place);
    if (host->second.empty()) hosts_.erase(host);
    newcomers_.erase(at);
    return;
  }
  const auto at = peers_.find(id);
  if (at == peers_.end()) return;
  const auto name = names_.find(at->second);
  if (--name->second.connections == 0) {
    away_.push_back(name->first);
    name->second.place = std::prev(away_.end());
    if (away_.size() > kMaxRemembered) {
      names_.erase(away_.front());
      away_.pop_front();
    }
  }
  peers_.erase(at);
}

}  // namespace netsentinel::rpc
