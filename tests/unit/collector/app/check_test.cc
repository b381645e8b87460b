#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "collector/app/collector_app.h"
#include "common/io/files.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace netsentinel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

// Settings whose files are all there; each test takes one away.
class CollectorCheckTest : public ::testing::Test {
 protected:
  CollectorCheckTest() {
    settings_.id = base::CollectorId("c1");
    settings_.aggregator.security = certificates_.Secure(rpc::Role::kCollector, "c1");
    settings_.security = certificates_.Secure(rpc::Role::kCollector, "listener");
    settings_.routers.resize(2);
    for (RouterSettings& router : settings_.routers) {
      router.id = base::RouterId(&router == &settings_.routers[0] ? "r1" : "r2");
      router.password.key = "routers[].password";
      router.password.file = Path("password");
      router.endpoint.tls.ca_file = settings_.security.tls.ca;
    }
    EXPECT_THAT(io::WriteFileDurably(Path("password"), "secret\n", 0600), test::IsOk());
    settings_.state_dir = Path("state");
    EXPECT_THAT(io::WriteFileDurably(Path("junk"), "no certificate\n", 0600), test::IsOk());
  }
  std::string Path(const std::string& name) const { return folder_.path() + "/" + name; }

  test::TempFolder folder_;
  test::TestCertificates certificates_;
  CollectorSettings settings_;
  CollectorApp app_;
};

TEST_F(CollectorCheckTest, PassesWhenEveryFileIsThere) {
  EXPECT_THAT(app_.Check(settings_), test::IsOk());
}

TEST_F(CollectorCheckTest, LooksAtTheListenersCertificatesToo) {
  settings_.security.tls = certificates_.IssueExpired(rpc::Role::kCollector, "listener");
  EXPECT_THAT(app_.Check(settings_), test::StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    HasSubstr("listener.crt expired on")));
}

TEST_F(CollectorCheckTest, LooksAtTheUplinksCertificates) {
  settings_.aggregator.security.tls.key = settings_.security.tls.key;
  EXPECT_THAT(app_.Check(settings_), test::StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    HasSubstr("does not belong to")));
}

TEST_F(CollectorCheckTest, FindsThatTheCertificateIsAnotherCollectors) {
  settings_.id = base::CollectorId("karachi");
  EXPECT_THAT(app_.Check(settings_),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("is for collector \"c1\", but collector.id is "
                                             "\"karachi\": make them the same"),
                                   HasSubstr("c1.crt"))));
  settings_.aggregator.security = certificates_.Secure(rpc::Role::kViewer, "karachi");
  EXPECT_THAT(app_.Check(settings_), test::StatusIs(absl::StatusCode::kFailedPrecondition,
                                                    HasSubstr("--role collector --name karachi")));
}

TEST_F(CollectorCheckTest, NamesTheRouterWhosePasswordHasMoreThanOneLine) {
  ASSERT_THAT(io::WriteFileDurably(Path("password"), "one\r\ntwo\r\n", 0600), test::IsOk());
  EXPECT_THAT(app_.Check(settings_),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("router r1: "), HasSubstr("more than one line"))));
}

TEST_F(CollectorCheckTest, NamesTheRouterWhosePasswordIsMissing) {
  settings_.routers[1].password.file = Path("none");
  EXPECT_THAT(app_.Check(settings_),
              test::StatusIs(absl::StatusCode::kNotFound,
                             AllOf(HasSubstr("router r2: "), HasSubstr(Path("none")))));
  settings_.routers[1].password.file = Path("password");
  std::filesystem::permissions(Path("password"), std::filesystem::perms(0644));
  EXPECT_THAT(app_.Check(settings_),
              test::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("chmod 0600")));
}

TEST_F(CollectorCheckTest, SaysThatAFolderForItsStateCannotBeMade) {
  settings_.state_dir = Path("junk/state");
  EXPECT_THAT(app_.Check(settings_),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             "collector.state_dir: " + Path("junk/state") +
                                 " cannot be made: " + Path("junk") + " is not a folder"));
}

TEST_F(CollectorCheckTest, NamesTheRouterWhoseAuthorityIsNone) {
  settings_.routers[0].endpoint.tls.ca_file = Path("junk");
  EXPECT_THAT(app_.Check(settings_),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             AllOf(HasSubstr("router r1: "), HasSubstr("no PEM certificate"))));
}

}  // namespace
}  // namespace netsentinel::app
