#include "common/http/connection_table.h"

#include <algorithm>
#include <cstring>
#include <tuple>
#include <utility>

namespace netsentinel::http {
namespace {

constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr std::size_t kNetworkBytes = 8;

ConnectionTable::Limits Sane(ConnectionTable::Limits limits) {
  limits.total = std::max<std::size_t>(limits.total, 1);
  limits.reserved = std::min(limits.reserved, limits.total - 1);
  limits.per_address = std::clamp<std::size_t>(limits.per_address, 1, limits.total);
  return limits;
}

}  // namespace

ConnectionTable::ConnectionTable(const Limits& limits) : limits_(Sane(limits)) {}

std::vector<ConnectionTable::Id> ConnectionTable::Add(Id id, std::string address) {
  places_[id] = {.address = address, .waiting = true, .since = ++turn_};
  std::vector<Id> lost;
  const auto lose = [&](const std::string* of) {
    const Id slowest = Slowest(of, id);
    if (slowest == 0) return false;
    places_.erase(slowest);
    lost.push_back(slowest);
    return true;
  };
  while (Of(address) > limits_.per_address && lose(&address)) {
  }
  while (places_.size() > limits_.total && lose(nullptr)) {
  }
  while (Waiting() > limits_.total - limits_.reserved && lose(nullptr)) {
  }
  return lost;
}

void ConnectionTable::Enter(Id id, bool waiting) {
  const auto place = places_.find(id);
  if (place == places_.end()) return;
  place->second.waiting = waiting;
  place->second.since = ++turn_;
}

ConnectionTable::Id ConnectionTable::TakeSlowest() {
  const Id slowest = Slowest(nullptr, 0);
  places_.erase(slowest);
  return slowest;
}

std::size_t ConnectionTable::Waiting() const {
  return static_cast<std::size_t>(std::count_if(
      places_.begin(), places_.end(), [](const auto& entry) { return entry.second.waiting; }));
}

std::size_t ConnectionTable::Of(const std::string& address) const {
  return static_cast<std::size_t>(
      std::count_if(places_.begin(), places_.end(),
                    [&](const auto& entry) { return entry.second.address == address; }));
}

ConnectionTable::Id ConnectionTable::Slowest(const std::string* address, Id spared) const {
  std::map<std::string, std::size_t> crowds;
  for (const auto& [id, place] : places_) ++crowds[place.address];
  Id slowest = 0;
  // Less is slower.
  using Order = std::tuple<bool, std::size_t, std::uint64_t>;
  Order order;
  for (const auto& [id, place] : places_) {
    if (id == spared || (address != nullptr && place.address != *address)) continue;
    const Order own{!place.waiting, places_.size() - crowds[place.address], place.since};
    if (slowest == 0 || own < order) {
      slowest = id;
      order = own;
    }
  }
  return slowest;
}

std::string AddressGroup(const unsigned char* bytes, std::size_t size) {
  const auto* text = reinterpret_cast<const char*>(bytes);
  if (size <= kNetworkBytes) return std::string(text, size);
  if (size > sizeof(kMapped) && std::memcmp(bytes, kMapped, sizeof(kMapped)) == 0) {
    return std::string(text + sizeof(kMapped), size - sizeof(kMapped));
  }
  return std::string(text, kNetworkBytes);
}

}  // namespace netsentinel::http
