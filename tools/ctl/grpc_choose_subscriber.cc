#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "tools/ctl/grpc_subscriber.h"

namespace netsentinel::ctl {
namespace {

// Subscribers named one by one in an error.
constexpr std::size_t kMaxNamed = 10;

// "--site lahore --router hq-core, --site lahore (no queue at present), …": what would have named
// each.
std::string Names(const v1::FindSubscribersResponse& found) {
  std::vector<std::string> names;
  for (const v1::FoundSubscriber& entry : found.subscribers()) {
    const v1::SubscriberRef& one = entry.subscriber();
    if (names.size() == kMaxNamed) {
      names.push_back("…");
      break;
    }
    names.push_back(absl::StrCat("--site ", one.site_id(),
                                 one.router_id().empty() ? "" : " --router ", one.router_id(),
                                 entry.active() ? "" : " (no queue at present)"));
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

absl::StatusOr<v1::FoundSubscriber> ChooseSubscriber(const v1::FindSubscribersResponse& fitting,
                                                     const v1::FindSubscribersResponse& elsewhere,
                                                     const SubscriberWish& wish) {
  const int count = fitting.subscribers_size();
  if (count == 1) return fitting.subscribers(0);
  if (!wish.site.empty() && wish.router.empty()) {
    // What names it is that no router is given.
    for (const v1::FoundSubscriber& one : fitting.subscribers()) {
      if (one.subscriber().router_id().empty()) return one;
    }
  }
  if (count > 1) {
    return absl::InvalidArgumentError(absl::StrCat("\"", wish.name, "\" is the name of ",
                                                   fitting.more() ? "more than " : "", count,
                                                   " subscribers; give one of: ", Names(fitting)));
  }
  return absl::NotFoundError(absl::StrCat(
      "no subscriber \"", wish.name, "\"", wish.site.empty() ? "" : " at site ", wish.site,
      wish.router.empty() ? "" : " on router ", wish.router, " has been seen",
      elsewhere.subscribers().empty()
          ? "; `netsentinelctl ranking` shows the names"
          : absl::StrCat("; there is one of that name with: ", Names(elsewhere))));
}

}  // namespace netsentinel::ctl
