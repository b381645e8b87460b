#include "notifier/delivery/sqlite_queue_salvage.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/btree_pages.h"
#include "common/base/status_macros.h"
#include "notifier/delivery/sqlite_queue_rows.h"

namespace netsentinel::delivery {
namespace {

constexpr std::uint32_t kDefaultPageSize = 4096;
constexpr std::uint64_t kMaxRowBytes = 64 << 20;
constexpr std::size_t kMaxNamed = 1'000;

// One table.
struct Source {
  sqlite::Database& from;
  absl::string_view table;
  absl::string_view columns;
  absl::string_view key;
};

// Each row that can be read from one end or the other; some twice when the table is damaged. False
// when it is. `take` is given the statement at the row. Errors are those of `take`.
template <typename Take>
absl::StatusOr<bool> ForEachRow(const Source& source, const Take& take) {
  for (const absl::string_view order : {"ASC", "DESC"}) {
    absl::StatusOr<sqlite::Statement> rows = source.from.Prepare(absl::StrCat(
        "SELECT ", source.columns, " FROM ", source.table, " ORDER BY ", source.key, " ", order));
    while (rows.ok()) {
      const absl::StatusOr<bool> row = rows->Step();
      if (!row.ok()) break;
      if (!*row) return order == "ASC";
      NS_RETURN_IF_ERROR(take(*rows));
    }
  }
  return false;
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
    if (!old && version < kSchemaVersion) continue;
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

// A row of a page, read as a statement's; what has another type or is not there is empty.
class PageColumns {
 public:
  explicit PageColumns(const base::PageRow& row) : row_(row) {}
  std::int64_t Int(int column) const {
    // The first column is the row's number in each of the tables.
    if (column == 0) return row_.number;
    const auto* value = At<std::int64_t>(column);
    return value == nullptr ? 0 : *value;
  }
  std::string Text(int column) const {
    const auto* value = At<std::string>(column);
    return value == nullptr ? "" : *value;
  }
  std::string Blob(int column) const { return Text(column); }
  bool IsNull(int column) const { return At<std::monostate>(column) != nullptr; }

 private:
  template <typename T>
  const T* At(int column) const {
    const auto index = static_cast<std::size_t>(column);
    return index < row_.values.size() ? std::get_if<T>(&row_.values[index]) : nullptr;
  }
  const base::PageRow& row_;
};

// How many columns each table has, which with the checksum tells whose a row is.
std::size_t ColumnCount(absl::string_view columns) {
  return static_cast<std::size_t>(std::count(columns.begin(), columns.end(), ',')) + 1;
}

absl::Status CopyPageRow(const base::PageRow& page_row, sqlite::Database& to, Salvage& salvage) {
  const PageColumns columns(page_row);
  const std::size_t count = page_row.values.size();
  const auto added = [&](const absl::Status& inserted, std::int64_t& counter) -> absl::Status {
    if (inserted.ok()) counter += to.Changes();
    return inserted;
  };
  if (count == ColumnCount(BreachColumns(kSchemaVersion))) {
    const BreachRow row = BreachOf(columns, kSchemaVersion);
    if (row.sound) return added(InsertBreach(to, row), salvage.alerts);
  } else if (count == ColumnCount(LetterColumns(kSchemaVersion))) {
    const LetterRow row = LetterOf(columns, kSchemaVersion);
    if (row.sound) return added(InsertLetter(to, row), salvage.letters);
  } else if (count == ColumnCount(DeliveryColumns(kSchemaVersion))) {
    const DeliveryRow row = DeliveryOf(columns, kSchemaVersion);
    if (row.sound && row.status >= 1 && row.status <= 3) {
      return added(InsertDelivery(to, row), salvage.deliveries);
    }
  }
  return absl::OkStatus();
}

// Names the breaches that the file's index has and that could not be read.
absl::Status NameLost(sqlite::Database& from, sqlite::Database& to, std::int64_t now_us,
                      Salvage& salvage) {
  std::vector<std::string> lost;
  NS_ASSIGN_OR_RETURN(sqlite::Statement known,
                      to.Prepare("SELECT EXISTS(SELECT 1 FROM breaches WHERE id = ?1) OR "
                                 "EXISTS(SELECT 1 FROM set_aside WHERE id = ?1)"));
  // Read from the index alone.
  absl::StatusOr<sqlite::Statement> ids = from.Prepare("SELECT id FROM breaches ORDER BY id");
  while (ids.ok()) {
    const absl::StatusOr<bool> row = ids->Step();
    if (!row.ok() || !*row) break;
    known.Reset();
    known.BindText(1, ids->Text(0));
    NS_ASSIGN_OR_RETURN(const bool answered, known.Step());
    if (answered && known.Int(0) != 0) continue;
    ++salvage.lost_alerts;
    if (lost.size() < kMaxNamed) lost.push_back(ids->Text(0));
  }
  known.Reset();
  for (const std::string& id : lost) {
    NS_RETURN_IF_ERROR(InsertSetAside(
        to, "alert", id, absl::StrCat("breach ", id, ": its page could not be read"), now_us, ""));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CopyPages(const std::string& path, sqlite::Database& to, Salvage& salvage) {
  std::ifstream file(path, std::ios::binary);
  std::string header(100, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  // The page size stands in the header, if that can be believed.
  const std::uint32_t named = static_cast<std::uint32_t>(static_cast<unsigned char>(header[16]))
                                  << 8 |
                              static_cast<unsigned char>(header[17]);
  const bool believed = header.compare(0, 15, "SQLite format 3") == 0 && named >= 512;
  const std::uint32_t page_size = believed ? named : kDefaultPageSize;
  std::error_code failed;
  const std::uintmax_t bytes = std::filesystem::file_size(path, failed);
  if (failed) return absl::OkStatus();
  const auto page = [&](std::uint32_t number) {
    std::string content(page_size, '\0');
    file.clear();
    file.seekg(static_cast<std::streamoff>(number - 1) * page_size);
    file.read(content.data(), page_size);
    content.resize(static_cast<std::size_t>(std::max<std::streamsize>(0, file.gcount())));
    return content;
  };
  absl::Status status;
  base::ForEachPageRow(page_size, 0, static_cast<std::uint32_t>(bytes / page_size), kMaxRowBytes,
                       page, [&](const base::PageRow& row) {
                         if (status.ok()) status = CopyPageRow(row, to, salvage);
                       });
  return status;
}

absl::StatusOr<Salvage> CopyQueue(sqlite::Database& from, std::int64_t version,
                                  sqlite::Database& to, std::int64_t now_us) {
  Salvage salvage;
  const absl::string_view key = version < kSchemaVersion ? "id" : "row";
  const auto breach = [&](const sqlite::Statement& statement) -> absl::Status {
    const BreachRow row = ReadBreach(statement, version);
    if (!row.sound) {
      return InsertSetAside(to, "alert", row.id,
                            absl::StrCat("breach ", row.id, ": its checksum does not fit"), now_us,
                            row.alert);
    }
    NS_RETURN_IF_ERROR(InsertBreach(to, row));
    salvage.alerts += to.Changes();
    return absl::OkStatus();
  };
  const auto letter = [&](const sqlite::Statement& statement) -> absl::Status {
    const LetterRow row = ReadLetter(statement, version);
    // One that is missed is formed again, or its deliveries are parked, when they are due.
    if (!row.sound) return absl::OkStatus();
    NS_RETURN_IF_ERROR(InsertLetter(to, row));
    salvage.letters += to.Changes();
    return absl::OkStatus();
  };
  const auto delivery = [&](const sqlite::Statement& statement) -> absl::Status {
    DeliveryRow row = ReadDelivery(statement, version);
    if (!row.sound && row.status == 1) {
      row.status = 3;
      row.done_us = now_us;
      row.detail = "the stored row is damaged, its checksum does not fit; not sent";
      NS_RETURN_IF_ERROR(InsertSetAside(
          to, "delivery", row.id, absl::StrCat("delivery ", row.id, ": its checksum does not fit"),
          now_us, ""));
    }
    NS_RETURN_IF_ERROR(InsertDelivery(to, row));
    salvage.deliveries += to.Changes();
    return absl::OkStatus();
  };
  NS_ASSIGN_OR_RETURN(bool whole,
                      ForEachRow({from, "breaches", BreachColumns(version), key}, breach));
  salvage.whole = whole;
  NS_ASSIGN_OR_RETURN(whole, ForEachRow({from, "letters", LetterColumns(version), key}, letter));
  salvage.whole = salvage.whole && whole;
  NS_ASSIGN_OR_RETURN(whole,
                      ForEachRow({from, "deliveries", DeliveryColumns(version), "row"}, delivery));
  salvage.whole = salvage.whole && whole;
  NS_RETURN_IF_ERROR(CopySmallTables(from, version, to));
  if (!salvage.whole && version == kSchemaVersion) {
    // What stands in the log is brought to the pages first.
    from.Execute("PRAGMA wal_checkpoint(TRUNCATE)").IgnoreError();
    NS_RETURN_IF_ERROR(CopyPages(from.path(), to, salvage));
  }
  if (!salvage.whole) NS_RETURN_IF_ERROR(NameLost(from, to, now_us, salvage));
  return salvage;
}

}  // namespace netsentinel::delivery
