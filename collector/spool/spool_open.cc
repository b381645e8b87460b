// Opening a spool: schema, state, and whether the file is what it was when it was last used.
#include <cstdio>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

#include "collector/spool/spool.h"
#include "collector/spool/spool_schema.h"
#include "common/base/status_macros.h"
#include "common/io/uuid.h"

namespace netsentinel::spool {
namespace {

constexpr char kDatabaseName[] = "spool.db";
constexpr char kMarkName[] = "spool.mark";

}  // namespace

absl::StatusOr<std::unique_ptr<Spool>> Spool::Open(const SpoolOptions& options,
                                                   const base::Clock& clock,
                                                   base::RandomSource& random) {
  std::unique_ptr<Spool> spool(new Spool(options, clock, random));
  absl::Status status = spool->OpenDatabase();
  if (absl::IsDataLoss(status)) {
    NS_RETURN_IF_ERROR(spool->MoveDamagedAside(status));
    status = spool->OpenDatabase();
  }
  NS_RETURN_IF_ERROR(status);
  NS_RETURN_IF_ERROR(spool->CheckAgainstMark());
  return spool;
}

absl::Status Spool::OpenDatabase() {
  database_.reset();
  absl::StatusOr<std::unique_ptr<sqlite::Database>> opened = sqlite::Database::Open(
      Path(kDatabaseName), {.busy_timeout = absl::Seconds(2), .exclusive = true});
  if (absl::IsUnavailable(opened.status())) {
    return absl::UnavailableError(
        absl::StrCat(opened.status().message(),
                     "; another collector has this state_dir open, or the disk fails"));
  }
  NS_RETURN_IF_ERROR(opened.status());
  database_ = *std::move(opened);
  if (options_.file_pages_max > 0) {
    NS_RETURN_IF_ERROR(
        database_->Execute(absl::StrCat("PRAGMA max_page_count=", options_.file_pages_max)));
  }
  NS_ASSIGN_OR_RETURN(sqlite::Statement check, database_->Prepare("PRAGMA quick_check(1)"));
  NS_ASSIGN_OR_RETURN(const bool answered, check.Step());
  if (!answered || check.Text(0) != "ok") {
    return absl::DataLossError(
        absl::StrCat("SQLite file ", database_->path(), ": ", answered ? check.Text(0) : "?"));
  }
  check.Reset();
  NS_RETURN_IF_ERROR(CreateSchema());
  return LoadState();
}

absl::Status Spool::MoveDamagedAside(const absl::Status& why) {
  database_.reset();
  const std::string suffix = absl::StrCat(".damaged-", absl::ToUnixSeconds(clock_.WallNow()));
  for (const char* part : {"", "-wal", "-shm"}) {
    const std::string from = absl::StrCat(Path(kDatabaseName), part);
    const std::string to = absl::StrCat(Path(kDatabaseName), suffix, part);
    if (std::rename(from.c_str(), to.c_str()) != 0 && *part == '\0') {
      return absl::UnavailableError(absl::StrCat("spool: ", from, " is damaged (", why.message(),
                                                 ") and cannot be moved to ", to));
    }
  }
  Report(SpoolIncident::Kind::kDamaged,
         absl::StrCat(why.message(), "; it was moved to spool.db", suffix,
                      " and a new spool begun: snapshots in it that were not acknowledged are "
                      "lost, their bytes are in the next reading of each queue"));
  menus_.clear();
  mark_ = {};
  return absl::OkStatus();
}

absl::Status Spool::CreateSchema() {
  NS_ASSIGN_OR_RETURN(const std::int64_t version, database_->QueryInt("PRAGMA user_version"));
  NS_ASSIGN_OR_RETURN(const std::int64_t tables,
                      database_->QueryInt("SELECT count(*) FROM sqlite_master"));
  NS_ASSIGN_OR_RETURN(const bool ours, SchemaIsOurs());
  if (version == kSchemaVersion && ours) return absl::OkStatus();
  if (version == kSchemaVersion) {
    return absl::DataLossError(
        absl::StrCat("SQLite file ", database_->path(), ": its tables are not those of a spool"));
  }
  if (version > kSchemaVersion && !ours) {
    return absl::FailedPreconditionError(absl::StrCat(
        "spool ", database_->path(), " has format ", version, ", this collector knows ",
        kSchemaVersion, ": upgrade the collector, or move the file away"));
  }
  if (tables > 0 && !ours) {
    return absl::DataLossError(absl::StrCat("SQLite file ", database_->path(), ": format ", version,
                                            " with tables that no format has"));
  }
  if (ours) {
    Report(SpoolIncident::Kind::kMended,
           absl::StrCat("the spool's format number was ", version,
                        " where its tables are those of format ", kSchemaVersion,
                        ": the number was damaged and has been put right; check the disk"));
  }
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_RETURN_IF_ERROR(database_->Execute(kSchema));
  NS_RETURN_IF_ERROR(database_->Execute(absl::StrCat("PRAGMA user_version=", kSchemaVersion)));
  return transaction.Commit();
}

// Whether the file holds exactly the tables of kSchema. SQLite keeps the words that made a table.
absl::StatusOr<bool> Spool::SchemaIsOurs() {
  std::int64_t wanted = 0;
  NS_ASSIGN_OR_RETURN(sqlite::Statement find,
                      database_->Prepare("SELECT count(*) FROM sqlite_master WHERE sql = ?1"));
  for (const absl::string_view statement : absl::StrSplit(kSchema, ';')) {
    const absl::string_view words = absl::StripAsciiWhitespace(statement);
    if (words.empty()) continue;
    ++wanted;
    find.Reset();
    find.BindText(1, absl::StrReplaceAll(words, {{"IF NOT EXISTS ", ""}}));
    NS_ASSIGN_OR_RETURN(const bool answered, find.Step());
    if (!answered || find.Int(0) != 1) return false;
  }
  NS_ASSIGN_OR_RETURN(const std::int64_t found,
                      database_->QueryInt("SELECT count(*) FROM sqlite_master WHERE sql <> ''"));
  return found == wanted;
}

absl::Status Spool::LoadState() {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement identity,
      database_->Prepare("SELECT spool_uuid, uuid_since, reserved_sequence FROM identity"));
  NS_ASSIGN_OR_RETURN(const bool known, identity.Step());
  if (known) {
    mark_ = {.spool_uuid = identity.Blob(0), .reserved_sequence = identity.Uint(2)};
    uuid_since_ = identity.Uint(1);
  }
  identity.Reset();
  NS_ASSIGN_OR_RETURN(const std::int64_t last,
                      database_->QueryInt("SELECT coalesce(max(newest), 0) FROM menus"));
  last_sequence_ = std::max(static_cast<std::uint64_t>(last), uuid_since_);
  NS_ASSIGN_OR_RETURN(sqlite::Statement menus,
                      database_->Prepare("SELECT router, menu, newest, acknowledged, lease_epoch, "
                                         "attribution_us FROM menus"));
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, menus.Step());
    if (!found) break;
    const MenuKey key{base::RouterId(menus.Text(0)), static_cast<counters::Menu>(menus.Int(1))};
    menus_[key] = {.newest = menus.Uint(2),
                   .acknowledged = menus.Uint(3),
                   .lease_epoch = menus.Uint(4),
                   .attribution_us = menus.Int(5)};
  }
  return Recount();
}

absl::Status Spool::Recount() {
  SpoolStats stats;
  for (auto& [key, state] : menus_) {
    NS_RETURN_IF_ERROR(RecountMenu(key, state));
    stats.rows += state.waiting + state.kept;
    stats.bytes += state.waiting_bytes + state.kept_bytes;
    stats.waiting_rows += state.waiting;
  }
  NS_ASSIGN_OR_RETURN(const std::int64_t damaged,
                      database_->QueryInt("SELECT coalesce(max(damaged_rows), 0) FROM identity"));
  stats.damaged_rows = static_cast<std::uint64_t>(damaged);
  stats_ = stats;
  return absl::OkStatus();
}

// Every open reserves anew, so that the mark is ahead of any copy of the file made before.
absl::Status Spool::CheckAgainstMark() {
  NS_ASSIGN_OR_RETURN(const std::optional<SpoolMark> mark, ReadMark(Path(kMarkName)));
  const bool fresh = mark_.spool_uuid.empty();
  const bool same = mark.has_value() && mark->spool_uuid == mark_.spool_uuid &&
                    mark->reserved_sequence <= mark_.reserved_sequence;
  SpoolMark next = mark_;
  std::uint64_t since = uuid_since_;
  if (mark.has_value() && !same) last_sequence_ = std::max(last_sequence_, mark->reserved_sequence);
  if (fresh || !same) {
    next.spool_uuid = io::NewUuid(random_);
    since = last_sequence_;
  }
  if (!fresh && !same) {
    Report(SpoolIncident::Kind::kRestored,
           absl::StrCat(mark.has_value() ? "the spool is an older copy than the mark beside it"
                                         : "there is no sound spool.mark beside the spool",
                        "; it takes a new uuid and asks for a new lease"));
  }
  next.reserved_sequence = std::max(last_sequence_, next.reserved_sequence) + 1;
  const absl::Status saved = SaveIdentity(next, since);
  // On a full disk what the file holds can be delivered all the same.
  if (!absl::IsResourceExhausted(saved) || fresh || !same) return saved;
  reservation_owed_ = true;
  return absl::OkStatus();
}

// The file first: a crash between leaves the mark behind the file, which is no sign of a copy.
absl::Status Spool::SaveIdentity(const SpoolMark& mark, std::uint64_t uuid_since) {
  // Before the uuid: a crash between costs the epochs, which the next welcome brings again.
  if (mark.spool_uuid != mark_.spool_uuid) {
    NS_RETURN_IF_ERROR(database_->Execute("UPDATE plans SET lease_epoch = 0"));
  }
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement save,
      database_->Prepare("INSERT INTO identity(only_row, spool_uuid, uuid_since, "
                         "reserved_sequence) VALUES(1, ?1, ?2, ?3) ON CONFLICT(only_row) DO UPDATE "
                         "SET spool_uuid = ?1, uuid_since = ?2, reserved_sequence = ?3"));
  save.BindBlob(1, mark.spool_uuid);
  save.BindUint(2, uuid_since);
  save.BindUint(3, mark.reserved_sequence);
  NS_RETURN_IF_ERROR(save.Run());
  NS_RETURN_IF_ERROR(WriteMark(Path(kMarkName), mark));
  mark_ = mark;
  uuid_since_ = uuid_since;
  reservation_owed_ = false;
  return absl::OkStatus();
}

absl::Status Spool::TakeNewUuid() {
  SpoolMark next = mark_;
  next.spool_uuid = io::NewUuid(random_);
  return SaveIdentity(next, last_sequence_);
}

}  // namespace netsentinel::spool
