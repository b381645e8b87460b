#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::simulator {

// Ways in which one reply goes wrong. docs/simulator.md describes each.
enum class FaultKind {
  kControlByte,
  kGiantLength,
  kEofMidWord,
  kEofMidReply,
  kStall,
  kTrapMidList,
  kFatalMidReply,
  kUnknownReply,
  kEmptySentences,
  kRowsWithoutBytes,
  kZeroCounters,
  kDuplicateKeys,
  kDuplicateId,
  kBadNumber,
  kDropRows,
};

// "control_byte", "giant_length", … as the control channel spells them.
const char* FaultName(FaultKind kind);
absl::StatusOr<FaultKind> ParseFaultKind(absl::string_view name);

struct Fault {
  FaultKind kind = FaultKind::kStall;
  // Replies still to be spoilt; negative: until cleared.
  std::int64_t times = 1;
  // Which commands: "queue" (a print of a queue menu), "any", or a menu's path.
  std::string menu = "queue";
  // The fault strikes after this many sentences of the reply.
  std::uint64_t after_rows = 0;
  // kStall: milliseconds, 0 for ever. kDropRows: rows left out. kRowsWithoutBytes: every n-th row.
  std::uint64_t value = 0;
  // kBadNumber: what stands in place of `bytes`.
  std::string text = "";
};

// The faults that wait for a reply. One thread.
class FaultSet {
 public:
  void Add(Fault fault) { faults_.push_back(std::move(fault)); }
  void Clear() { faults_.clear(); }
  // Clears the faults of one kind.
  void Clear(FaultKind kind);
  // The faults that strike the reply to a print of `menu` ("/queue/simple"), each used up by one.
  std::vector<Fault> Take(absl::string_view menu);
  const std::vector<Fault>& waiting() const { return faults_; }

 private:
  std::vector<Fault> faults_;
};

// How all bytes of a router go out.
struct WireStyle {
  // At most so many bytes a write, 0 for no limit.
  std::uint32_t chunk_bytes = 0;
  std::uint32_t chunk_delay_us = 0;
  // Every write ends inside a length prefix or between a prefix and its word.
  bool split_prefix = false;
  // At least so many bytes a length prefix (1 to 5): more than needed is not minimal.
  std::uint32_t prefix_bytes = 1;
};

}  // namespace netsentinel::simulator
