#include "aggregator/query/catalog.h"

#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"

namespace netsentinel::query {

absl::StatusOr<const Catalog::Site*> RequireSite(const Catalog& catalog, const base::SiteId& id) {
  if (const Catalog::Site* site = catalog.FindSite(id); site != nullptr) return site;
  return absl::NotFoundError(absl::StrCat("there is no site \"", base::DisplayName(id.value()),
                                          "\"; `netsentinelctl routers` lists them"));
}

}  // namespace netsentinel::query
