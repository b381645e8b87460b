#include "tools/ctl/grpc_certificates_json.h"

#include <string>

#include <google/protobuf/struct.pb.h>

#include "tools/ctl/client.h"

namespace netsentinel::ctl {
namespace {

std::string Instant(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

google::protobuf::Struct JsonOf(const AuthorityFolder& authority, const IndexEntry& entry,
                                absl::Time now) {
  const bool ended = entry.not_after <= now;
  google::protobuf::Struct one;
  auto& fields = *one.mutable_fields();
  fields["name"].set_string_value(entry.name);
  fields["role"].set_string_value(std::string(rpc::RoleName(entry.role)));
  fields["serial"].set_string_value(entry.serial);
  fields["not_before"].set_string_value(Instant(entry.not_before));
  fields["not_after"].set_string_value(Instant(entry.not_after));
  fields["days_left"].set_number_value(
      ended ? 0 : static_cast<double>((entry.not_after - now) / absl::Hours(24)));
  fields["state"].set_string_value(entry.revoked ? "revoked" : ended ? "ended" : "good");
  fields["old_authority"].set_bool_value(entry.issuer != authority.signer().serial);
  fields["file"].set_string_value(entry.path);
  if (entry.revoked) {
    fields["revoked_at"].set_string_value(Instant(entry.revoked_at));
    fields["revocation_reason"].set_string_value(entry.reason);
  }
  return one;
}

}  // namespace

void PrintCertificatesJson(const AuthorityFolder& authority, const std::vector<IndexEntry>& entries,
                           absl::Time now) {
  google::protobuf::Struct answer;
  auto& fields = *answer.mutable_fields();
  auto* certificates = fields["certificates"].mutable_list_value();
  for (const IndexEntry& entry : entries) {
    *certificates->add_values()->mutable_struct_value() = JsonOf(authority, entry, now);
  }
  fields["authority_being_replaced"].set_bool_value(authority.old_signer().has_value());
  PrintJson(answer);
}

}  // namespace netsentinel::ctl
