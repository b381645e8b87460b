#include "common/rpc/peer_identity.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "common/base/display_name.h"

namespace netsentinel::rpc {
namespace {

constexpr absl::string_view kPrefix = "spiffe://netsentinel/";

constexpr std::array<std::pair<Role, absl::string_view>, 6> kRoles = {
    {{Role::kCollector, "collector"},
     {Role::kAggregator, "aggregator"},
     {Role::kNotifier, "notifier"},
     {Role::kOperator, "operator"},
     {Role::kViewer, "viewer"},
     {Role::kAdmin, "admin"}}};

}  // namespace

absl::string_view RoleName(Role role) {
  for (const auto& [known, name] : kRoles) {
    if (known == role) return name;
  }
  return "local";
}

absl::StatusOr<Role> ParseRole(absl::string_view name) {
  for (const auto& [role, known] : kRoles) {
    if (known == name) return role;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "\"", base::DisplayName(name),
      "\" is not a role; the roles are collector, aggregator, notifier, operator, viewer "
      "and admin"));
}

bool IsPeerName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

std::string PeerUri(Role role, absl::string_view id) {
  return absl::StrCat(kPrefix, RoleName(role), "/", id);
}

absl::StatusOr<PeerIdentity> ParsePeerUri(absl::string_view uri) {
  const auto refuse = [&](absl::string_view why) {
    return absl::UnauthenticatedError(
        absl::StrCat("the certificate's name \"", base::DisplayName(uri.substr(0, 200)), "\" ", why,
                     "; issue one with `netsentinelctl certs issue --role ROLE --name NAME`"));
  };
  absl::string_view rest = uri;
  if (!absl::ConsumePrefix(&rest, kPrefix)) return refuse("is not one of NetSentinel");
  const std::size_t slash = rest.find('/');
  if (slash == absl::string_view::npos) return refuse("has no role and id");
  const absl::StatusOr<Role> role = ParseRole(rest.substr(0, slash));
  if (!role.ok()) return refuse("has an unknown role");
  const absl::string_view id = rest.substr(slash + 1);
  if (!IsPeerName(id)) return refuse("has an id that is not allowed");
  return PeerIdentity{*role, std::string(id), true};
}

}  // namespace netsentinel::rpc
