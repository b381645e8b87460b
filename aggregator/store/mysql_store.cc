#include "aggregator/store/mysql_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

#include "aggregator/store/mysql_session.h"
#include "aggregator/store/schema.h"
#include "aggregator/store/sql_store.h"
#include "common/base/status_macros.h"

namespace netsentinel::store {
namespace {

constexpr int kMigrationWaitSeconds = 20;

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
absl::StatusOr<std::string> MigrateAlone(MysqlSession& session, const std::string& database) {
  const std::string name = absl::StrCat("netsentinel.", database).substr(0, 64);
  {
    NS_ASSIGN_OR_RETURN(auto rows, session.Query("SELECT GET_LOCK(?, ?)",
                                                 {Text(name), Int(kMigrationWaitSeconds)}));
    NS_ASSIGN_OR_RETURN(const bool found, rows->Next());
    if (!found || rows->Int(0) != 1) {
      return absl::UnavailableError(
          "another program has been changing the database schema for 20 s: try again");
    }
  }
  absl::StatusOr<std::string> remark = Migrate(session);
  // The lock goes with the session at the latest.
  session.Execute("DO RELEASE_LOCK(?)", {Text(name)}).IgnoreError();
  return remark;
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
  MysqlSession session(target);
  NS_RETURN_IF_ERROR(session.Connect());
  NS_ASSIGN_OR_RETURN(const std::string remark, MigrateAlone(session, location.database));
  if (!remark.empty() && target->options.remark) target->options.remark(remark);
  return std::make_unique<MysqlFactory>(std::move(target));
}

}  // namespace netsentinel::store
