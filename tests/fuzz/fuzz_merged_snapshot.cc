#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "aggregator/accounting/checkpoint.h"
#include "aggregator/accounting/menu_state.h"
#include "common/counters/snapshot_codec.h"
#include "tests/fuzz/planted_bug.h"

namespace {

using namespace netsentinel::accounting;  // NOLINT: a fuzz target
namespace counters = netsentinel::counters;

constexpr std::int64_t kReceivedUs = 10'000'000;

// Stages and installs under the state's own numbers; false when the snapshot is refused.
bool TakeIn(MenuState& state, counters::Snapshot snapshot, const counters::DescriptorTable& table) {
  counters::AddedDescriptors added;
  counters::DescriptorTable numbers = state.dictionary;
  const auto renumber = [&](counters::DescriptorIndex& index) {
    const counters::QueueDescriptor& descriptor = *table.Find(index);
    const counters::DescriptorIndex before = numbers.next_index();
    index = numbers.Intern(descriptor);
    if (index == before) added.emplace_back(index, descriptor);
  };
  for (counters::QueueReading& reading : snapshot.readings) renumber(reading.descriptor);
  for (counters::MergedStep& step : snapshot.steps) {
    for (counters::QueueReading& reading : step.readings) renumber(reading.descriptor);
    for (counters::DescriptorIndex& gone : step.gone) renumber(gone);
  }
  StageInput input;
  input.snapshot = &snapshot;
  input.added = &added;
  input.received_us = kReceivedUs;
  auto staged = Stage(state, input);
  if (!staged.ok()) return false;
  Install(state, *std::move(staged));
  return true;
}

// Four queues, the last one dynamic and a child of the first.
MenuState Known() {
  counters::Snapshot snapshot;
  counters::DescriptorTable table;
  counters::SnapshotHeader& header = snapshot.header;
  header.host_boot_id = "h";
  header.begin_us = header.end_us = header.attribution_us = 1000;
  header.session_id = 1;
  header.router_uptime_s = 100;
  header.device.serial_number = "S";
  header.settings_fingerprint = 7;
  for (std::uint64_t id = 1; id <= 4; ++id) {
    counters::QueueDescriptor descriptor;
    descriptor.row_id = id;
    descriptor.name = std::string(1, static_cast<char>('a' + id - 1));
    descriptor.dynamic = id == 4;
    if (id == 4) descriptor.parent = "a";
    snapshot.readings.push_back({table.Intern(descriptor), 10, 10, 10});
  }
  MenuState state;
  if (!TakeIn(state, snapshot, table)) std::abort();
  return state;
}

// What was taken in can be stored and read back to the same bytes.
void CheckStored(const MenuState& state) {
  StateHead head;
  head.rows = static_cast<std::uint32_t>(state.rows.size());
  const auto parts = [](const StateHead& h, const MenuState& s) {
    std::vector<std::pair<std::uint32_t, std::string>> blobs;
    blobs.emplace_back(PartNumber(BlobKind::kHead, 0), EncodeStateHead(h, s));
    blobs.emplace_back(PartNumber(BlobKind::kRows, 0), EncodeStateRows(s, 0));
    blobs.emplace_back(PartNumber(BlobKind::kDictionary, 0), EncodeStateDictionary(s, 0));
    if (s.pending.has_value()) {
      blobs.emplace_back(PartNumber(BlobKind::kPending, 0), EncodeStatePending(s, 0));
    }
    return blobs;
  };
  const auto stored = parts(head, state);
  StateHead read_head;
  MenuState read;
  for (const auto& [part, blob] : stored) {
    if (!DecodeStatePart(part, blob, read_head, read).ok()) std::abort();
  }
  if (!FinishState(read_head, read).ok()) std::abort();
  if (parts(read_head, read) != stored) std::abort();
}

}  // namespace

// A snapshot as a spool keeps it, taken in where four queues are known, and once more.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MenuState known = Known();
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto decoded = counters::DecodeSelfContained(bytes);
  if (!decoded.ok()) return 0;
  MenuState state = known;
  if (!TakeIn(state, decoded->snapshot, decoded->table)) return 0;
  CheckStored(state);
  NS_PLANT_BUG_IF(!decoded->snapshot.steps.empty() && !state.disputes.empty());
  if (TakeIn(state, decoded->snapshot, decoded->table)) CheckStored(state);
  return 0;
}
