#include "collector/routeros/asio_name_service.h"

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <boost/asio/error.hpp>

#include "tests/unit/collector/routeros/asio_client_fixture.h"

namespace netsentinel::routeros {
namespace {

using ::testing::HasSubstr;

// Shared with the threads of the service, which end after the test's own members.
struct Names {
  std::promise<void> go_on;
  std::shared_future<void> released = go_on.get_future().share();
  std::atomic<int> lookups{0};
};

NameService::Answer LookUp(Names& names, const std::string& host, const std::string& port) {
  ++names.lookups;
  if (absl::StartsWith(host, "slow")) names.released.wait();
  NameService::Answer answer;
  if (host == "unknown.example") {
    answer.error = asio::error::host_not_found;
  } else {
    answer.endpoints.emplace_back(asio::ip::make_address("127.0.0.1"),
                                  static_cast<std::uint16_t>(std::stoi(port)));
  }
  return answer;
}

// Names that begin with "slow" have no answer until the test ends; others are this host.
class NameServiceTest : public AsioClientTest {
 protected:
  NameServiceTest() {
    asio::add_service(io_, new NameService(io_, [names = names_](const std::string& host,
                                                                 const std::string& port) {
                        return LookUp(*names, host, port);
                      }));
  }
  ~NameServiceTest() override { names_->go_on.set_value(); }

  RouterEndpoint Named(const ScriptedRouter& router, const std::string& name) {
    RouterEndpoint endpoint = PlainTo(router);
    endpoint.host = name;
    return endpoint;
  }

  const std::shared_ptr<Names> names_ = std::make_shared<Names>();
};

TEST_F(NameServiceTest, NamesThatGetNoAnswerKeepNoOtherWaitingAndEndWithTheirDeadline) {
  ScriptedRouter router(Answering({}));
  // However often one name is asked for, it is looked up once.
  for (int i = 0; i < 3; ++i) {
    for (const char* name : {"slow-1.example", "slow-2.example", "slow-3.example"}) {
      const absl::Status status = Connect(Named(router, name), kShort / 10);
      EXPECT_EQ(RouterErrorOf(status), RouterError::kUnreachable);
      EXPECT_THAT(Text(status), HasSubstr("no answer of the name service for 'slow-"));
    }
  }
  EXPECT_EQ(names_->lookups, 3);
  EXPECT_THAT(Connect(Named(router, "quick.example"), absl::Seconds(5)), test::IsOk());
  EXPECT_THAT(Text(Connect(Named(router, "unknown.example"), absl::Seconds(5))),
              HasSubstr("the name 'unknown.example' has no address (Host not found"));
  EXPECT_EQ(names_->lookups, 5);
}

}  // namespace
}  // namespace netsentinel::routeros
