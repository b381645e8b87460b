#include "tools/simulator/faults.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace netsentinel::simulator {
namespace {

constexpr std::array<std::pair<FaultKind, const char*>, 15> kNames = {{
    {FaultKind::kControlByte, "control_byte"},
    {FaultKind::kGiantLength, "giant_length"},
    {FaultKind::kEofMidWord, "eof_mid_word"},
    {FaultKind::kEofMidReply, "eof_mid_reply"},
    {FaultKind::kStall, "stall"},
    {FaultKind::kTrapMidList, "trap_mid_list"},
    {FaultKind::kFatalMidReply, "fatal_mid_reply"},
    {FaultKind::kUnknownReply, "unknown_reply"},
    {FaultKind::kEmptySentences, "empty_sentences"},
    {FaultKind::kRowsWithoutBytes, "rows_without_bytes"},
    {FaultKind::kZeroCounters, "zero_counters"},
    {FaultKind::kDuplicateKeys, "duplicate_keys"},
    {FaultKind::kDuplicateId, "duplicate_id"},
    {FaultKind::kBadNumber, "bad_number"},
    {FaultKind::kDropRows, "drop_rows"},
}};

bool Concerns(const Fault& fault, absl::string_view menu) {
  if (fault.menu == "any") return true;
  if (fault.menu == "queue") return menu == "/queue/simple" || menu == "/queue/tree";
  return menu == fault.menu;
}

}  // namespace

const char* FaultName(FaultKind kind) {
  for (const auto& [each, name] : kNames) {
    if (each == kind) return name;
  }
  return "unknown";
}

absl::StatusOr<FaultKind> ParseFaultKind(absl::string_view name) {
  std::string known;
  for (const auto& [kind, each] : kNames) {
    if (name == each) return kind;
    absl::StrAppend(&known, known.empty() ? "" : ", ", each);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("there is no fault \"", name, "\"; give one of ", known));
}

void FaultSet::Clear(FaultKind kind) {
  std::erase_if(faults_, [kind](const Fault& fault) { return fault.kind == kind; });
}

std::vector<Fault> FaultSet::Take(absl::string_view menu) {
  std::vector<Fault> taken;
  for (Fault& fault : faults_) {
    if (!Concerns(fault, menu)) continue;
    taken.push_back(fault);
    if (fault.times > 0) --fault.times;
  }
  std::erase_if(faults_, [](const Fault& fault) { return fault.times == 0; });
  return taken;
}

}  // namespace netsentinel::simulator
