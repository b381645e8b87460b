#include "aggregator/query/namesakes.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"

namespace netsentinel::query {
namespace {

// Routers named one by one in an error.
constexpr std::size_t kMaxNamed = 10;

}  // namespace

absl::Status CheckNamesakes(const accounting::SubscriberKey& wish,
                            const std::vector<accounting::Book::NamedSubscriber>& known) {
  if (!wish.router.empty()) return absl::OkStatus();
  std::vector<std::string> routers;
  for (const auto& [key, active] : known) {
    if (key == wish) return absl::OkStatus();
    if (key.site != wish.site || key.name != wish.name || routers.size() > kMaxNamed) continue;
    routers.push_back(routers.size() == kMaxNamed ? "…" : key.router.value());
  }
  if (routers.empty()) return absl::OkStatus();
  return absl::NotFoundError(absl::StrCat(
      "\"", base::DisplayName(wish.name), "\" without a router_id has no usage at site ",
      wish.site.value(),
      " in these days; that name is known with router_id: ", absl::StrJoin(routers, ", ")));
}

}  // namespace netsentinel::query
