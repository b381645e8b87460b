#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "common/sqlite/database.h"
#include "notifier/channel/channel.h"

// The rows of the delivery queue's file, each with a checksum over what never changes in it.
namespace netsentinel::delivery {

inline constexpr std::int64_t kSchemaVersion = 3;
// A time as the file has it.
inline std::int64_t Us(absl::Time time) { return absl::ToUnixMicros(time); }
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

// The checksums of what never changes in a row.
std::uint32_t ChecksumOf(const LetterRow& row);
std::uint32_t ChecksumOf(const DeliveryRow& row);
std::uint32_t ChecksumOf(const BreachRow& row);
std::uint32_t AttachmentChecksum(const channel::Letter& letter);

// A row from its columns, which are given as a Statement gives them. Rows of a version without
// checksums are sound.
template <typename Columns>
LetterRow LetterOf(const Columns& row, std::int64_t version) {
  LetterRow out{.row = row.Int(0),
                .letter = {.id = row.Text(1),
                           .date = absl::FromUnixMicros(row.Int(10)),
                           .subject = row.Text(5),
                           .text = row.Text(6),
                           .html = row.Text(7),
                           .csv_name = row.Text(8),
                           .csv = row.Blob(9)},
                .site = row.Text(2),
                .is_alert = row.Int(3) != 0,
                .bulk = row.Int(4) != 0,
                .made_us = row.Int(11)};
  out.sound = version < kSchemaVersion ||
              (row.Int(12) == ChecksumOf(out) && row.Int(13) == AttachmentChecksum(out.letter));
  return out;
}

template <typename Columns>
DeliveryRow DeliveryOf(const Columns& row, std::int64_t version) {
  DeliveryRow out{.row = row.Int(0),
                  .id = row.Text(1),
                  .letter = row.Text(2),
                  .channel = row.Text(3),
                  .recipient = row.Text(4),
                  .status = row.Int(5),
                  .attempts = row.Int(6),
                  .claimed = row.Int(7),
                  .next_us = row.Int(8),
                  .made_us = row.Int(9),
                  .done_us = row.Int(10),
                  .detail = row.Text(11),
                  .priority = row.Int(12),
                  .first_try_us = row.Int(13),
                  .first_passing_us = row.Int(14)};
  out.sound = version < kSchemaVersion || row.Int(15) == ChecksumOf(out);
  return out;
}

template <typename Columns>
BreachRow BreachOf(const Columns& row, std::int64_t version) {
  BreachRow out{.row = row.Int(0),
                .id = row.Text(1),
                .site = row.Text(2),
                .alert = row.Blob(3),
                .crossed_us = row.Int(4),
                .accepted_us = row.Int(5),
                .letter = std::nullopt};
  if (!row.IsNull(6)) out.letter = row.Text(6);
  out.sound = version < kSchemaVersion || row.Int(7) == ChecksumOf(out);
  return out;
}

// The same for the current row of a SELECT of those columns.
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

}  // namespace netsentinel::delivery
