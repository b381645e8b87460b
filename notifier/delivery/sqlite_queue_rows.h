#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/sqlite/database.h"
#include "notifier/channel/channel.h"

// The rows of the delivery queue's file, each with a checksum over what never changes in it.
namespace netsentinel::delivery {

inline constexpr std::int64_t kSchemaVersion = 3;
// The tables and indexes of an empty queue of that version.
extern const absl::string_view kQueueSchema;

struct LetterRow {
  std::int64_t row = 0;
  channel::Letter letter;
  std::string site;
  bool is_alert = false;
  // Many alerts at once; see NewLetter.
  bool bulk = false;
  std::int64_t made_us = 0;
  // The checksums fit.
  bool sound = true;
};

// Values of status: those of enum Status.
struct DeliveryRow {
  std::int64_t row = 0;
  std::string id;
  std::string letter;
  std::string channel;
  std::string recipient;
  std::int64_t status = 1;
  std::int64_t attempts = 0;
  std::int64_t claimed = 0;
  std::int64_t next_us = 0;
  std::int64_t made_us = 0;
  std::int64_t done_us = 0;
  std::string detail = {};
  // The lower one goes first: 0 alerts, 1 many alerts at once, 2 reports.
  std::int64_t priority = 0;
  // 0 while no attempt has reached a transaction.
  std::int64_t first_try_us = 0;
  // What the channel's passing clock showed then.
  std::int64_t first_passing_us = 0;
  bool sound = true;
};

struct BreachRow {
  std::int64_t row = 0;
  std::string id;
  std::string site;
  std::string alert;
  std::int64_t crossed_us = 0;
  std::int64_t accepted_us = 0;
  // The letter that tells it; nothing while it waits.
  std::optional<std::string> letter;
  bool sound = true;
};

// The columns that the Read functions take, from 0, as a file of a schema version has them. Version
// 1 is not read: it is made version 2 first.
absl::string_view LetterColumns(std::int64_t version);
absl::string_view DeliveryColumns(std::int64_t version);
absl::string_view BreachColumns(std::int64_t version);

// The current row of a SELECT of those columns. Rows of a version without checksums are sound.
LetterRow ReadLetter(const sqlite::Statement& row, std::int64_t version);
DeliveryRow ReadDelivery(const sqlite::Statement& row, std::int64_t version);
BreachRow ReadBreach(const sqlite::Statement& row, std::int64_t version);

// Stores a row with its checksum; `row` 0 takes the next number. One whose id is known is left as
// it is.
absl::Status InsertLetter(sqlite::Database& database, const LetterRow& row);
absl::Status InsertDelivery(sqlite::Database& database, const DeliveryRow& row);
absl::Status InsertBreach(sqlite::Database& database, const BreachRow& row);
// The checksum of a letter without an attachment, as a purge leaves it.
std::uint32_t EmptyAttachmentChecksum();

// Remembers that something stored is damaged and was taken out of the way.
absl::Status InsertSetAside(sqlite::Database& database, absl::string_view kind,
                            absl::string_view id, absl::string_view reason, std::int64_t at_us,
                            absl::string_view content);

// What could be read of a damaged file, and what could not.
struct Salvage {
  std::int64_t alerts = 0;
  std::int64_t letters = 0;
  std::int64_t deliveries = 0;
  // At most so many rows are lost.
  std::int64_t lost = 0;
};

// Copies every row of `from`, a file of `version`, that can be read and whose checksum fits, into
// the empty queue `to`, around damaged pages; waiting deliveries whose own row is damaged are
// copied as parked. Errors are those of writing.
absl::StatusOr<Salvage> CopyQueue(sqlite::Database& from, std::int64_t version,
                                  sqlite::Database& to, std::int64_t now_us);

}  // namespace netsentinel::delivery
