#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

#include "aggregator/store/migration.h"
#include "aggregator/store/store.h"

namespace netsentinel::store {

struct SqliteStoreOptions {
  // The file grows no further; writing past it is kResourceExhausted. 0: the disk is the limit.
  std::uint64_t max_file_bytes = 0;
  // The file system's magic number of a folder, as statfs(2) gives it; tests bring their own.
  std::function<absl::StatusOr<std::int64_t>(const std::string&)> file_system_magic;
  MigrationHooks migration = {};
};

// Opens or creates the embedded store and brings its schema up to date; kCancelled when a
// stop came meanwhile. Exactly one process, and in
// it one factory, has it: a lock on `<path>.lock` is held until the factory and its stores are
// gone, so kFailedPrecondition names the process that has it. The lease that a dead process left is
// ended: nobody else can hold one. Refused on network file systems, where locks and shared memory
// of SQLite do not work. Stores of one factory read beside each other and write one after the
// other.
absl::StatusOr<std::unique_ptr<StoreFactory>> OpenSqliteStore(
    const std::string& path, const SqliteStoreOptions& options = {});

}  // namespace netsentinel::store
