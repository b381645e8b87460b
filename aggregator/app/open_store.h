#pragma once

#include <memory>

#include "absl/status/statusor.h"

#include "aggregator/app/settings.h"
#include "aggregator/store/migration.h"
#include "aggregator/store/store.h"

namespace netsentinel::app {

// Opens the store that the settings name and brings its schema up to date as `migration` says.
absl::StatusOr<std::unique_ptr<store::StoreFactory>> OpenStore(
    const AggregatorSettings& settings, const store::MigrationHooks& migration);

// True when the store is a database that by its address runs on another host, so that its clock is
// not this one's.
bool StoreIsElsewhere(const store::StoreLocation& store);

}  // namespace netsentinel::app
