#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace netsentinel::test {

struct QueueReplyOptions {
  std::size_t rows = 10'000;
  // `.tag` of every sentence; empty for none.
  std::string tag = "2";
  // Only .id, name, target, bytes and packets; else everything the queue reader asks for.
  bool short_rows = false;
  std::uint64_t seed = 1;
  // Added to all counters that move: the same queues later in time. Three queues in ten move.
  std::uint64_t moved_bytes = 0;
};

// The bytes a router sends for /queue/simple/print: rows and the closing !done. The same options
// give the same bytes.
std::string MakeQueueReply(const QueueReplyOptions& options);

}  // namespace netsentinel::test
