#include "tools/ctl/grpc_certificates_json.h"

#include <string>

#include <google/protobuf/struct.pb.h>

#include "tools/ctl/client.h"

namespace netsentinel::ctl {
namespace {

std::string Instant(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

google::protobuf::Value& Field(google::protobuf::Struct& of, const std::string& name) {
  return (*of.mutable_fields())[name];
}

google::protobuf::Struct JsonOf(const AuthorityFolder& authority, const IndexEntry& entry,
                                absl::Time now) {
  const bool ended = entry.not_after <= now;
  google::protobuf::Struct one;
  Field(one, "name").set_string_value(entry.name);
  Field(one, "role").set_string_value(std::string(rpc::RoleName(entry.role)));
  Field(one, "serial").set_string_value(entry.serial);
  Field(one, "not_before").set_string_value(Instant(entry.not_before));
  Field(one, "not_after").set_string_value(Instant(entry.not_after));
  Field(one, "days_left").set_number_value(static_cast<double>(DaysLeft(entry, now)));
  Field(one, "state").set_string_value(entry.revoked ? "revoked" : ended ? "ended" : "good");
  Field(one, "old_authority").set_bool_value(entry.issuer != authority.signer().serial);
  Field(one, "file").set_string_value(entry.path);
  if (entry.revoked) {
    Field(one, "revoked_at").set_string_value(Instant(entry.revoked_at));
    Field(one, "revocation_reason").set_string_value(entry.reason);
  }
  return one;
}

}  // namespace

void PrintCertificatesJson(const AuthorityFolder& authority, const std::vector<IndexEntry>& entries,
                           absl::Time now) {
  google::protobuf::Struct answer;
  auto* certificates = Field(answer, "certificates").mutable_list_value();
  for (const IndexEntry& entry : entries) {
    *certificates->add_values()->mutable_struct_value() = JsonOf(authority, entry, now);
  }
  Field(answer, "authority_being_replaced").set_bool_value(authority.old_signer().has_value());
  PrintJson(answer);
}

}  // namespace netsentinel::ctl
