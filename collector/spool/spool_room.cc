// Room in a spool: what may be written, what has to go.
#include <algorithm>

#include "absl/strings/str_cat.h"

#include "collector/spool/spool.h"
#include "common/base/status_macros.h"

namespace netsentinel::spool {
namespace {

constexpr std::size_t kTrimBatch = 2000;

}  // namespace

absl::StatusOr<std::uint64_t> Spool::DeleteOldestAcknowledged(std::int64_t written_before_us) {
  // The newest of them stays in every menu; then there is no need to look through all rows.
  const bool any = std::any_of(menus_.begin(), menus_.end(),
                               [](const auto& entry) { return entry.second.kept > 1; });
  if (!any) return 0;
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement erase,
      database_->Prepare(
          "DELETE FROM rows WHERE sequence IN (SELECT r.sequence FROM rows r JOIN menus m ON "
          "m.router = r.router AND m.menu = r.menu WHERE r.sequence < m.acknowledged AND "
          "r.written_us < ? AND EXISTS (SELECT 1 FROM rows n WHERE n.router = r.router AND "
          "n.menu = r.menu AND n.sequence > r.sequence AND n.sequence <= m.acknowledged) "
          "ORDER BY r.sequence LIMIT ?) RETURNING router, menu, length(payload)"));
  erase.BindInt(1, written_before_us);
  erase.BindUint(2, kTrimBatch);
  std::uint64_t erased = 0;
  std::uint64_t bytes = 0;
  for (;;) {
    NS_ASSIGN_OR_RETURN(const bool found, erase.Step());
    if (!found) break;
    const MenuKey key{base::RouterId(erase.Text(0)), static_cast<counters::Menu>(erase.Int(1))};
    MenuState& state = menus_[key];
    state.kept -= std::min<std::uint64_t>(state.kept, 1);
    state.kept_bytes -= std::min(state.kept_bytes, erase.Uint(2));
    ++erased;
    bytes += erase.Uint(2);
  }
  stats_.rows -= erased;
  stats_.bytes -= bytes;
  return erased;
}

absl::Status Spool::Trim() {
  const std::int64_t keep_since = absl::ToUnixMicros(clock_.WallNow() - options_.keep_acknowledged);
  NS_RETURN_IF_ERROR(DeleteOldestAcknowledged(keep_since).status());
  std::uint64_t kept = 0;
  for (const auto& [key, state] : menus_) kept += state.kept_bytes;
  if (kept <= options_.kept_bytes_max) return absl::OkStatus();
  return DeleteOldestAcknowledged(INT64_MAX).status();
}

absl::Status Spool::MakeRoom(std::uint64_t bytes, std::uint64_t limit) {
  while (stats_.bytes + bytes > limit) {
    NS_ASSIGN_OR_RETURN(const std::uint64_t erased, DeleteOldestAcknowledged(INT64_MAX));
    if (erased == 0) return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Spool::Admit(const MenuKey& key, std::uint64_t own, std::uint64_t all) {
  const std::uint64_t shared = options_.bytes_max / 8;
  const std::uint64_t limit = options_.bytes_max - shared;
  NS_RETURN_IF_ERROR(MakeRoom(all, limit));
  if (stats_.bytes + all <= limit) return absl::OkStatus();
  const auto known = menus_.find(key);
  const std::uint64_t waiting = known == menus_.end() ? 0 : known->second.waiting_bytes;
  const std::uint64_t share = shared / std::max<std::size_t>(1, menus_.size());
  const bool modest = waiting == 0 || waiting + own <= share;
  if (modest && stats_.bytes + all <= options_.bytes_max) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(
      "spool ", database_->path(), " holds ", stats_.bytes, " bytes in ", stats_.waiting_rows,
      " snapshots that wait for the aggregator, ", waiting, " bytes of ", MenuKeyText(key),
      "; its limit is ", options_.bytes_max,
      ": bring the aggregator back, grant it the router, or raise collector.spool_limit"));
}

absl::StatusOr<std::uint64_t> Spool::DropStale(const base::RouterId& router, absl::Duration kept) {
  NS_ASSIGN_OR_RETURN(
      sqlite::Statement newest,
      database_->Prepare("SELECT coalesce(max(written_us), 0) FROM rows WHERE router = ?"));
  newest.BindText(1, router.value());
  NS_RETURN_IF_ERROR(newest.Step().status());
  const bool fresh = newest.Int(0) > absl::ToUnixMicros(clock_.WallNow() - kept);
  newest.Reset();
  if (fresh || Waiting(router) == 0) return 0;
  NS_ASSIGN_OR_RETURN(sqlite::Transaction transaction, sqlite::Transaction::Begin(*database_));
  NS_ASSIGN_OR_RETURN(sqlite::Statement erase,
                      database_->Prepare("DELETE FROM rows WHERE router = ?"));
  erase.BindText(1, router.value());
  NS_RETURN_IF_ERROR(erase.Run());
  const auto erased = static_cast<std::uint64_t>(database_->Changes());
  // The positions stay: sequences are never given twice.
  std::map<MenuKey, MenuState> changed;
  for (const auto& [key, state] : menus_) {
    if (!(key.router == router)) continue;
    changed[key] = state;
    changed[key].acknowledged = state.newest;
    NS_RETURN_IF_ERROR(SaveMenu(key, changed[key]));
  }
  NS_RETURN_IF_ERROR(transaction.Commit());
  for (const auto& [key, state] : changed) menus_[key] = state;
  NS_RETURN_IF_ERROR(Recount());
  return erased;
}

}  // namespace netsentinel::spool
