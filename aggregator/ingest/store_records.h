#pragma once

#include <string>
#include <vector>

#include "aggregator/accounting/book.h"
#include "aggregator/store/store.h"

// Between the Book's records and the store's.
namespace netsentinel::ingest {

// A breach's id: 64 hexadecimal digits of SHA-256 over its key.
store::BreachRow ToRow(const accounting::Breach& breach);

store::FlushBatch ToBatch(const accounting::StagedFlush& flush);

// What a Book recovers from at `now_us`.
accounting::RecoveryInput ToInput(store::RecoveredState state,
                                  const std::vector<store::BreachRow>& breaches,
                                  std::int64_t now_us);

// What a Book replays.
std::vector<accounting::StoredJournal> ToReplay(std::vector<store::JournalRow> rows);

}  // namespace netsentinel::ingest
