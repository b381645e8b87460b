#include "common/shell/reload.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace netsentinel::shell {

// Taken apart as a whole: a new member does not compile until it is compared here.
void AddListen(const config::Listen& running, const config::Listen& fresh, KeyChanges& changes) {
  const auto& [grpc, http, age, connections, per_name] = running;
  const auto& [fresh_grpc, fresh_http, fresh_age, fresh_connections, fresh_per_name] = fresh;
  static_cast<void>(http);
  static_cast<void>(fresh_http);
  changes.emplace_back("listen.grpc", grpc != fresh_grpc);
  changes.emplace_back("listen.max_connection_age", age != fresh_age);
  changes.emplace_back("listen.max_connections", connections != fresh_connections);
  changes.emplace_back("listen.max_connections_per_name", per_name != fresh_per_name);
}

void AddPeer(absl::string_view section, const config::Peer& running, const config::Peer& fresh,
             KeyChanges& changes) {
  const auto& [target, security, proxy] = running;
  const auto& [fresh_target, fresh_security, fresh_proxy] = fresh;
  changes.emplace_back(absl::StrCat(section, ".target"), target != fresh_target);
  changes.emplace_back(absl::StrCat(section, ".tls"), security != fresh_security);
  changes.emplace_back(absl::StrCat(section, ".environment_proxy"), proxy != fresh_proxy);
}

absl::Status OnlyWithRestart(const KeyChanges& changed) {
  std::vector<absl::string_view> keys;
  for (const auto& [key, differs] : changed) {
    if (differs) keys.push_back(key);
  }
  if (keys.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(absl::StrJoin(keys, ", "), keys.size() == 1 ? " changes" : " change",
                   " only with a restart; nothing of the file was taken over"));
}

}  // namespace netsentinel::shell
