#include "aggregator/app/open_store.h"

#include "absl/strings/match.h"

#include "aggregator/store/mysql_store.h"
#include "aggregator/store/sqlite_store.h"
#include "common/base/status_macros.h"

namespace netsentinel::app {

bool StoreIsElsewhere(const store::StoreLocation& store) {
  if (store.engine != store::StoreLocation::Engine::kMysql || !store.socket.empty()) return false;
  return store.host != "localhost" && store.host != "::1" && !absl::StartsWith(store.host, "127.");
}

absl::StatusOr<std::unique_ptr<store::StoreFactory>> OpenStore(
    const AggregatorSettings& settings, const store::MigrationHooks& migration) {
  if (settings.store.engine == store::StoreLocation::Engine::kSqlite) {
    store::SqliteStoreOptions options;
    options.migration = migration;
    return store::OpenSqliteStore(settings.store.path, options);
  }
  base::Secret password;
  if (settings.store_password.given()) {
    NS_ASSIGN_OR_RETURN(password, config::ReadSecret(settings.store_password));
  }
  store::MysqlStoreOptions options;
  options.migration = migration;
  options.tls.ca = settings.store_ca;
  options.tls.required = !settings.store_ca.empty();
  return store::OpenMysqlStore(settings.store, password, options);
}

}  // namespace netsentinel::app
