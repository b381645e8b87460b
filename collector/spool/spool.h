#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"

#include "collector/spool/spool_mark.h"
#include "collector/spool/spool_row.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/sqlite/database.h"

namespace netsentinel::spool {

struct SpoolOptions {
  // Holds spool.db and spool.mark, nothing else of ours. Must exist.
  std::string folder;
  // Payload bytes of all rows. Acknowledged rows go first; what then does not fit is refused. The
  // last eighth is shared out evenly between the menus, so that one whose rows nobody takes leaves
  // room for the others.
  std::uint64_t bytes_max = std::uint64_t{2} << 30;
  // Acknowledged rows stay this long, so that an aggregator whose database fell back can ask again,
  absl::Duration keep_acknowledged = absl::Hours(24);
  // up to this many bytes.
  std::uint64_t kept_bytes_max = std::uint64_t{256} << 20;
  // Hard limit of the file in pages of 4 KiB, 0 for none: SQLite then answers as on a full disk.
  std::int64_t file_pages_max = 0;
};

// What happened to a spool that an operator should hear of.
struct SpoolIncident {
  enum class Kind {
    kRestored,  // the file is an older copy, or stands without its mark: it has a new uuid
    kDamaged,   // the file could not be used: it was moved aside and a new one begun
    kMended,    // a part of the file that can be told from the rest was damaged and put right
    kSetAside,  // rows failed their checksum: they were moved to the table `damaged`
  };
  Kind kind = Kind::kSetAside;
  std::string detail;
};

struct SpoolStats {
  std::uint64_t rows = 0;
  std::uint64_t bytes = 0;  // of payload
  std::uint64_t waiting_rows = 0;
  std::uint64_t damaged_rows = 0;  // since the file was created
};

// Snapshots on disk until the aggregator has committed them, and for some time after. SQLite in WAL
// mode with synchronous=FULL: what a call wrote survives a crash of process and host when the call
// has returned. One thread. Errors are common/sqlite's; after one the call has done nothing.
//
// Sequences are drawn from one counter a spool, so they ascend for every menu with gaps between,
// and are never given twice under one uuid: a copy of an older state is recognised by the mark
// beside the file and takes a new uuid.
class Spool {
 public:
  // Opens or creates the spool; a file that is damaged beyond use is moved to spool.db.damaged-*.
  // kUnavailable when another process has it open.
  static absl::StatusOr<std::unique_ptr<Spool>> Open(const SpoolOptions& options,
                                                     const base::Clock& clock,
                                                     base::RandomSource& random);
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  // 16 bytes.
  const std::string& uuid() const { return mark_.spool_uuid; }

  // Writes all rows or none, in one transaction, and gives their sequences in order.
  // kResourceExhausted when they do not fit under bytes_max or on the disk.
  absl::StatusOr<std::vector<std::uint64_t>> Append(absl::Span<const NewRow> rows);

  // Whether so many payload bytes of a menu fit under bytes_max, once acknowledged rows have made
  // room: kResourceExhausted says what takes it.
  absl::Status Admit(const MenuKey& key, std::uint64_t bytes) { return Admit(key, bytes, bytes); }

  // Rows of a menu after `sequence`, ascending: at least one when there is one, at most `rows_max`
  // and, from the second on, `bytes_max` of payload. Rows that fail their checksum are set aside on
  // the way and the row behind follows their predecessor.
  absl::StatusOr<std::vector<SpoolRow>> ReadAfter(const MenuKey& key, std::uint64_t sequence,
                                                  std::size_t rows_max, std::uint64_t bytes_max);

  // Moves a row that nobody can read to the table `damaged`.
  absl::Status SetAside(const SpoolRow& row, absl::string_view why);

  // The aggregator has everything of these menus up to these sequences. Lower ones than before are
  // ignored. Not yet durable is fine: a resume point says it again. Writes nothing when it is news
  // to no menu.
  absl::Status Acknowledge(absl::Span<const std::pair<MenuKey, std::uint64_t>> positions);

  // The aggregator stands at `sequence`, which may lie before what it once acknowledged: rows after
  // it are waiting again, and the first of them follows `sequence` even where rows between are
  // gone. kOutOfRange when this uuid never gave `sequence`: the spool is older than what the
  // aggregator has. Writes only what changes; a full disk is no error where only the position
  // moved, since the next resume point says it again.
  absl::Status ResumeAfter(const MenuKey& key, std::uint64_t sequence);

  // Gives the spool a new uuid: for one that is behind the aggregator. Lease epochs in plans, which
  // were granted to the old one, become 0.
  absl::Status TakeNewUuid();

  // Removes every row of a router of which none was written within `kept`, and tells how many that
  // were. For routers that nobody takes any more.
  absl::StatusOr<std::uint64_t> DropStale(const base::RouterId& router, absl::Duration kept);

  // Removes acknowledged rows that need not be kept, at most a few thousand at a time. The newest
  // acknowledged row of a menu always stays.
  absl::Status Trim();

  // In one transaction.
  absl::Status SavePlans(absl::Span<const RouterPlan> plans);
  absl::StatusOr<std::vector<RouterPlan>> LoadPlans();

  // Every menu that ever had a row.
  absl::StatusOr<std::vector<MenuPosition>> Positions();
  // Rows of all menus of a router that are not acknowledged.
  std::uint64_t Waiting(const base::RouterId& router) const;
  const SpoolStats& stats() const { return stats_; }
  // What happened since the last call; at most a few dozen are kept.
  std::vector<SpoolIncident> TakeIncidents();

 private:
  struct MenuState {
    std::uint64_t newest = 0;  // under any uuid
    std::uint64_t acknowledged = 0;
    std::uint64_t lease_epoch = 0;
    std::int64_t attribution_us = 0;
    std::uint64_t waiting = 0;
    std::uint64_t waiting_bytes = 0;
    std::uint64_t kept = 0;  // acknowledged rows
    std::uint64_t kept_bytes = 0;
  };
  struct Sum {
    std::uint64_t rows = 0;
    std::uint64_t bytes = 0;
  };

  struct ReadRequest {
    MenuKey key;
    std::uint64_t after = 0;
    std::size_t rows_max = 0;
    std::uint64_t bytes_max = 0;
  };

  Spool(SpoolOptions options, const base::Clock& clock, base::RandomSource& random)
      : options_(std::move(options)), clock_(clock), random_(random) {}

  std::string Path(const char* name) const { return options_.folder + "/" + name; }
  absl::Status OpenDatabase();
  absl::Status MoveDamagedAside(const absl::Status& why);
  absl::Status CreateSchema();
  absl::StatusOr<bool> SchemaIsOurs();
  absl::Status LoadState();
  absl::Status CheckAgainstMark();
  absl::Status Reserve(std::uint64_t up_to);
  absl::Status SaveIdentity(const SpoolMark& mark, std::uint64_t uuid_since);
  absl::Status SavePlan(const RouterPlan& plan);
  absl::Status InsertRow(const SpoolRow& row);
  absl::Status SaveMenu(const MenuKey& key, const MenuState& state);
  absl::Status Admit(const MenuKey& key, std::uint64_t own, std::uint64_t all);
  absl::Status MakeRoom(std::uint64_t bytes, std::uint64_t limit);
  // Rows of a menu in (after, up_to].
  absl::StatusOr<Sum> SumOf(const MenuKey& key, std::uint64_t after, std::uint64_t up_to);
  absl::Status ReadBatch(const ReadRequest& request, std::vector<SpoolRow>& rows,
                         std::vector<SpoolRow>& damaged);
  absl::StatusOr<std::uint64_t> DeleteOldestAcknowledged(std::int64_t written_before_us);
  // Nothing when the first row after `after` follows `previous` or an earlier one.
  absl::StatusOr<std::optional<SpoolRow>> RowToRelink(const MenuKey& key, std::uint64_t after,
                                                      std::uint64_t previous);
  absl::Status Relink(const MenuKey& key, std::uint64_t after, std::uint64_t previous);
  absl::Status RecountMenu(const MenuKey& key, MenuState& state);
  void Replace(MenuState& known, const MenuState& state);
  absl::Status Recount();
  void Report(SpoolIncident::Kind kind, std::string detail);

  const SpoolOptions options_;
  const base::Clock& clock_;
  base::RandomSource& random_;
  std::unique_ptr<sqlite::Database> database_;
  SpoolMark mark_;
  // Sequences up to here belong to earlier uuids.
  std::uint64_t uuid_since_ = 0;
  std::uint64_t last_sequence_ = 0;
  // The disk was full when the spool was opened: before the next row sequences are reserved anew.
  bool reservation_owed_ = false;
  std::map<MenuKey, MenuState> menus_;
  SpoolStats stats_;
  std::vector<SpoolIncident> incidents_;
};

}  // namespace netsentinel::spool
