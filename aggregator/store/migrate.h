#pragma once

#include <memory>
#include <thread>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "aggregator/store/migration.h"
#include "aggregator/store/sql_session.h"
#include "aggregator/store/store.h"
#include "common/base/mutex.h"

// Changing the schema of a database.
namespace netsentinel::store {

// The version of the schema that the database has; 0: none yet. kFailedPrecondition when it is
// newer than this program. Changes nothing.
absl::StatusOr<int> SchemaVersion(SqlSession& session);

// Brings the schema up to date, forward only. `go_on` is asked before each statement and at the
// begin of each transaction, on its session; its error ends the change, which the next call goes on
// with, and so does a stop (kCancelled). kFailedPrecondition when the database's schema is newer
// than this program or belongs to something else.
absl::Status Migrate(SqlSession& session, const MigrationHooks& hooks,
                     absl::FunctionRef<absl::Status(SqlSession&)> go_on);

// The lease, for as long as a schema is changed that another aggregator may write meanwhile: it is
// waited for, and with it the fence rises, so that whoever wrote under the old schema has ended.
// It is renewed by a thread of its own, since one statement may last longer than a lease, and not
// given up at the end: the same holder takes it again at once, anybody else when it has run out.
class MigrationLease {
 public:
  // `hooks` must outlive this.
  MigrationLease(std::unique_ptr<Store> store, const MigrationHooks& hooks);
  ~MigrationLease();
  MigrationLease(const MigrationLease&) = delete;
  MigrationLease& operator=(const MigrationLease&) = delete;

  // Waits for the lease. kCancelled after a stop; otherwise as Store::AcquireLease.
  absl::Status Take(int found);
  // kAborted when somebody else has the lease now. Inside a transaction of `session` it stays true
  // until that ends.
  absl::Status Check(SqlSession& session);

 private:
  void Keep(const std::stop_token& stop);

  const std::unique_ptr<Store> store_;
  const MigrationHooks& hooks_;
  Fence fence_;
  std::jthread keeper_;
};

}  // namespace netsentinel::store
