#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace netsentinel::routeros {

// Why a router could not be read. The first seven are the states that collector.proto names; how
// the others map is in the comments.
enum class RouterError : std::uint8_t {
  kUnreachable = 1,      // no connection, closed, or no answer in time
  kLoginRefused = 2,     // wrong name or password, or the wrong kind of login
  kPolicyMissing = 3,    // the account lacks a policy (read, api)
  kTlsRefused = 4,       // certificate not the pinned one, not signed by the CA, or there is none
  kMenuAbsent = 5,       // this board, package set or version has no such command
  kIncompleteReply = 6,  // ended early, lacked counters, or was longer than the limits
  kProtocolError = 7,    // the bytes were not the RouterOS API
  kClosedByRouter = 8,   // !fatal: shown as unreachable
  kRefused = 9,          // any other !trap: shown as incomplete reply
};

// "login refused", "policy missing", …
absl::string_view RouterErrorName(RouterError error);

// A status that carries `error` (RouterErrorOf finds it). The code follows from it: kUnavailable
// for kUnreachable and kClosedByRouter, kUnauthenticated for kLoginRefused, kPermissionDenied for
// kPolicyMissing, kFailedPrecondition for kTlsRefused, kNotFound for kMenuAbsent, kAborted for
// kIncompleteReply and kRefused, kInvalidArgument for kProtocolError.
absl::Status RouterStatus(RouterError error, absl::string_view message);

// Nothing for OK and for statuses made elsewhere.
std::optional<RouterError> RouterErrorOf(const absl::Status& status);

// What the message of a !trap means; kRefused when it is none of the known ones. RouterOS words
// them differently from version to version, so a lowercase substring decides.
RouterError ClassifyTrap(absl::string_view message);

}  // namespace netsentinel::routeros
