#include "tools/ctl/certificate_index.h"

#include <cstddef>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "common/base/status_macros.h"

namespace netsentinel::ctl {
namespace {

constexpr absl::string_view kHead = "netsentinel-certificates ";
constexpr int kVersion = 1;
constexpr std::size_t kFields = 9;

absl::Status Unreadable(std::size_t line, absl::string_view why) {
  return absl::DataLossError(absl::StrCat("line ", line, " of the index cannot be read: ", why,
                                          "; bring the authority's folder back from its backup"));
}

absl::StatusOr<IndexEntry> ParseEntry(absl::string_view text, std::size_t line) {
  const std::vector<std::string> fields = absl::StrSplit(text, '\t');
  if (fields.size() != kFields) return Unreadable(line, "it has not nine fields");
  IndexEntry entry;
  entry.serial = fields[0];
  const absl::StatusOr<rpc::Role> role = rpc::ParseRole(fields[1]);
  if (!role.ok()) return Unreadable(line, "its role is unknown");
  entry.role = *role;
  entry.name = fields[2];
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t revoked = 0;
  if (!absl::SimpleAtoi(fields[3], &begin) || !absl::SimpleAtoi(fields[4], &end) ||
      (fields[7] != "-" && !absl::SimpleAtoi(fields[7], &revoked))) {
    return Unreadable(line, "a time is not a number");
  }
  entry.not_before = absl::FromUnixSeconds(begin);
  entry.not_after = absl::FromUnixSeconds(end);
  entry.issuer = fields[5];
  entry.path = fields[6];
  entry.revoked = fields[7] != "-";
  if (entry.revoked) {
    entry.revoked_at = absl::FromUnixSeconds(revoked);
    entry.reason = fields[8];
  }
  if (entry.serial.empty() || !rpc::IsPeerName(entry.name)) {
    return Unreadable(line, "its serial number or name is wrong");
  }
  return entry;
}

}  // namespace

std::string FormatIndex(const CertificateIndex& index) {
  std::string text = absl::StrCat(kHead, kVersion, "\n", index.list_number, "\n");
  for (const IndexEntry& one : index.entries) {
    absl::StrAppend(&text, one.serial, "\t", rpc::RoleName(one.role), "\t", one.name, "\t");
    absl::StrAppend(&text, absl::ToUnixSeconds(one.not_before), "\t",
                    absl::ToUnixSeconds(one.not_after), "\t", one.issuer, "\t", one.path, "\t");
    if (one.revoked) {
      absl::StrAppend(&text, absl::ToUnixSeconds(one.revoked_at), "\t", one.reason, "\n");
    } else {
      absl::StrAppend(&text, "-\t-\n");
    }
  }
  return text;
}

absl::StatusOr<CertificateIndex> ParseIndex(absl::string_view text) {
  CertificateIndex index;
  std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (lines.size() < 3 || !lines.back().empty()) return Unreadable(lines.size(), "it is cut off");
  lines.pop_back();
  absl::string_view head = lines[0];
  int version = 0;
  if (!absl::ConsumePrefix(&head, kHead) || !absl::SimpleAtoi(head, &version)) {
    return Unreadable(1, "it is not an index of certificates");
  }
  if (version != kVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the index has version ", version, ", this program knows ", kVersion,
                     ": use the netsentinelctl that wrote it, or a newer one"));
  }
  if (!absl::SimpleAtoi(lines[1], &index.list_number)) {
    return Unreadable(2, "the number of the revocation list is not a number");
  }
  for (std::size_t i = 2; i < lines.size(); ++i) {
    NS_ASSIGN_OR_RETURN(IndexEntry entry, ParseEntry(lines[i], i + 1));
    index.entries.push_back(std::move(entry));
  }
  return index;
}

std::int64_t DaysLeft(const IndexEntry& entry, absl::Time now) {
  if (entry.not_after <= now) return 0;
  constexpr absl::Duration kDay = absl::Hours(24);
  return absl::Ceil(entry.not_after - now, kDay) / kDay;
}

std::vector<IndexEntry> InPlace(const CertificateIndex& index) {
  std::map<std::string, std::size_t> newest;
  for (std::size_t i = 0; i < index.entries.size(); ++i) newest[index.entries[i].path] = i;
  std::vector<IndexEntry> found;
  for (std::size_t i = 0; i < index.entries.size(); ++i) {
    if (newest[index.entries[i].path] == i) found.push_back(index.entries[i]);
  }
  return found;
}

}  // namespace netsentinel::ctl
