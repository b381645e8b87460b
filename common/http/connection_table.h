#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace netsentinel::http {

// Who keeps a place when a server is crowded. The newest connection always gets one: whoever takes
// longest loses his, among those of the same address first. So clients that open connections and
// say nothing, however many and however often, push out one another and no probe. Pure. One thread.
class ConnectionTable {
 public:
  struct Limits {
    std::size_t total = 128;
    // Places that only requests that have come in whole may have.
    std::size_t reserved = 16;
    std::size_t per_address = 32;
  };
  using Id = std::uint64_t;

  explicit ConnectionTable(const Limits& limits);

  // A new connection, which waits for its request; `address` as AddressGroup gives it. Gives those
  // that lose their places to it, which are forgotten.
  std::vector<Id> Add(Id id, std::string address);
  // It waits for a request, from now on, or its request has come in whole and is being answered.
  // Nothing for one that is not known any more.
  void Waits(Id id) { Enter(id, /*waiting=*/true); }
  void Answers(Id id) { Enter(id, /*waiting=*/false); }
  void Remove(Id id) { places_.erase(id); }
  // The one that loses its place when there are no descriptors left; forgotten. 0: there is none.
  Id TakeSlowest();

  std::size_t size() const { return places_.size(); }

 private:
  struct Place {
    std::string address;
    bool waiting = true;
    std::uint64_t since = 0;  // the order in which places were entered
  };
  void Enter(Id id, bool waiting);
  std::size_t Waiting() const;
  std::size_t Of(const std::string& address) const;
  // Of the address with most places (of `address` when given), those that wait first, the longest
  // there; never `spared`. 0: there is none.
  Id Slowest(const std::string* address, Id spared) const;

  const Limits limits_;
  std::map<Id, Place> places_;
  std::uint64_t turn_ = 0;
};

// What counts as one address: an IPv4 address, or the /64 that an IPv6 address lies in. `bytes` are
// its 4 or 16 bytes; an IPv4 address inside an IPv6 one is that IPv4 address.
std::string AddressGroup(const unsigned char* bytes, std::size_t size);

}  // namespace netsentinel::http
