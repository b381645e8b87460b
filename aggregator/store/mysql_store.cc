#include "aggregator/store/mysql_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/migrate.h"
#include "aggregator/store/mysql_session.h"
#include "aggregator/store/schema.h"
#include "aggregator/store/sql_store.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr int kMigrationWaitSeconds = 20;
constexpr std::size_t kLockNameMax = 64;

class MysqlFactory final : public StoreFactory {
 public:
  explicit MysqlFactory(std::shared_ptr<MysqlTarget> target) : target_(std::move(target)) {}
  absl::StatusOr<std::unique_ptr<Store>> Connect() override {
    auto session = std::make_unique<MysqlSession>(target_);
    NS_RETURN_IF_ERROR(session->Connect());
    return std::make_unique<SqlStore>(std::move(session));
  }

 private:
  std::shared_ptr<MysqlTarget> target_;
};

// One program at a time changes the schema; the name is the server's, so it holds the database's.
absl::Status MigrateAlone(const std::shared_ptr<MysqlTarget>& target,
                          absl::FunctionRef<absl::Status(SqlSession&)> go_on) {
  MysqlSession session(target);
  NS_RETURN_IF_ERROR(session.Connect());
  const std::string name =
      absl::StrCat("netsentinel.", target->location.database).substr(0, kLockNameMax);
  {
    NS_ASSIGN_OR_RETURN(auto rows, session.Query("SELECT GET_LOCK(?, ?)",
                                                 {Text(name), Int(kMigrationWaitSeconds)}));
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found || rows->Int(0) != 1) {
      return absl::UnavailableError(
          "another program has been changing the database schema for 20 s: try again");
    }
  }
  // An open transaction of somebody else holds up a change of its tables, a day long by default.
  NS_RETURN_IF_ERROR(
      session.Execute("SET SESSION lock_wait_timeout = ?", {Int(kMigrationWaitSeconds)}));
  const absl::Status status = Migrate(session, target->options.migration, go_on);
  // The lock goes with the session at the latest.
  session.Execute("DO RELEASE_LOCK(?)", {Text(name)}).IgnoreError();
  return status;
}

absl::Status BringUpToDate(const std::shared_ptr<MysqlTarget>& target) {
  int found = 0;
  {
    MysqlSession session(target);
    NS_RETURN_IF_ERROR(session.Connect());
    NS_ASSIGN_OR_RETURN(found, SchemaVersion(session));
  }
  if (found == NewestSchemaVersion()) return absl::OkStatus();
  auto patient = std::make_shared<MysqlTarget>();
  patient->location = target->location;
  patient->password = target->password;
  patient->options = target->options;
  patient->options.io_timeout = target->options.migration_timeout;
  // Nobody writes yet.
  if (found == 0) return MigrateAlone(patient, [](SqlSession&) { return absl::OkStatus(); });
  MigrationLease lease(std::make_unique<SqlStore>(std::make_unique<MysqlSession>(target)),
                       target->options.migration);
  NS_RETURN_IF_ERROR(lease.Take(found));
  return MigrateAlone(patient, [&](SqlSession& session) { return lease.Check(session); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<StoreFactory>> OpenMysqlStore(const StoreLocation& location,
                                                             const base::Secret& password,
                                                             MysqlStoreOptions options) {
  auto target = std::make_shared<MysqlTarget>();
  target->location = location;
  target->password = password;
  target->mask = base::SecretMask(password);
  target->options = std::move(options);
  NS_RETURN_IF_ERROR(BringUpToDate(target));
  return std::make_unique<MysqlFactory>(std::move(target));
}

}  // namespace netsentinel::store
