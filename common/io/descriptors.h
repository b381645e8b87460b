#pragma once

#include "absl/status/statusor.h"

namespace netsentinel::io {

// How many descriptors are kept back for the spool, the store, the delivery queue and the health
// pages: whoever opens one for each peer (connections, router sessions) keeps none whose number is
// MaxPeerDescriptor() or above. The kernel gives the lowest free number, so those above stay free
// for the rest, whatever peers do.
inline constexpr int kReservedDescriptors = 64;

// The soft limit of open files (RLIMIT_NOFILE) of this process, at most INT_MAX.
int DescriptorLimit();

// Raises the soft limit to the hard one. Gives the limit that holds then; kUnavailable when the
// kernel refuses (the old one holds).
absl::StatusOr<int> RaiseDescriptorLimit();

// DescriptorLimit() less the reserve; half of a limit below 128.
int MaxPeerDescriptor();

}  // namespace netsentinel::io
