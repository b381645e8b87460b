#include "aggregator/store/schema.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace netsentinel::store {
namespace {

std::vector<std::string> UsageColumns(const char* table, const char* day, const char* segment) {
  return {
      absl::StrCat("CREATE TABLE IF NOT EXISTS ", table, " (", day, " {day}, subscriber_id {u64},",
                   " queue_id {u64}, ", segment, " {u8}, upload {u64}, download {u64},",
                   " estimated_start_upload {u64}, estimated_start_download {u64},",
                   " estimated_end_upload {u64}, estimated_end_download {u64},",
                   " implausible_upload {u64}, implausible_download {u64},",
                   " loss_upload {u64}, loss_download {u64}, blind_us {u64}, observed_us {u64},",
                   " first_reading_us {u64}, last_reading_us {u64}, epochs {u64}, grade {u8},",
                   " PRIMARY KEY (", day, ", subscriber_id, queue_id, ", segment, ")){key_end}")};
}

Migration Accounting() {
  Migration step{1, {}, {}};
  auto& s = step.statements;
  s.push_back(
      "CREATE TABLE IF NOT EXISTS lease (id {u8} PRIMARY KEY, holder {holder}, fence {u64},"
      " until_us {u64}){end}");
  s.push_back("CREATE TABLE IF NOT EXISTS fence (id {u8} PRIMARY KEY, epoch {u64}){end}");
  s.push_back("CREATE TABLE IF NOT EXISTS counters (name {id} PRIMARY KEY, value {u64}){end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS watermarks (router {id}, menu {u8}, lease_epoch {u64},"
      " spool_uuid {uuid}, seq {u64}, journal_id {u64}, PRIMARY KEY (router, menu)){key_end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS journal (journal_id {u64} PRIMARY KEY, router {id}, menu {u8},"
      " lease_epoch {u64}, spool_uuid {uuid}, seq {u64}, previous_seq {u64},"
      " attribution_us {u64}, received_us {u64}, payload {blob}){end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS checkpoints (state_key {state_key}, part {u64},"
      " payload {blob}, PRIMARY KEY (state_key, part)){key_end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS epochs (epoch_id {auto}, router {id}, menu {u8}, queue {name},"
      " row_id {u64}, start_us {u64}, reason {u8}){end}");
  s.push_back("{index} epochs_by_queue ON epochs (router, menu, queue{prefix}, start_us)");
  s.push_back("{index} epochs_by_time ON epochs (start_us)");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS holds (router {id}, menu {u8}, queue {name}, since_us {u64},"
      " before_upload {counter}, before_download {counter}, held_upload {counter},"
      " held_download {counter}, PRIMARY KEY (router, menu, queue)){key_end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS events (event_id {auto}, at_us {u64}, router {id}, menu {u8},"
      " queue {name}, kind {id}, detail {text}){end}");
  s.push_back("{index} events_by_router ON events (router, event_id)");
  s.push_back("{index} events_by_time ON events (at_us)");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS queues (queue_id {u64} PRIMARY KEY, router {id}, menu {u8},"
      " name {name}){end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS subscribers (subscriber_id {u64} PRIMARY KEY, site {id},"
      " router {id}, name {name}){end}");
  s.push_back("{index} subscribers_by_name ON subscribers (site, router, name{prefix})");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS day_closes (router {id}, local_day {day}, is_partial {u8},"
      " closed_at_us {u64}, PRIMARY KEY (router, local_day)){key_end}");
  s.push_back("{index} day_closes_by_day ON day_closes (local_day)");
  s.push_back(UsageColumns("usage_daily", "local_day", "segment").front());
  s.push_back(UsageColumns("usage_monthly", "local_month", "segment").front());
  return step;
}

Migration Policy() {
  Migration step{2, {}, {}};
  auto& s = step.statements;
  s.push_back(
      "CREATE TABLE IF NOT EXISTS breaches (breach_id {id} PRIMARY KEY, site {id}, router {id},"
      " name {name}, quota_id {id}, period {u8}, period_start {day}, time_zone {id}, basis {u8},"
      " limit_bytes {u64}, threshold_percent {u64}, used_upload {u64}, used_download {u64},"
      " crossed_at_us {u64}, delivery {u8}, delivery_detail {text}){end}");
  s.push_back("{index} breaches_by_time ON breaches (crossed_at_us)");
  s.push_back("{index} breaches_by_period ON breaches (period_start)");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS outbox (outbox_id {auto}, breach_id {id}, owner {holder},"
      " claimed_until_us {u64}){end}");
  s.push_back("{unique} outbox_by_breach ON outbox (breach_id)");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS policy_revisions (revision {u64} PRIMARY KEY,"
      " content {longtext}, imported_at_us {u64}){end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS quota_overrides (site {id}, router {id}, name {name},"
      " quota_id {id}, limit_bytes {u64}, unlimited {u8}, changed_at_us {u64},"
      " changed_by {holder}, PRIMARY KEY (site, router, name, quota_id)){key_end}");
  return step;
}

// The columns that earlier scripts read. Sums are of reals here: for people, not for accounting.
Migration QuotaView() {
  return {3,
          {"DROP VIEW IF EXISTS custom_bandwidth_quotas",
           "CREATE VIEW custom_bandwidth_quotas AS SELECT {name_text} AS queue_name,"
           " ROUND(SUM(u.download * 1e0 / 1073741824), 6) AS bytes_download,"
           " ROUND(SUM(u.upload * 1e0 / 1073741824), 6) AS bytes_upload,"
           " u.local_day AS check_date,"
           " MAX(CASE WHEN b.breach_id IS NULL THEN 0 ELSE 1 END) AS alert_sent"
           " FROM usage_daily u JOIN queues q ON q.queue_id = u.queue_id"
           " LEFT JOIN subscribers s ON s.subscriber_id = u.subscriber_id"
           " LEFT JOIN (SELECT site, router, name, period_start, MIN(breach_id) AS breach_id"
           " FROM breaches WHERE period = 1 AND delivery = 2"
           " GROUP BY site, router, name, period_start) b"
           " ON b.site = s.site AND b.router = s.router AND b.name = s.name"
           " AND b.period_start = u.local_day"
           " GROUP BY q.router, q.menu, q.name, u.local_day"},
          {}};
}

// Rows of audit_log are added and read, never changed and never deleted.
Migration Audit() {
  Migration step{4, {}, {}};
  auto& s = step.statements;
  s.push_back(
      "CREATE TABLE IF NOT EXISTS audit_log (audit_id {auto}, entry_id {id}, at_us {u64},"
      " stored_at_us {u64}, program {holder}, actor_role {id}, actor_name {id}, cert_serial {id},"
      " cert_sha256 {id}, address {holder}, on_behalf_of {holder}, action {id}, subject {text},"
      " value_before {text}, value_after {text}, reason {text}){end}");
  s.push_back("{unique} audit_log_by_entry ON audit_log (entry_id)");
  s.push_back("{index} audit_log_by_time ON audit_log (at_us)");
  return step;
}

// When the routers of a site were read: rows of usage say so only where bytes moved.
Migration ReadDays() {
  constexpr char kNames[] =
      " u JOIN queues q ON q.queue_id = u.queue_id"
      " JOIN subscribers s ON s.subscriber_id = u.subscriber_id WHERE u.first_reading_us > 0";
  Migration step{5,
                 {"CREATE TABLE IF NOT EXISTS read_days (site {id}, local_day {day}, router {id},"
                  " PRIMARY KEY (site, local_day, router)){key_end}",
                  "{index} read_days_by_day ON read_days (local_day)",
                  "CREATE TABLE IF NOT EXISTS first_readings (site {id}, router {id}, at_us {u64},"
                  " PRIMARY KEY (site, router)){key_end}"},
                 {}};
  const auto first_readings = [&](absl::string_view table, absl::string_view day) {
    return absl::StrCat("INSERT INTO first_readings SELECT s.site, q.router,",
                        " MIN(u.first_reading_us) AS at_us FROM ", table, kNames, " AND u.", day,
                        " = ? GROUP BY s.site, q.router {or_lower}");
  };
  step.slices.push_back(
      {"usage_daily",
       "local_day",
       {absl::StrCat("{insert_new} INTO read_days SELECT DISTINCT s.site, u.local_day, q.router",
                     " FROM usage_daily", kNames, " AND u.local_day = ?"),
        first_readings("usage_daily", "local_day")}});
  // Months begin before the days that are left.
  step.slices.push_back(
      {"usage_monthly", "local_month", {first_readings("usage_monthly", "local_month")}});
  return step;
}

// What is sure, what may have passed unseen and why: bytes that cross a row's edges are kept with
// what of them lies on either side, so that sums of any span come out as the accounting's own.
Migration Evidence() {
  Migration step{6, {}, {}};
  auto& s = step.statements;
  for (const absl::string_view table : {"usage_daily", "usage_monthly"}) {
    const auto rename = [&](absl::string_view from, absl::string_view to) {
      for (const absl::string_view way : {"_upload", "_download"}) {
        s.push_back(
            absl::StrCat("ALTER TABLE ", table, " RENAME COLUMN ", from, way, " TO ", to, way));
      }
    };
    rename("estimated_start", "begin_inside");
    rename("estimated_end", "end_inside");
    rename("implausible", "doubt");
    rename("loss", "unseen");
    for (const absl::string_view column : {"begin_outside", "end_outside"}) {
      for (const absl::string_view way : {"_upload", "_download"}) {
        s.push_back(
            absl::StrCat("ALTER TABLE ", table, " ADD COLUMN ", column, way, " {u64} DEFAULT 0"));
      }
    }
  }
  s.push_back(
      "CREATE TABLE IF NOT EXISTS usage_evidence (local_day {day}, subscriber_id {u64},"
      " queue_id {u64}, segment {u8}, explanation {u8}, steps {u64}, upload {u64}, download {u64},"
      " PRIMARY KEY (local_day, subscriber_id, queue_id, segment, explanation)){key_end}");
  s.push_back(
      "CREATE TABLE IF NOT EXISTS disputed_steps (local_day {day}, subscriber_id {u64},"
      " queue_id {u64}, segment {u8}, number {u8}, from_us {u64}, to_us {u64},"
      " before_upload {counter}, before_download {counter}, now_upload {counter},"
      " now_download {counter}, counted_as {u8}, counted_upload {u64}, counted_download {u64},"
      " doubt_upload {u64}, doubt_download {u64}, unseen_upload {u64}, unseen_download {u64},"
      " possible {text}, PRIMARY KEY (local_day, subscriber_id, queue_id, segment, number))"
      "{key_end}");
  return step;
}

}  // namespace

const std::vector<Migration>& Migrations() {
  static const auto* const steps = new std::vector<Migration>{Accounting(), Policy(),   QuotaView(),
                                                              Audit(),      ReadDays(), Evidence()};
  return *steps;
}

int NewestSchemaVersion() { return Migrations().back().version; }

std::string ExpandTypes(absl::string_view statement, Dialect dialect) {
  if (dialect == Dialect::kSqlite) {
    return absl::StrReplaceAll(statement, {{"{u64}", "INTEGER NOT NULL"},
                                           {"{u8}", "INTEGER NOT NULL"},
                                           {"{id}", "TEXT NOT NULL"},
                                           {"{holder}", "TEXT NOT NULL"},
                                           {"{counter}", "TEXT NOT NULL"},
                                           {"{text}", "TEXT NOT NULL"},
                                           {"{longtext}", "TEXT NOT NULL"},
                                           {"{day}", "TEXT NOT NULL"},
                                           {"{name}", "BLOB NOT NULL"},
                                           {"{state_key}", "BLOB NOT NULL"},
                                           {"{uuid}", "BLOB NOT NULL"},
                                           {"{blob}", "BLOB NOT NULL"},
                                           {"{auto}", "INTEGER PRIMARY KEY AUTOINCREMENT"},
                                           {"{prefix}", ""},
                                           {"{name_text}", "CAST(q.name AS TEXT)"},
                                           {"{insert_new}", "INSERT OR IGNORE"},
                                           {"{or_lower}",
                                            "ON CONFLICT DO UPDATE"
                                            " SET at_us = MIN(at_us, excluded.at_us)"},
                                           {"{index}", "CREATE INDEX IF NOT EXISTS"},
                                           {"{unique}", "CREATE UNIQUE INDEX IF NOT EXISTS"},
                                           {"{key_end}", " STRICT, WITHOUT ROWID"},
                                           {"{end}", " STRICT"}});
  }
  constexpr char kEnd[] =
      " ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4"
      " COLLATE=utf8mb4_bin";
  return absl::StrReplaceAll(statement, {{"{u64}", "BIGINT NOT NULL"},
                                         {"{u8}", "TINYINT UNSIGNED NOT NULL"},
                                         {"{id}", "VARCHAR(64) NOT NULL"},
                                         {"{holder}", "VARCHAR(255) NOT NULL"},
                                         {"{counter}", "VARCHAR(20) NOT NULL"},
                                         {"{text}", "TEXT NOT NULL"},
                                         {"{longtext}", "LONGTEXT NOT NULL"},
                                         {"{day}", "DATE NOT NULL"},
                                         {"{name}", "VARBINARY(2048) NOT NULL"},
                                         {"{state_key}", "VARBINARY(512) NOT NULL"},
                                         {"{uuid}", "VARBINARY(16) NOT NULL"},
                                         {"{blob}", "LONGBLOB NOT NULL"},
                                         {"{auto}", "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY"},
                                         {"{prefix}", "(255)"},
                                         {"{name_text}", "CONVERT(q.name USING utf8mb4)"},
                                         {"{insert_new}", "INSERT IGNORE"},
                                         {"{or_lower}",
                                          "ON DUPLICATE KEY UPDATE at_us = LEAST("
                                          "first_readings.at_us, VALUES(at_us))"},
                                         {"{index}", "CREATE INDEX"},
                                         {"{unique}", "CREATE UNIQUE INDEX"},
                                         {"{key_end}", kEnd},
                                         {"{end}", kEnd}});
}

}  // namespace netsentinel::store
