#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "aggregator/accounting/book_twins.h"
#include "aggregator/accounting/calendar.h"
#include "aggregator/accounting/ledger.h"
#include "aggregator/accounting/menu_state.h"
#include "aggregator/accounting/settings.h"
#include "common/counters/snapshot.h"

// Bytes of the state at rest: docs/journal-format.md. Every blob is a version, a body and the
// CRC-32C of both. No decoder trusts a length, a count or an index: what is not sound is kDataLoss.
namespace netsentinel::accounting {

// The most queues one part holds.
inline constexpr std::uint32_t kQueuesPerPart = 4096;
// Indices beyond this are refused: 64 M queues ever seen in one menu.
inline constexpr DescriptorIndex kMaxDescriptorIndex = 1U << 26;

// Part numbers of one device's state: a kind and a running number.
enum class BlobKind : std::uint32_t {
  kHead = 0,
  kRows = 1,
  kDictionary = 2,
  kPending = 3,
  kTombstones = 4,
  kDisputes = 5,
};
constexpr std::uint32_t PartNumber(BlobKind kind, std::uint32_t number) {
  return (static_cast<std::uint32_t>(kind) << 24) | number;
}
constexpr BlobKind KindOfPart(std::uint32_t part) { return static_cast<BlobKind>(part >> 24); }

// --- one device's state -------------------------------------------------------------------------
struct StateHead {
  std::string device_key;
  // Rows there are, holes included; checked when all parts are read.
  std::uint32_t rows = 0;
  // next_index of the dictionary, whose last entries may be gone.
  DescriptorIndex dictionary_end = 0;
  // Snapshots that the state has taken in.
  std::uint64_t snapshots = 0;
};
std::string EncodeStateHead(const StateHead& head, const MenuState& state);
std::string EncodeStateRows(const MenuState& state, std::uint32_t number);
std::string EncodeStateDictionary(const MenuState& state, std::uint32_t number);
std::string EncodeStatePending(const MenuState& state, std::uint32_t number);
// The first kQueuesPerPart tombstones are in the head, these are the ones behind them.
std::string EncodeStateTombstones(const MenuState& state, std::uint32_t number);

// Disputes in order of their rows, kQueuesPerPart a part.
std::string EncodeStateDisputes(const MenuState& state, std::uint32_t number);

// Reads the parts of one state in ascending order of their numbers into `state`, which starts
// empty.
absl::Status DecodeStatePart(std::uint32_t part, absl::string_view blob, StateHead& head,
                             MenuState& state);
// Checks the state as a whole once all parts are read, and links it.
absl::Status FinishState(const StateHead& head, MenuState& state);

// --- one partition of the ledger ----------------------------------------------------------------
// Rows under the store's numbers of their names.
struct StoredRow {
  std::uint64_t queue_id = 0;
  std::uint64_t subscriber_id = 0;
  DayRow row;
  RowExtra extra;
  UsageEvidence evidence;
};
std::string EncodeRows(const DaySpan& span, const std::vector<StoredRow>& rows);
struct DecodedRows {
  DaySpan span;
  std::vector<StoredRow> rows;
};
absl::StatusOr<DecodedRows> DecodeRows(absl::string_view blob);

// --- calendars and routers ----------------------------------------------------------------------
struct StoredCalendar {
  std::string site;
  std::vector<Calendar::Version> versions;
};
std::string EncodeCalendars(const std::vector<StoredCalendar>& calendars);
absl::StatusOr<std::vector<StoredCalendar>> DecodeCalendars(absl::string_view blob);

struct StoredRouter {
  std::int64_t open_from_us = 0;
  struct Menu {
    std::uint32_t next_ordinal = 0;
    std::uint32_t current = 0;  // ordinal + 1; 0 for none
    std::uint64_t journal_id = 0;
    TwinMark twin;
  };
  Menu menus[2];
  // As it was last configured: what it left is counted by that once it is taken out.
  std::string site;
  struct Rules {
    counters::Menu account = counters::Menu::kSimple;
    ParentsMode parents = ParentsMode::kResidue;
    std::uint64_t line_rate_bps = 0;
    std::int64_t poll_interval_us = 0;
  };
  std::optional<Rules> rules;  // none in a record that was written without them
};
std::string EncodeRouter(const StoredRouter& router);
absl::StatusOr<StoredRouter> DecodeRouter(absl::string_view blob);

// --- journal rows -------------------------------------------------------------------------------
// The row with its place among its device's snapshots and the CRC-32C of both behind it.
std::string SealJournal(std::string payload, std::uint64_t place);
struct OpenedJournal {
  absl::string_view payload;  // of the bytes that were given
  std::uint64_t place = 0;
};
absl::StatusOr<OpenedJournal> OpenJournal(absl::string_view row);

}  // namespace netsentinel::accounting
