#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "aggregator/store/migration.h"
#include "aggregator/store/store.h"
#include "common/base/secret.h"

namespace netsentinel::store {

// TLS to the database. With `ca` the server's certificate is checked against it; without, the
// connection is encrypted when `required`, but anybody could be at its other end.
struct MysqlTls {
  bool required = false;
  std::string ca;    // files
  std::string cert;  // of this client
  std::string key;
};

struct MysqlStoreOptions {
  MysqlTls tls;
  absl::Duration connect_timeout = absl::Seconds(5);
  // The longest that one statement may take or one packet may travel.
  absl::Duration io_timeout = absl::Seconds(30);
  // The same while the schema is changed: a server may rebuild a table for one statement.
  absl::Duration migration_timeout = absl::Minutes(10);
  absl::Duration lock_wait = absl::Seconds(5);
  // The server drops a session, and its locks, that has been silent for this long.
  absl::Duration session_timeout = absl::Seconds(15);
  // A statement is sent when it has either; never more than half of max_allowed_packet.
  std::size_t rows_per_statement = 1000;
  std::size_t bytes_per_statement = 1 << 20;
  MigrationHooks migration = {};
};

// Connects to MySQL 8+ or MariaDB 10.6+ and brings the schema up to date; several programs may
// start at once. A schema that is older is changed under the lease: that is waited for as long as
// an aggregator holds it, and kept in the name of `migration.holder`. The database must exist and
// hold nothing else. kCancelled after a stop; kUnavailable while no server of the
// list answers and writes; kFailedPrecondition for a wrong password, missing rights, an old server.
// Stores connect again by themselves; a store's session lives in UTC at READ COMMITTED.
absl::StatusOr<std::unique_ptr<StoreFactory>> OpenMysqlStore(const StoreLocation& location,
                                                             const base::Secret& password,
                                                             MysqlStoreOptions options = {});

}  // namespace netsentinel::store
