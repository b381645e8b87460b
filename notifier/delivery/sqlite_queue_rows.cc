#include "notifier/delivery/sqlite_queue_rows.h"

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "notifier/delivery/row_checksum.h"

namespace netsentinel::delivery {
namespace {

constexpr std::size_t kMaxAsideBytes = 64 << 10;

bool HasChecksums(std::int64_t version) { return version >= kSchemaVersion; }

void BindRow(sqlite::Statement& statement, std::int64_t row) {
  if (row == 0) {
    statement.BindNull(1);
  } else {
    statement.BindInt(1, row);
  }
}

}  // namespace

std::uint32_t ChecksumOf(const LetterRow& row) {
  return RowChecksum(
      {row.letter.id, row.site, row.letter.subject, row.letter.text, row.letter.html},
      {row.is_alert ? 1 : 0, row.bulk ? 1 : 0, absl::ToUnixMicros(row.letter.date), row.made_us});
}

std::uint32_t AttachmentChecksum(const channel::Letter& letter) {
  return RowChecksum({letter.csv_name, letter.csv}, {});
}

std::uint32_t ChecksumOf(const DeliveryRow& row) {
  return RowChecksum({row.id, row.letter, row.channel, row.recipient}, {row.made_us});
}

std::uint32_t ChecksumOf(const BreachRow& row) {
  return RowChecksum({row.id, row.site, row.alert}, {row.crossed_us, row.accepted_us});
}

const absl::string_view kQueueSchema = R"(
CREATE TABLE letters(
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, site TEXT NOT NULL, is_alert INTEGER NOT NULL,
  bulk INTEGER NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL, html TEXT NOT NULL,
  csv_name TEXT NOT NULL, csv BLOB NOT NULL, date_us INTEGER NOT NULL, made_us INTEGER NOT NULL,
  checksum INTEGER NOT NULL, csv_checksum INTEGER NOT NULL);
CREATE INDEX letters_of_site ON letters(site, made_us) WHERE is_alert = 1 AND bulk = 0;
CREATE TABLE deliveries(
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, letter TEXT NOT NULL, channel TEXT NOT NULL,
  recipient TEXT NOT NULL, status INTEGER NOT NULL, attempts INTEGER NOT NULL,
  claimed INTEGER NOT NULL, next_us INTEGER NOT NULL, made_us INTEGER NOT NULL,
  done_us INTEGER NOT NULL, detail TEXT NOT NULL, priority INTEGER NOT NULL,
  first_try_us INTEGER NOT NULL, first_passing_us INTEGER NOT NULL, checksum INTEGER NOT NULL);
CREATE INDEX deliveries_due ON deliveries(channel, priority, next_us) WHERE status = 1;
CREATE INDEX deliveries_of_letter ON deliveries(letter, status);
CREATE TABLE breaches(
  row INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, site TEXT NOT NULL, alert BLOB NOT NULL,
  crossed_us INTEGER NOT NULL, accepted_us INTEGER NOT NULL, letter TEXT,
  checksum INTEGER NOT NULL);
CREATE INDEX breaches_pending ON breaches(site, crossed_us) WHERE letter IS NULL;
CREATE TABLE windows(site TEXT PRIMARY KEY, end_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE runs(
  report TEXT NOT NULL, site TEXT NOT NULL, date TEXT NOT NULL,
  PRIMARY KEY(report, site)) WITHOUT ROWID;
CREATE TABLE passing(
  channel TEXT PRIMARY KEY, passing_us INTEGER NOT NULL, passed_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE set_aside(
  row INTEGER PRIMARY KEY, kind TEXT NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL,
  at_us INTEGER NOT NULL, content BLOB NOT NULL);
CREATE TABLE write_test(one INTEGER PRIMARY KEY, filler BLOB NOT NULL);
)";

absl::string_view LetterColumns(std::int64_t version) {
  return HasChecksums(version)
             ? "row, id, site, is_alert, bulk, subject, text, html, csv_name, csv, date_us, "
               "made_us, checksum, csv_checksum"
             : "0, id, site, is_alert, 0, subject, text, html, csv_name, csv, date_us, made_us, "
               "0, 0";
}

absl::string_view DeliveryColumns(std::int64_t version) {
  return HasChecksums(version)
             ? "row, id, letter, channel, recipient, status, attempts, claimed, next_us, made_us, "
               "done_us, detail, priority, first_try_us, first_passing_us, checksum"
             : "row, id, letter, channel, recipient, status, attempts, claimed, next_us, made_us, "
               "done_us, detail, iif(priority = 0, 0, 2), first_try_us, 0, 0";
}

absl::string_view BreachColumns(std::int64_t version) {
  return HasChecksums(version) ? "row, id, site, alert, crossed_us, accepted_us, letter, checksum"
                               : "0, id, site, alert, crossed_us, accepted_us, letter, 0";
}

LetterRow ReadLetter(const sqlite::Statement& row, std::int64_t version) {
  return LetterOf(row, version);
}

DeliveryRow ReadDelivery(const sqlite::Statement& row, std::int64_t version) {
  return DeliveryOf(row, version);
}

BreachRow ReadBreach(const sqlite::Statement& row, std::int64_t version) {
  return BreachOf(row, version);
}

absl::Status InsertLetter(sqlite::Database& database, const LetterRow& row) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database.Prepare(absl::StrCat("INSERT INTO letters(", LetterColumns(kSchemaVersion),
                                    ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO "
                                    "NOTHING")));
  BindRow(insert, row.row);
  insert.BindText(2, row.letter.id);
  insert.BindText(3, row.site);
  insert.BindInt(4, row.is_alert ? 1 : 0);
  insert.BindInt(5, row.bulk ? 1 : 0);
  insert.BindText(6, row.letter.subject);
  insert.BindText(7, row.letter.text);
  insert.BindText(8, row.letter.html);
  insert.BindText(9, row.letter.csv_name);
  insert.BindBlob(10, row.letter.csv);
  insert.BindInt(11, absl::ToUnixMicros(row.letter.date));
  insert.BindInt(12, row.made_us);
  insert.BindInt(13, ChecksumOf(row));
  insert.BindInt(14, AttachmentChecksum(row.letter));
  return insert.Run();
}

absl::Status InsertDelivery(sqlite::Database& database, const DeliveryRow& row) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database.Prepare(absl::StrCat("INSERT INTO deliveries(", DeliveryColumns(kSchemaVersion),
                                    ") VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO "
                                    "NOTHING")));
  BindRow(insert, row.row);
  insert.BindText(2, row.id);
  insert.BindText(3, row.letter);
  insert.BindText(4, row.channel);
  insert.BindText(5, row.recipient);
  insert.BindInt(6, row.status);
  insert.BindInt(7, row.attempts);
  insert.BindInt(8, row.claimed);
  insert.BindInt(9, row.next_us);
  insert.BindInt(10, row.made_us);
  insert.BindInt(11, row.done_us);
  insert.BindText(12, row.detail);
  insert.BindInt(13, row.priority);
  insert.BindInt(14, row.first_try_us);
  insert.BindInt(15, row.first_passing_us);
  insert.BindInt(16, ChecksumOf(row));
  return insert.Run();
}

absl::Status InsertBreach(sqlite::Database& database, const BreachRow& row) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database.Prepare(absl::StrCat("INSERT INTO breaches(", BreachColumns(kSchemaVersion),
                                    ") VALUES(?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING")));
  BindRow(insert, row.row);
  insert.BindText(2, row.id);
  insert.BindText(3, row.site);
  insert.BindBlob(4, row.alert);
  insert.BindInt(5, row.crossed_us);
  insert.BindInt(6, row.accepted_us);
  if (row.letter.has_value()) {
    insert.BindText(7, *row.letter);
  } else {
    insert.BindNull(7);
  }
  insert.BindInt(8, ChecksumOf(row));
  return insert.Run();
}

std::uint32_t EmptyAttachmentChecksum() { return RowChecksum({"", ""}, {}); }

absl::Status InsertSetAside(sqlite::Database& database, absl::string_view kind,
                            absl::string_view id, absl::string_view reason, std::int64_t at_us,
                            absl::string_view content) {
  NS_ASSIGN_OR_RETURN(sqlite::Statement insert,
                      database.Prepare("INSERT INTO set_aside(kind, id, reason, at_us, content) "
                                       "VALUES(?,?,?,?,?)"));
  insert.BindText(1, kind);
  insert.BindText(2, id);
  insert.BindText(3, reason);
  insert.BindInt(4, at_us);
  insert.BindBlob(5, content.substr(0, kMaxAsideBytes));
  NS_RETURN_IF_ERROR(insert.Run());
  return database.Execute(
      "DELETE FROM set_aside WHERE row <= (SELECT max(row) FROM set_aside) - 10000");
}

}  // namespace netsentinel::delivery
