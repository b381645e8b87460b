#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace netsentinel::rpc {

// Decides which connections a server takes. A connection first is a newcomer: anybody's, counted by
// its host. Once it has shown a valid certificate it counts for its name and no more for its host,
// since loopback, NAT and containers put honest peers and strangers on one address. Pure; one
// thread.
class Admission {
 public:
  struct Limits {
    std::size_t newcomers = 512;
    std::size_t newcomers_per_host = 128;
    std::size_t peers = 4096;         // that have shown who they are, in all
    std::size_t peers_per_name = 64;  // 0: no limit for the name
  };
  using Id = std::uint64_t;
  enum class Verdict { kTaken, kNameFull, kFull, kKeptForOthers };

  explicit Admission(const Limits& limits) : limits_(limits) {}

  // A newcomer; ids grow. It is always taken, since nobody can tell a stranger from a peer yet:
  // where its host or the whole is at the limit, the oldest newcomer of the host (of the host with
  // the most) has to go: it is given, and has left.
  std::optional<Id> Enter(Id id, const std::string& host);

  // A newcomer has shown who it is. kTaken makes it a peer; at any other verdict it stays a
  // newcomer. Up to a quarter of all places is kept for names that were here before and are away: a
  // name that never was gets none of those (kKeptForOthers).
  Verdict Prove(Id id, const std::string& name);

  // A newcomer or peer has gone. Nothing for an id that is not known.
  void Leave(Id id);

  std::size_t newcomers() const { return newcomers_.size(); }
  std::size_t peers() const { return peers_.size(); }

 private:
  static constexpr std::size_t kMaxRemembered = 16384;

  struct Newcomer {
    std::string host;
    std::list<Id>::iterator place;  // in its host's list
  };
  struct Name {
    std::size_t connections = 0;
    std::list<std::string>::iterator place;  // in away_ while there is no connection
  };
  Id OldestOfTheFullest() const;

  const Limits limits_;
  std::unordered_map<Id, Newcomer> newcomers_;
  std::unordered_map<std::string, std::list<Id>> hosts_;  // oldest first
  std::unordered_map<Id, std::string> peers_;
  std::unordered_map<std::string, Name> names_;
  std::list<std::string> away_;  // known names without a connection, longest away first
};

}  // namespace netsentinel::rpc
