#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/base/random.h"
#include "tools/simulator/faults.h"
#include "tools/simulator/session.h"

namespace netsentinel::simulator {

// What the sender does after the bytes of a piece are out.
enum class After { kNothing, kStall, kClose };

// One sentence on the wire, or what a fault made of it.
struct WirePiece {
  std::string bytes;
  After after = After::kNothing;
  std::uint64_t stall_ms = 0;  // 0 with kStall: for ever
  // Places in `bytes` where a length prefix is torn, for split writes; ascending.
  std::vector<std::uint32_t> tears;
};

// Appends a word with a prefix of at least `prefix_bytes` bytes; as many as the length needs.
void AppendWireWord(std::string& out, absl::string_view word, std::uint32_t prefix_bytes);

// A sentence with its tag second or last, as the random bit says; an empty tag adds no word.
WirePiece EncodeSentence(const std::vector<std::string>& words, const std::string& tag,
                         const WireStyle& style, base::RandomSource& random);

// All pieces of a reply, its faults applied. The reply's sentences are consumed.
std::deque<WirePiece> EncodeReply(Reply& reply, const WireStyle& style, base::RandomSource& random);

}  // namespace netsentinel::simulator
