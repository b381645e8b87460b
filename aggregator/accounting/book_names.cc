#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"
#include "aggregator/accounting/name_budget.h"
#include "common/base/status_macros.h"

// What new names may cost.
namespace netsentinel::accounting {

absl::Status Book::Impl::CheckNames(const MenuChange& change, std::size_t queues) {
  if (change.added.empty()) return absl::OkStatus();
  RouterBook& router = *change.router;
  // A queue whose comment or limit changed is new to the dictionary under a name that is known.
  NameCount fresh;
  absl::flat_hash_set<absl::string_view> seen;
  for (const auto& [descriptor, added] : change.added) {
    if (change.menu->queue_by_name.contains(added.name)) continue;
    if (seen.insert(added.name).second) fresh.Add(added.name);
  }
  const absl::CivilDay today = router.site->calendar.DayAt(change.received_us).day;
  for (const MenuBook& menu : router.menus) {
    if (&menu != change.menu && menu.current != nullptr) queues += menu.current->state.live();
  }
  NS_RETURN_IF_ERROR(router.names.Check(today, queues, fresh));
  if (fresh.names == 0 || name_bytes + fresh.bytes <= kSiteNameBytes) return absl::OkStatus();
  std::uint64_t known = 0;
  for (const auto& [id, other] : routers) {
    if (other->site == router.site) known += other->names.known().bytes;
  }
  return CheckSiteNames(router.settings.site.value(), known, fresh);
}

}  // namespace netsentinel::accounting
