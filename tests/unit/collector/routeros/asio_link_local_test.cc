// Runs in a network namespace of its own, so that it has an interface with a known address.
#include <cerrno>
#include <cstring>
#include <iostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/collector/routeros/asio_client_fixture.h"

namespace netsentinel::routeros {
namespace {

using ::testing::SizeIs;

const std::vector<SentenceWords> kOneQueue = {
    {"!re", "=.id=*1", "=name=alice", "=bytes=1/2", "=packets=1/1"}, {"!done"}};

// As <linux/ipv6.h> has it, which does not go together with <netinet/in.h>.
struct AddressOfInterface {
  in6_addr address;
  std::uint32_t prefix;
  int index;
};

// What is wrong, or nothing: lo is up then and has the address fe80::1.
std::string PrepareNamespace() {
  const auto wrong = [](const char* what) {
    return absl::StrCat(what, ": ", std::strerror(errno));
  };
  // Anybody may, where the kernel lets users make namespaces; root may in any case.
  if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0 && ::unshare(CLONE_NEWNET) != 0) {
    return wrong("this machine lets the test make no network namespace");
  }
  const int control = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (control < 0) return wrong("no IPv6 on this machine");
  ifreq flags = {};
  std::strcpy(flags.ifr_name, "lo");
  flags.ifr_flags = IFF_UP | IFF_RUNNING;
  if (::ioctl(control, SIOCSIFFLAGS, &flags) != 0) return wrong("cannot start lo");
  AddressOfInterface wish = {{}, 64, static_cast<int>(::if_nametoindex("lo"))};
  ::inet_pton(AF_INET6, "fe80::1", &wish.address);
  if (::ioctl(control, SIOCSIFADDR, &wish) != 0) return wrong("cannot give lo an address");
  ::close(control);
  return "";
}

std::string& WhatIsWrong() {
  static std::string wrong;
  return wrong;
}

class LinkLocalTest : public AsioClientTest {
 protected:
  void SetUp() override { ASSERT_EQ(WhatIsWrong(), ""); }
  void ReadsVia(const std::string& host, bool tls) {
    SCOPED_TRACE(host);
    const test::TestCertificate certificate = test::MakeTestCertificate("IP:fe80::1");
    ScriptedRouterOptions options{.certificate = certificate, .address = "fe80::1%lo"};
    if (tls) options.transport = ScriptedRouterOptions::Transport::kTls;
    ScriptedRouter router(options, Answering({{"/system/resource/print", kResource},
                                              {"/queue/simple/print", kOneQueue}}));
    RouterEndpoint endpoint =
        tls ? TlsTo(router, {.pin_sha256 = certificate.sha256_hex}) : PlainTo(router);
    endpoint.host = host;
    ASSERT_THAT(Connect(std::move(endpoint)), test::IsOk());
    ASSERT_OK_AND_ASSIGN(const QueueReply reply, Await(client_->ReadQueues(simple_)));
    EXPECT_THAT(reply.readings, SizeIs(1));
    client_->Close();
  }
};

TEST_F(LinkLocalTest, ARouterIsReadUnderItsLinkLocalAddressByNameAndByNumberOfTheInterface) {
  ReadsVia("fe80::1%lo", /*tls=*/false);
  ReadsVia(absl::StrCat("fe80::1%", ::if_nametoindex("lo")), /*tls=*/false);
}

TEST_F(LinkLocalTest, ARouterIsReadUnderItsLinkLocalAddressOverTls) {
  ReadsVia("fe80::1%lo", /*tls=*/true);
}

}  // namespace

void EnterNamespace() { WhatIsWrong() = PrepareNamespace(); }

}  // namespace netsentinel::routeros

int main(int argc, char** argv) {
  // Before there is a second thread, which would keep the process out of a namespace of its own.
  netsentinel::routeros::EnterNamespace();
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
