#include "notifier/delivery/sqlite_queue_rows.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"

#include "common/base/status_macros.h"
#include "notifier/delivery/row_checksum.h"

namespace netsentinel::delivery {
namespace {

// Rows that a scan of a damaged file may be without in a row before it takes the end for reached.
constexpr std::int64_t kEndOfRows = 5'000;
constexpr std::int64_t kMostLookups = 1'000'000;
constexpr std::size_t kMaxAsideBytes = 64 << 10;

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

bool HasChecksums(std::int64_t version) { return version >= kSchemaVersion; }

void BindRow(sqlite::Statement& statement, std::int64_t row) {
  if (row == 0) {
    statement.BindNull(1);
  } else {
    statement.BindInt(1, row);
  }
}

}  // namespace

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
  out.sound = !HasChecksums(version) ||
              (row.Int(12) == ChecksumOf(out) && row.Int(13) == AttachmentChecksum(out.letter));
  return out;
}

DeliveryRow ReadDelivery(const sqlite::Statement& row, std::int64_t version) {
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
  out.sound = !HasChecksums(version) || row.Int(15) == ChecksumOf(out);
  return out;
}

BreachRow ReadBreach(const sqlite::Statement& row, std::int64_t version) {
  BreachRow out{.row = row.Int(0),
                .id = row.Text(1),
                .site = row.Text(2),
                .alert = row.Blob(3),
                .crossed_us = row.Int(4),
                .accepted_us = row.Int(5),
                .letter = std::nullopt};
  if (!row.IsNull(6)) out.letter = row.Text(6);
  out.sound = !HasChecksums(version) || row.Int(7) == ChecksumOf(out);
  return out;
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

namespace {

// One table of a damaged file, or of one of an older version.
struct Source {
  sqlite::Database& from;
  std::int64_t version;
  absl::string_view table;
  absl::string_view columns;
  // A number, or a text where the version has no numbers.
  absl::string_view key;
  bool numbered;
};

// Each row that can be read, once, in some order, and how many rows at most cannot. `take` is given
// the statement at the row. Errors are those of `take`.
template <typename Take>
absl::StatusOr<std::int64_t> ForEachRow(const Source& source, const Take& take) {
  const std::string select =
      absl::StrCat("SELECT ", source.columns, ", ", source.key, " FROM ", source.table);
  const int key_column =
      static_cast<int>(std::count(source.columns.begin(), source.columns.end(), ',')) + 1;
  bool whole = false;
  // From one end; the number of the last row that was read, and whether the other end was reached.
  const auto scan = [&](absl::string_view order, std::int64_t stop_at,
                        std::int64_t& last) -> absl::Status {
    whole = false;
    absl::StatusOr<sqlite::Statement> rows =
        source.from.Prepare(absl::StrCat(select, " ORDER BY ", source.key, " ", order));
    while (rows.ok()) {
      const absl::StatusOr<bool> row = rows->Step();
      if (!row.ok()) return absl::OkStatus();
      if (!*row) {
        whole = true;
        return absl::OkStatus();
      }
      const std::int64_t number = source.numbered ? rows->Int(key_column) : 0;
      if (source.numbered && number == stop_at) return absl::OkStatus();
      NS_RETURN_IF_ERROR(take(*rows));
      last = number;
    }
    return absl::OkStatus();
  };
  std::int64_t first_gap = 0;
  NS_RETURN_IF_ERROR(scan("ASC", INT64_MIN, first_gap));
  if (whole) return 0;
  std::int64_t last_gap = 0;
  NS_RETURN_IF_ERROR(scan("DESC", first_gap, last_gap));
  if (!source.numbered) return 1;
  std::int64_t lost = 0;
  std::int64_t empty = 0;
  absl::StatusOr<sqlite::Statement> one =
      source.from.Prepare(absl::StrCat(select, " WHERE ", source.key, " = ?"));
  if (!one.ok()) return 1;
  for (std::int64_t number = first_gap + 1;
       (last_gap == 0 || number < last_gap) && number - first_gap < kMostLookups; ++number) {
    one->Reset();
    one->BindInt(1, number);
    const absl::StatusOr<bool> row = one->Step();
    if (row.ok() && *row) {
      NS_RETURN_IF_ERROR(take(*one));
      empty = 0;
      continue;
    }
    if (last_gap == 0 && ++empty > kEndOfRows) break;
    if (!row.ok()) ++lost;
  }
  return lost;
}

absl::Status CopySmallTables(sqlite::Database& from, std::int64_t version, sqlite::Database& to) {
  struct Small {
    absl::string_view table;
    absl::string_view columns;
    // One a column: i a number, t a text or bytes.
    absl::string_view kinds;
  };
  constexpr Small kTables[] = {{"windows", "site, end_us", "ti"},
                               {"runs", "report, site, date", "ttt"},
                               {"passing", "channel, passing_us, passed_us", "tii"},
                               {"set_aside", "kind, id, reason, at_us, content", "tttit"}};
  for (const Small& small : kTables) {
    const bool old = small.table == "windows" || small.table == "runs";
    if (!old && !HasChecksums(version)) continue;
    std::string marks = "?";
    for (std::size_t i = 1; i < small.kinds.size(); ++i) absl::StrAppend(&marks, ",?");
    NS_ASSIGN_OR_RETURN(sqlite::Statement insert,
                        to.Prepare(absl::StrCat("INSERT INTO ", small.table, "(", small.columns,
                                                ") VALUES(", marks, ") ON CONFLICT DO NOTHING")));
    absl::StatusOr<sqlite::Statement> rows =
        from.Prepare(absl::StrCat("SELECT ", small.columns, " FROM ", small.table));
    // What is lost of these costs a window, or a report that comes twice.
    while (rows.ok()) {
      const absl::StatusOr<bool> row = rows->Step();
      if (!row.ok() || !*row) break;
      int column = 0;
      for (const char kind : small.kinds) {
        if (kind == 'i') insert.BindInt(column + 1, rows->Int(column));
        if (kind == 't') insert.BindText(column + 1, rows->Blob(column));
        ++column;
      }
      NS_RETURN_IF_ERROR(insert.Run());
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Salvage> CopyQueue(sqlite::Database& from, std::int64_t version,
                                  sqlite::Database& to, std::int64_t now_us) {
  Salvage salvage;
  const bool numbered = HasChecksums(version);
  const absl::string_view key = numbered ? "row" : "id";
  const auto breach = [&](const sqlite::Statement& statement) -> absl::Status {
    const BreachRow row = ReadBreach(statement, version);
    if (row.sound) {
      ++salvage.alerts;
      return InsertBreach(to, row);
    }
    return InsertSetAside(to, "alert", row.id, "its checksum does not fit", now_us, row.alert);
  };
  NS_ASSIGN_OR_RETURN(
      std::int64_t lost,
      ForEachRow({from, version, "breaches", BreachColumns(version), key, numbered}, breach));
  salvage.lost += lost;
  const auto letter = [&](const sqlite::Statement& statement) -> absl::Status {
    const LetterRow row = ReadLetter(statement, version);
    // One that is missed is formed again, or its deliveries are parked, when they are due.
    if (!row.sound) return absl::OkStatus();
    ++salvage.letters;
    return InsertLetter(to, row);
  };
  NS_ASSIGN_OR_RETURN(
      lost, ForEachRow({from, version, "letters", LetterColumns(version), key, numbered}, letter));
  salvage.lost += lost;
  const auto delivery = [&](const sqlite::Statement& statement) -> absl::Status {
    DeliveryRow row = ReadDelivery(statement, version);
    if (!row.sound && row.status == 1) {
      row.status = 3;
      row.done_us = now_us;
      row.detail = "the stored row is damaged, its checksum does not fit; not sent";
      NS_RETURN_IF_ERROR(
          InsertSetAside(to, "delivery", row.id, "its checksum does not fit", now_us, ""));
    }
    ++salvage.deliveries;
    return InsertDelivery(to, row);
  };
  NS_ASSIGN_OR_RETURN(
      lost,
      ForEachRow({from, version, "deliveries", DeliveryColumns(version), "row", true}, delivery));
  salvage.lost += lost;
  NS_RETURN_IF_ERROR(CopySmallTables(from, version, to));
  return salvage;
}

}  // namespace netsentinel::delivery
