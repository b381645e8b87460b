#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/io/files.h"
#include "common/rpc/tls_files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tools/ctl/certificate_files.h"
#include "tools/ctl/certificate_life.h"

namespace netsentinel::ctl {

inline constexpr absl::Duration kDay = absl::Hours(24);

// An authority in a folder of its own, on a clock that the test moves.
class CertificateLifeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_THAT(InitAuthority(Authority(), now_, 3650 * kDay), test::IsOk());
  }

  std::string Authority() const { return folder_.path() + "/authority"; }
  std::string Out(const std::string& name) const { return folder_.path() + "/" + name; }
  static std::string Read(const std::string& path) { return io::ReadFile(path).value_or(""); }

  config::TlsFiles Issue(rpc::Role role, const std::string& name, const std::string& out = "") {
    CertificateRequest request;
    request.role = role;
    request.name = name;
    request.dns_names = {"localhost", "*.example"};
    request.ip_addresses = {"127.0.0.1", "2001:db8::1"};
    auto files = IssueInto(Authority(), Out(out.empty() ? name : out), request, now_, 90 * kDay);
    EXPECT_THAT(files, test::IsOk());
    return files.value_or(config::TlsFiles());
  }
  AuthorityFolder Open() {
    auto opened = AuthorityFolder::Open(Authority());
    EXPECT_THAT(opened, test::IsOk());
    return *std::move(opened);
  }
  std::vector<IndexEntry> InPlaceNow() { return InPlace(Open().index()); }
  // Renews the only certificate in place of that name.
  absl::StatusOr<IndexEntry> RenewOne(const std::string& name, RenewWish wish = {}) {
    AuthorityFolder authority = Open();
    const auto entries = Renewable(authority, name, std::nullopt, absl::InfiniteFuture(), now_);
    if (entries.size() != 1) return absl::InternalError("not one certificate");
    return Renew(authority, entries[0], wish, now_);
  }
  absl::Status Verified(const config::TlsFiles& files) {
    return rpc::CheckTlsFiles(files, now_).status();
  }

  absl::Time now_ = absl::FromCivil(absl::CivilDay(2026, 3, 1), absl::UTCTimeZone());
  test::TempFolder folder_;
};

}  // namespace netsentinel::ctl
