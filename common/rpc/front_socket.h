#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include <sys/socket.h>

#include "common/base/random.h"
#include "common/config/address.h"
#include "common/io/file_descriptor.h"

namespace netsentinel::rpc {

// A listening socket that does not block. 0.0.0.0 and :: both listen on all networks of both kinds
// where the host has IPv6. kUnavailable when the address is not free or not the host's.
absl::StatusOr<io::FileDescriptor> Listen(const config::Address& address);

// The port that a socket is bound to.
std::uint16_t LocalPort(int fd);

// "10.0.0.7:51234", "[2001:db8::1]:51234"; IPv4 in IPv6 is written as IPv4. `host` gets what the
// connections of one host are counted under: "10.0.0.7", and of IPv6 the network, "2001:db8::/64",
// since who has one address of it has them all.
std::string AddressText(const sockaddr_storage& address, std::string* host = nullptr);

// The two ends of a socket within this process. `ours` is bound to the abstract name `token`, 128
// random bits in hex, which the other end sees as its peer's address.
struct InProcess {
  io::FileDescriptor ours;
  io::FileDescriptor theirs;
  std::string token;
};
absl::StatusOr<InProcess> ConnectInProcess(base::RandomSource& random);

// A socket that is being connected to the port of `listening` (on loopback where that listens on
// all networks) and does not block.
absl::StatusOr<io::FileDescriptor> DialOwn(int listening);

}  // namespace netsentinel::rpc
