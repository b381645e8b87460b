#include "collector/spool/spool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

#include "collector/spool/spool_schema.h"
#include "common/base/crc32c.h"
#include "common/base/status_macros.h"
#include "common/base/varint.h"

namespace netsentinel::spool {
namespace {

// One durable write of the mark pays for this many sequences.
constexpr std::uint64_t kReserveBlock = 4096;
constexpr std::size_t kIncidentsMax = 32;
constexpr std::size_t kBoundariesMax = 1000;

constexpr char kRowColumns[] =
    "sequence, router, menu, spool_uuid, lease_epoch, previous_sequence, attribution_us, "
    "at_boundary, header_crc, payload_crc, payload";

struct StoredRow {
  SpoolRow row;
  std::uint32_t header_crc = 0;
  std::uint32_t payload_crc = 0;

  bool Sound() const {
    return base::Crc32c(row.payload) == payload_crc && HeaderCrc(row, payload_crc) == header_crc;
  }
};

StoredRow RowAt(const sqlite::Statement& statement) {
  StoredRow stored;
  stored.row.sequence = statement.Uint(0);
  stored.row.key.router = base::RouterId(statement.Text(1));
  stored.row.key.menu = static_cast<counters::Menu>(statement.Int(2));
  stored.row.spool_uuid = statement.Blob(3);
  stored.row.lease_epoch = statement.Uint(4);
  stored.row.previous_sequence = statement.Uint(5);
  stored.row.attribution_us = statement.Int(6);
  stored.row.at_boundary = statement.Int(7) != 0;
  stored.header_crc = static_cast<std::uint32_t>(statement.Int(8));
  stored.payload_crc = static_cast<std::uint32_t>(statement.Int(9));
  stored.row.payload = statement.Blob(10);
  return stored;
}

void BindKey(sqlite::Statement& statement, const MenuKey& key) {
  statement.BindText(1, key.router.value());
  statement.BindInt(2, static_cast<std::int64_t>(key.menu));
}

}  // namespace

absl::StatusOr<std::vector<std::uint64_t>> Spool::Append(absl::Span<const NewRow> rows) {
  std::uint64_t bytes = 0;
  std::map<MenuKey, std::uint64_t> own;
  for (const NewRow& row : rows) {
    bytes += row.payload.size();
    own[row.key] += row.payload.size();
  }
  for (const auto& [key, part] : own) NS_RETURN_IF_ERROR(Admit(key, part, bytes));
  NS_RETURN_IF_ERROR(Reserve(last_sequence_ + rows.size()));

  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  std::map<MenuKey, MenuState> changed;
  std::vector<std::uint64_t> sequences;
  for (const NewRow& fresh : rows) {
    const auto known = menus_.find(fresh.key);
    MenuState& state =
        changed.try_emplace(fresh.key, known == menus_.end() ? MenuState() : known->second)
            .first->second;
    SpoolRow row{.key = fresh.key,
                 .spool_uuid = uuid(),
                 .lease_epoch = fresh.lease_epoch,
                 .sequence = last_sequence_ + sequences.size() + 1,
                 .previous_sequence = state.newest > uuid_since_ ? state.newest : 0,
                 .attribution_us = fresh.attribution_us,
                 .at_boundary = fresh.at_boundary,
                 .payload = fresh.payload};
    NS_RETURN_IF_ERROR(InsertRow(row));
    state.newest = row.sequence;
    state.lease_epoch = fresh.lease_epoch;
    state.attribution_us = fresh.attribution_us;
    ++state.waiting;
    state.waiting_bytes += row.payload.size();
    sequences.push_back(row.sequence);
  }
  for (const auto& [key, state] : changed) NS_RETURN_IF_ERROR(SaveMenu(key, state));
  NS_RETURN_IF_ERROR(transaction.Commit());

  for (auto& [key, state] : changed) menus_[key] = state;
  last_sequence_ += sequences.size();
  stats_.rows += rows.size();
  stats_.waiting_rows += rows.size();
  stats_.bytes += bytes;
  return sequences;
}

absl::Status Spool::InsertRow(const SpoolRow& row) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement insert,
      database_->Prepare("INSERT INTO rows(router, menu, sequence, spool_uuid, lease_epoch, "
                         "previous_sequence, attribution_us, at_boundary, written_us, header_crc, "
                         "payload_crc, payload) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"));
  const std::uint32_t payload_crc = base::Crc32c(row.payload);
  BindKey(insert, row.key);
  insert.BindUint(3, row.sequence);
  insert.BindBlob(4, row.spool_uuid);
  insert.BindUint(5, row.lease_epoch);
  insert.BindUint(6, row.previous_sequence);
  insert.BindInt(7, row.attribution_us);
  insert.BindInt(8, row.at_boundary ? 1 : 0);
  insert.BindInt(9, absl::ToUnixMicros(clock_.WallNow()));
  insert.BindInt(10, HeaderCrc(row, payload_crc));
  insert.BindInt(11, payload_crc);
  insert.BindBlob(12, row.payload);
  return insert.Run();
}

absl::Status Spool::SaveMenu(const MenuKey& key, const MenuState& state) {
  NS_ASSIGN_OR_RETURN(sqlite::Statement save,
                      database_->Prepare("INSERT OR REPLACE INTO menus(router, menu, newest, "
                                         "acknowledged, lease_epoch, attribution_us) "
                                         "VALUES(?,?,?,?,?,?)"));
  BindKey(save, key);
  save.BindUint(3, state.newest);
  save.BindUint(4, state.acknowledged);
  save.BindUint(5, state.lease_epoch);
  save.BindInt(6, state.attribution_us);
  return save.Run();
}

absl::StatusOr<std::vector<SpoolRow>> Spool::ReadAfter(const MenuKey& key, std::uint64_t sequence,
                                                       std::size_t rows_max,
                                                       std::uint64_t bytes_max) {
  for (;;) {
    std::vector<SpoolRow> rows;
    std::vector<SpoolRow> damaged;
    NS_RETURN_IF_ERROR(ReadBatch({key, sequence, rows_max, bytes_max}, rows, damaged));
    if (damaged.empty()) return rows;
    for (const SpoolRow& row : damaged) NS_RETURN_IF_ERROR(SetAside(row, "checksum"));
  }
}

absl::Status Spool::ReadBatch(const ReadRequest& request, std::vector<SpoolRow>& rows,
                              std::vector<SpoolRow>& damaged) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare(absl::StrCat("SELECT ", kRowColumns,
                                      " FROM rows WHERE router = ? AND menu = ? AND sequence > ? "
                                      "ORDER BY sequence LIMIT ?")));
  BindKey(select, request.key);
  select.BindUint(3, request.after);
  select.BindUint(4, request.rows_max);
  std::uint64_t bytes = 0;
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found) return absl::OkStatus();
    StoredRow stored = RowAt(select);
    if (!stored.Sound()) {
      // The key came from the index, which the query matched; the row's own fields may lie.
      stored.row.key = request.key;
      damaged.push_back(std::move(stored.row));
      continue;
    }
    bytes += stored.row.payload.size();
    if (!rows.empty() && bytes > request.bytes_max) return absl::OkStatus();
    rows.push_back(std::move(stored.row));
  }
}

absl::Status Spool::SetAside(const SpoolRow& row, absl::string_view why) {
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement before,
      database_->Prepare("SELECT max(sequence) FROM rows WHERE router = ? AND menu = ? AND "
                         "sequence < ? AND sequence > ?"));
  BindKey(before, row.key);
  before.BindUint(3, row.sequence);
  before.BindUint(4, row.sequence > uuid_since_ ? uuid_since_ : 0);
  NS_RETURN_IF_ERROR(before.Step().status());
  const std::uint64_t previous = before.Uint(0);

  NS_ASSIGN_OR_RETURN(
      sqlite::Statement keep,
      database_->Prepare("INSERT OR REPLACE INTO damaged(router, menu, sequence, why, "
                         "set_aside_us, payload) VALUES(?,?,?,?,?,?)"));
  BindKey(keep, row.key);
  keep.BindUint(3, row.sequence);
  keep.BindText(4, why);
  keep.BindInt(5, absl::ToUnixMicros(clock_.WallNow()));
  keep.BindBlob(6, row.payload);
  NS_RETURN_IF_ERROR(keep.Run());
  NS_RETURN_IF_ERROR(
      database_->Execute("DELETE FROM damaged WHERE sequence NOT IN "
                         "(SELECT sequence FROM damaged ORDER BY sequence DESC LIMIT 100)"));
  NS_RETURN_IF_ERROR(
      database_->Execute(absl::StrCat("DELETE FROM rows WHERE sequence = ", row.sequence)));
  NS_RETURN_IF_ERROR(database_->Execute("UPDATE identity SET damaged_rows = damaged_rows + 1"));
  NS_RETURN_IF_ERROR(Relink(row.key, row.sequence, previous));
  NS_RETURN_IF_ERROR(transaction.Commit());

  Report(SpoolIncident::Kind::kSetAside,
         absl::StrCat("row ", row.sequence, " of ", MenuKeyText(row.key), " (", why,
                      ") is in the table `damaged` of ", database_->path(),
                      "; its bytes are in the next reading, its time resolution is lost"));
  return Recount();
}

absl::StatusOr<std::optional<SpoolRow>> Spool::RowToRelink(const MenuKey& key, std::uint64_t after,
                                                           std::uint64_t previous) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare(absl::StrCat("SELECT ", kRowColumns,
                                      " FROM rows WHERE router = ? AND menu = ? AND sequence > ? "
                                      "ORDER BY sequence LIMIT 1")));
  BindKey(select, key);
  select.BindUint(3, after);
  NS_ASSIGN_OR_RETURN(const bool found, select.Step());
  if (!found) return std::nullopt;
  StoredRow stored = RowAt(select);
  // A damaged row is found and set aside when it is read.
  if (!stored.Sound() || stored.row.previous_sequence <= previous) return std::nullopt;
  return std::move(stored.row);
}

// Makes the first row after `after` follow `previous`, unless its own predecessor is as low.
absl::Status Spool::Relink(const MenuKey& key, std::uint64_t after, std::uint64_t previous) {
  NS_ASSIGN_OR_RETURN(std::optional<SpoolRow> row, RowToRelink(key, after, previous));
  if (!row.has_value()) return absl::OkStatus();
  row->previous_sequence = previous;
  NS_ASSIGN_OR_RETURN(sqlite::Statement update,
                      database_->Prepare("UPDATE rows SET previous_sequence = ?, header_crc = ? "
                                         "WHERE sequence = ?"));
  update.BindUint(1, previous);
  update.BindInt(2, HeaderCrc(*row, base::Crc32c(row->payload)));
  update.BindUint(3, row->sequence);
  return update.Run();
}

absl::Status Spool::Acknowledge(absl::Span<const std::pair<MenuKey, std::uint64_t>> positions) {
  std::map<MenuKey, MenuState> changed;
  for (const auto& [key, sequence] : positions) {
    const auto known = menus_.find(key);
    if (known == menus_.end()) continue;
    MenuState state = known->second;
    state.acknowledged = std::max(state.acknowledged, std::min(sequence, state.newest));
    if (state.acknowledged == known->second.acknowledged) continue;
    NS_ASSIGN_OR_RETURN(const Sum done, SumOf(key, known->second.acknowledged, state.acknowledged));
    state.waiting -= std::min(state.waiting, done.rows);
    state.waiting_bytes -= std::min(state.waiting_bytes, done.bytes);
    state.kept += done.rows;
    state.kept_bytes += done.bytes;
    changed[key] = state;
  }
  if (changed.empty()) return absl::OkStatus();
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  for (auto& [key, state] : changed) NS_RETURN_IF_ERROR(SaveMenu(key, state));
  NS_RETURN_IF_ERROR(transaction.Commit());
  for (auto& [key, state] : changed) Replace(menus_[key], state);
  return absl::OkStatus();
}

void Spool::Replace(MenuState& known, const MenuState& state) {
  stats_.waiting_rows -= known.waiting;
  stats_.waiting_rows += state.waiting;
  known = state;
}

absl::Status Spool::ResumeAfter(const MenuKey& key, std::uint64_t sequence) {
  const auto known = menus_.find(key);
  if (sequence > 0 && (known == menus_.end() || sequence > known->second.newest)) {
    return absl::OutOfRangeError(
        absl::StrCat("spool: the aggregator has sequence ", sequence, " of ", MenuKeyText(key),
                     ", this spool is at ", known == menus_.end() ? 0 : known->second.newest,
                     ": it is older than what was sent and takes a new uuid"));
  }
  if (known == menus_.end()) return absl::OkStatus();
  MenuState state = known->second;
  state.acknowledged = std::min(sequence, state.newest);
  NS_ASSIGN_OR_RETURN(const std::optional<SpoolRow> next, RowToRelink(key, sequence, sequence));
  if (!next.has_value() && state.acknowledged == known->second.acknowledged) {
    return absl::OkStatus();
  }
  NS_RETURN_IF_ERROR(RecountMenu(key, state));
  const auto write = [&]() -> absl::Status {
    NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
    NS_RETURN_IF_ERROR(SaveMenu(key, state));
    NS_RETURN_IF_ERROR(Relink(key, sequence, sequence));
    return transaction.Commit();
  };
  const absl::Status written = write();
  const bool only_position = absl::IsResourceExhausted(written) && !next.has_value();
  if (!written.ok() && !only_position) return written;
  Replace(known->second, state);
  return absl::OkStatus();
}

absl::StatusOr<Spool::Sum> Spool::SumOf(const MenuKey& key, std::uint64_t after,
                                        std::uint64_t up_to) {
  NS_ASSIGN_OR_RETURN(sqlite::Statement sum,
                      database_->Prepare("SELECT count(*), coalesce(sum(length(payload)), 0) FROM "
                                         "rows WHERE router = ? AND menu = ? AND sequence > ? AND "
                                         "sequence <= ?"));
  BindKey(sum, key);
  sum.BindUint(3, after);
  sum.BindUint(4, up_to);
  NS_RETURN_IF_ERROR(sum.Step().status());
  return Sum{sum.Uint(0), sum.Uint(1)};
}

absl::Status Spool::RecountMenu(const MenuKey& key, MenuState& state) {
  NS_ASSIGN_OR_RETURN(const Sum waiting, SumOf(key, state.acknowledged, INT64_MAX));
  NS_ASSIGN_OR_RETURN(const Sum kept, SumOf(key, 0, state.acknowledged));
  state.waiting = waiting.rows;
  state.waiting_bytes = waiting.bytes;
  state.kept = kept.rows;
  state.kept_bytes = kept.bytes;
  return absl::OkStatus();
}

absl::Status Spool::SavePlans(absl::Span<const RouterPlan> plans) {
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  for (const RouterPlan& plan : plans) NS_RETURN_IF_ERROR(SavePlan(plan));
  return transaction.Commit();
}

absl::Status Spool::SavePlan(const RouterPlan& plan) {
  std::string boundaries;
  const std::size_t count = std::min(plan.boundary_us.size(), kBoundariesMax);
  for (std::size_t i = 0; i < count; ++i) {
    base::AppendVarint(boundaries, base::ZigZag(plan.boundary_us[i]));
  }
  NS_ASSIGN_OR_RETURN(sqlite::Statement save,
                      database_->Prepare("INSERT OR REPLACE INTO plans(router, lease_epoch, "
                                         "poll_interval_ms, boundaries) VALUES(?,?,?,?)"));
  save.BindText(1, plan.router.value());
  save.BindUint(2, plan.lease_epoch);
  save.BindUint(3, plan.poll_interval_ms);
  save.BindBlob(4, boundaries);
  return save.Run();
}

absl::StatusOr<std::vector<RouterPlan>> Spool::LoadPlans() {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement select,
      database_->Prepare("SELECT router, lease_epoch, poll_interval_ms, boundaries FROM plans"));
  std::vector<RouterPlan> plans;
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, select.Step());
    if (!found) return plans;
    RouterPlan plan;
    plan.router = base::RouterId(select.Text(0));
    plan.lease_epoch = select.Uint(1);
    plan.poll_interval_ms = static_cast<std::uint32_t>(select.Uint(2));
    const std::string boundaries = select.Blob(3);
    base::ByteReader reader(boundaries);
    while (!reader.done()) {
      const std::optional<std::uint64_t> instant = reader.Varint();
      if (!instant.has_value()) break;
      plan.boundary_us.push_back(base::UnZigZag(*instant));
    }
    plans.push_back(std::move(plan));
  }
}

absl::StatusOr<std::vector<MenuPosition>> Spool::Positions() {
  std::vector<MenuPosition> positions;
  for (const auto& [key, state] : menus_) {
    NS_ASSIGN_OR_RETURN(
        sqlite::Statement oldest,
        database_->Prepare("SELECT coalesce(min(CASE WHEN sequence > ?3 THEN sequence END), "
                           "min(sequence)) FROM rows WHERE router = ?1 AND menu = ?2"));
    BindKey(oldest, key);
    oldest.BindUint(3, state.acknowledged);
    NS_RETURN_IF_ERROR(oldest.Step().status());
    positions.push_back({.key = key,
                         .lease_epoch = state.lease_epoch,
                         .oldest_sequence = oldest.Uint(0),
                         .newest_sequence = state.newest > uuid_since_ ? state.newest : 0,
                         .acknowledged_sequence = state.acknowledged,
                         .newest_attribution_us = state.attribution_us});
  }
  return positions;
}

std::uint64_t Spool::Waiting(const base::RouterId& router) const {
  std::uint64_t waiting = 0;
  for (const counters::Menu menu : {counters::Menu::kSimple, counters::Menu::kTree}) {
    const auto known = menus_.find(MenuKey{router, menu});
    if (known != menus_.end()) waiting += known->second.waiting;
  }
  return waiting;
}

std::vector<SpoolIncident> Spool::TakeIncidents() { return std::exchange(incidents_, {}); }

void Spool::Report(SpoolIncident::Kind kind, std::string detail) {
  if (incidents_.size() < kIncidentsMax) incidents_.push_back({kind, std::move(detail)});
}

absl::Status Spool::Reserve(std::uint64_t up_to) {
  if (up_to <= mark_.reserved_sequence && !reservation_owed_) return absl::OkStatus();
  SpoolMark next = mark_;
  next.reserved_sequence = std::max(up_to, mark_.reserved_sequence) + kReserveBlock;
  return SaveIdentity(next, uuid_since_);
}

}  // namespace netsentinel::spool
