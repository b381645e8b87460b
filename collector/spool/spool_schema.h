#pragma once

// The tables of spool.db; docs/collector.md describes them.
namespace netsentinel::spool {

// Another format has other tables, if only by a comment in their words: the number is checked
// against them.
inline constexpr int kSchemaVersion = 1;

inline constexpr char kSchema[] = R"sql(
CREATE TABLE IF NOT EXISTS identity(
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  spool_uuid BLOB NOT NULL,
  uuid_since INTEGER NOT NULL,
  reserved_sequence INTEGER NOT NULL,
  damaged_rows INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS rows(
  sequence INTEGER PRIMARY KEY,
  router TEXT NOT NULL,
  menu INTEGER NOT NULL,
  spool_uuid BLOB NOT NULL,
  lease_epoch INTEGER NOT NULL,
  previous_sequence INTEGER NOT NULL,
  attribution_us INTEGER NOT NULL,
  at_boundary INTEGER NOT NULL,
  written_us INTEGER NOT NULL,
  header_crc INTEGER NOT NULL,
  payload_crc INTEGER NOT NULL,
  payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS rows_by_menu ON rows(router, menu, sequence);
CREATE TABLE IF NOT EXISTS menus(
  router TEXT NOT NULL,
  menu INTEGER NOT NULL,
  newest INTEGER NOT NULL,
  acknowledged INTEGER NOT NULL,
  lease_epoch INTEGER NOT NULL,
  attribution_us INTEGER NOT NULL,
  PRIMARY KEY (router, menu)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS plans(
  router TEXT PRIMARY KEY,
  lease_epoch INTEGER NOT NULL,
  poll_interval_ms INTEGER NOT NULL,
  boundaries BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS damaged(
  sequence INTEGER PRIMARY KEY,
  router TEXT NOT NULL,
  menu INTEGER NOT NULL,
  why TEXT NOT NULL,
  set_aside_us INTEGER NOT NULL,
  payload BLOB NOT NULL);
)sql";

}  // namespace netsentinel::spool
