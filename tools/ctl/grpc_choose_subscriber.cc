#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"
#include "tools/ctl/grpc_subscriber.h"

namespace netsentinel::ctl {
namespace {

// Subscribers named one by one in an error.
constexpr std::size_t kMaxNamed = 10;

// "--site lahore --router hq-core, --site lahore, …": what would have named each.
std::string Names(const std::vector<const v1::SubscriberRef*>& subscribers) {
  std::vector<std::string> names;
  for (const v1::SubscriberRef* one : subscribers) {
    if (names.size() == kMaxNamed) {
      names.push_back("…");
      break;
    }
    names.push_back(absl::StrCat("--site ", one->site_id(),
                                 one->router_id().empty() ? "" : " --router ", one->router_id()));
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

absl::StatusOr<v1::SubscriberRef> ChooseSubscriber(const v1::GetRankingResponse& ranking,
                                                   const SubscriberWish& wish) {
  NS_ASSIGN_OR_RETURN(const std::string raw, base::RawName(wish.name));
  std::vector<const v1::SubscriberRef*> fitting;
  std::vector<const v1::SubscriberRef*> elsewhere;
  for (const v1::RankingRow& row : ranking.rows()) {
    const v1::SubscriberRef& one = row.subscriber();
    if (one.name().name() != raw) continue;
    const bool fits = (wish.site.empty() || one.site_id() == wish.site) &&
                      (wish.router.empty() || one.router_id() == wish.router);
    (fits ? fitting : elsewhere).push_back(&one);
  }
  if (fitting.size() == 1) return *fitting.front();
  if (!fitting.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", wish.name, "\" is the name of ",
                                                   fitting.size(),
                                                   " subscribers; give one of: ", Names(fitting)));
  }
  return absl::NotFoundError(absl::StrCat(
      "no subscriber \"", wish.name, "\"", wish.site.empty() ? "" : " at site ", wish.site,
      wish.router.empty() ? "" : " on router ", wish.router, " has been seen in the last month",
      elsewhere.empty() ? "; `netsentinelctl ranking` shows the names"
                        : absl::StrCat("; there is one of that name with: ", Names(elsewhere))));
}

}  // namespace netsentinel::ctl
