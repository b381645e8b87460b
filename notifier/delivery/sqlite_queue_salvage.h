#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "common/sqlite/database.h"

// Taking a delivery queue's rows out of a file that is damaged, or of an older version.
namespace netsentinel::delivery {

struct Salvage {
  std::int64_t alerts = 0;
  std::int64_t letters = 0;
  std::int64_t deliveries = 0;
  // Everything could be read.
  bool whole = true;
  // Breaches whose ids are known and whose rows are gone.
  std::int64_t lost_alerts = 0;
};

// Copies every row of `from`, a file of `version` that no other connection has open, into the empty
// queue `to`. Where a table cannot be read to its end, its pages are looked through one by one for
// rows whose checksum fits. A waiting delivery whose own row is damaged is copied as parked;
// damaged alerts, and those whose rows are gone, are remembered as set aside. Errors are those of
// writing.
absl::StatusOr<Salvage> CopyQueue(sqlite::Database& from, std::int64_t version,
                                  sqlite::Database& to, std::int64_t now_us);

// Adds to `to` what the pages of a file of the current version still hold.
absl::Status CopyPages(const std::string& path, sqlite::Database& to, Salvage& salvage);

}  // namespace netsentinel::delivery
