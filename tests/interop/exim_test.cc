// The SMTP channel against Exim: STARTTLS, AUTH, one refused recipient, delivery into a maildir.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "notifier/channel/curl_smtp_channel.h"
#include "notifier/channel/gmime_message.h"
#include "tests/support/child_process.h"
#include "tests/support/smtp_catcher.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::channel {
namespace {

using ::testing::HasSubstr;

constexpr char kConfig[] = R"(
primary_hostname = mail.example
spool_directory = FOLDER/spool
log_file_path = FOLDER/log/%slog
pid_file_path = FOLDER/exim.pid
exim_user = USER
exim_group = USER
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
domainlist local_domains = example
tls_advertise_hosts = *
tls_certificate = FOLDER/cert.pem
tls_privatekey = FOLDER/key.pem
acl_smtp_rcpt = check_recipient
keep_environment =
deliver_drop_privilege = true

begin acl
check_recipient:
  deny !authenticated = *
       message = log in first
  accept domains = +local_domains
         local_parts = noc
  deny message = nobody of that name

begin routers
local:
  driver = accept
  transport = maildir

begin transports
maildir:
  driver = appendfile
  directory = FOLDER/maildir
  maildir_format
  user = USER
  group = USER

begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{alerts}}{eq{$auth3}{secret}}}}
  server_set_id = $auth2
  server_advertise_condition = ${if def:tls_in_cipher}
)";

// A port of 127.0.0.1 that the kernel says is free; Exim cannot be told to choose one itself.
std::uint16_t FreePort() {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  NS_CHECK(::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0, "bind");
  NS_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0, "getsockname");
  ::close(fd);
  return ntohs(address.sin_port);
}

class EximTest : public ::testing::Test {
 protected:
  static Letter SampleLetter() {
    return {.id = "letter-1",
            .date = absl::FromUnixSeconds(1774534495),
            .subject = "NetSentinel lahore: علی passed 100 %",
            .text = "one\n.\n..two\n",
            .html = "<p>one</p>\n",
            .csv_name = "usage.csv",
            .csv = "a,b\r\n1,2\r\n"};
  }
  void SetUp() override {
    const std::string& folder = folder_.path();
    test::MakeCertificate(folder, "localhost");
    for (const char* part : {"/spool", "/log", "/maildir"}) {
      std::filesystem::create_directories(folder + part);
    }
    // As root Exim works under its own user, else under the one that runs the test.
    const passwd* user = ::getpwnam("Debian-exim");
    if (::geteuid() != 0 || user == nullptr) user = ::getpwuid(::geteuid());
    ASSERT_NE(user, nullptr);
    const std::string name = user->pw_name;
    for (const char* part : {"", "/spool", "/log", "/maildir", "/cert.pem", "/key.pem"}) {
      ASSERT_EQ(::chown((folder + part).c_str(), user->pw_uid, user->pw_gid), 0) << part;
    }
    port_ = FreePort();
    std::ofstream(folder + "/exim.conf") << absl::StrReplaceAll(
        kConfig, {{"FOLDER", folder}, {"USER", name}, {"PORT", absl::StrCat(port_)}});
    exim_ = std::make_unique<test::ChildProcess>(
        std::vector<std::string>{"/usr/sbin/exim4", "-C", folder + "/exim.conf", "-bdf", "-q1h"},
        folder + "/exim.out");
    ASSERT_TRUE(test::WaitUntil([&] { return std::filesystem::exists(folder + "/exim.pid"); }))
        << Log();
  }
  std::string Log() const {
    return absl::StrCat(test::ReadWhole(folder_.path() + "/exim.out"),
                        test::ReadWhole(folder_.path() + "/log/mainlog"),
                        test::ReadWhole(folder_.path() + "/log/paniclog"));
  }
  std::vector<std::string> Maildir() const {
    std::vector<std::string> mails;
    std::error_code none;
    for (const auto& entry :
         std::filesystem::directory_iterator(folder_.path() + "/maildir/new", none)) {
      mails.push_back(test::ReadWhole(entry.path().string()));
    }
    return mails;
  }

  test::TempFolder folder_;
  std::uint16_t port_ = 0;
  std::unique_ptr<test::ChildProcess> exim_;
};

TEST_F(EximTest, TakesAMailOverTlsWithALoginAndRefusesOneRecipient) {
  const Mailbox from{.name = "Größe", .address = "alerts@example"};
  auto channel = CurlSmtpChannel::Create({.host = "localhost",
                                          .port = port_,
                                          .tls = SmtpTls::kStartTls,
                                          .ca_file = folder_.path() + "/cert.pem",
                                          .username = "alerts",
                                          .password = base::Secret("secret"),
                                          .from = from,
                                          .hello_name = "notifier.example"});
  ASSERT_THAT(channel, test::IsOk());
  const Letter letter = SampleLetter();
  SendResult result;
  // The pid file is there a moment before the socket is.
  ASSERT_TRUE(test::WaitUntil([&] {
    result = (*channel)->Send(letter, "noc@example");
    return result.outcome != Outcome::kChannelDown;
  })) << result.detail;
  EXPECT_EQ(result.outcome, Outcome::kDelivered) << result.detail << "\n" << Log();
  const SendResult refused = (*channel)->Send(letter, "nobody@example");
  EXPECT_EQ(refused.outcome, Outcome::kRejected) << refused.detail;
  EXPECT_THAT(refused.detail, HasSubstr("nobody of that name"));
  ASSERT_TRUE(test::WaitUntil([&] { return !Maildir().empty(); })) << Log();
  ASSERT_OK_AND_ASSIGN(const std::string built, BuildMail(letter, from, "noc@example"));
  // Exim adds headers in front and keeps the rest; a maildir has bare line feeds.
  EXPECT_THAT(Maildir()[0], HasSubstr(absl::StrReplaceAll(built.substr(built.find("MIME-Version")),
                                                          {{"\r\n", "\n"}})));
  EXPECT_THAT(Maildir()[0], HasSubstr(MessageId("letter-1", "noc@example", "example")));
}

TEST_F(EximTest, WithoutALoginNobodyIsGivenUp) {
  auto channel = CurlSmtpChannel::Create({.host = "localhost",
                                          .port = port_,
                                          .tls = SmtpTls::kStartTls,
                                          .ca_file = folder_.path() + "/cert.pem",
                                          .from = {.address = "alerts@example"},
                                          .hello_name = "notifier.example"});
  ASSERT_THAT(channel, test::IsOk());
  SendResult result;
  ASSERT_TRUE(test::WaitUntil([&] {
    result = (*channel)->Send(SampleLetter(), "noc@example");
    return result.outcome != Outcome::kChannelDown;
  })) << result.detail;
  EXPECT_EQ(result.outcome, Outcome::kNotPermitted);
  EXPECT_THAT(result.detail, HasSubstr("log in first"));
}

}  // namespace
}  // namespace netsentinel::channel
