#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "aggregator/quota/quota.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"

namespace netsentinel::query {

// What the policy in force says that answers need and the Book does not keep.
struct Catalog {
  struct Site {
    base::SiteId id;
    std::string time_zone;  // IANA name
    std::string day_start;  // "HH:MM" or "HH:MM:SS"
    std::vector<base::RouterId> routers;
  };
  std::vector<Site> sites;
  std::vector<quota::Rule> quotas;

  // Null when there is no such site.
  const Site* FindSite(const base::SiteId& id) const {
    for (const Site& site : sites) {
      if (site.id == id) return &site;
    }
    return nullptr;
  }
  // Null when the router belongs to no site.
  const Site* SiteOf(const base::RouterId& router) const {
    for (const Site& site : sites) {
      for (const base::RouterId& id : site.routers) {
        if (id == router) return &site;
      }
    }
    return nullptr;
  }
};

// The site; kNotFound, in words for people, when there is none.
absl::StatusOr<const Catalog::Site*> RequireSite(const Catalog& catalog, const base::SiteId& id);

// The Catalog in force; replaced as a whole. Thread-safe.
class CatalogHolder {
 public:
  std::shared_ptr<const Catalog> Get() const {
    base::MutexLock lock(mutex_);
    return catalog_;
  }
  void Set(Catalog catalog) {
    auto fresh = std::make_shared<const Catalog>(std::move(catalog));
    base::MutexLock lock(mutex_);
    catalog_ = std::move(fresh);
  }

 private:
  mutable base::Mutex mutex_;
  std::shared_ptr<const Catalog> catalog_ ABSL_GUARDED_BY(mutex_) =
      std::make_shared<const Catalog>();
};

}  // namespace netsentinel::query
