// The loop `grpc` of /healthz: whether a server's port, its threads and gRPC behind them still
// work, tried over real sockets.
#include <atomic>
#include <condition_variable>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <poll.h>
#include <sys/socket.h>

#include "common/base/mutex.h"
#include "common/http/client.h"
#include "common/http/server.h"
#include "common/io/descriptors.h"
#include "common/rpc/asio_front.h"
#include "common/rpc/front_socket.h"
#include "tests/support/child_process.h"
#include "tests/support/http2_frames.h"
#include "tests/support/raw_peer.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_certificates.h"
#include "tests/unit/common/rpc/server_surroundings.h"

namespace netsentinel::rpc {
namespace {

using test::Http2Frame;
using test::Http2Opening;
using test::RawPeer;
using test::WaitUntil;
using testing::HasSubstr;

// The system's clock, that much later.
class LaterClock final : public base::Clock {
 public:
  absl::Time WallNow() const override { return clock_.WallNow() + Later(); }
  absl::Duration MonotonicNow() const override { return clock_.MonotonicNow() + Later(); }
  absl::Duration BootNow() const override { return clock_.BootNow() + Later(); }
  void Advance(absl::Duration by) { later_ += absl::ToInt64Nanoseconds(by); }

 private:
  absl::Duration Later() const { return absl::Nanoseconds(later_.load()); }
  const io::SystemClock clock_;
  std::atomic<std::int64_t> later_ = 0;
};

// Holds up whoever comes while it is shut.
class Gate {
 public:
  ~Gate() { Open(); }
  void Shut() {
    base::MutexLock lock(mutex_);
    shut_ = true;
  }
  void Open() {
    base::MutexLock lock(mutex_);
    shut_ = false;
    changed_.notify_all();
  }
  void Pass() {
    base::MutexLock lock(mutex_);
    ++held_up_;
    changed_.wait(lock.native(), [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !shut_; });
    --held_up_;
  }
  bool HoldsSomebodyUp() const {
    base::MutexLock lock(mutex_);
    return shut_ && held_up_ > 0;
  }

 private:
  mutable base::Mutex mutex_;
  std::condition_variable changed_;
  bool shut_ ABSL_GUARDED_BY(mutex_) = false;
  int held_up_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A front's clock. The threads that carry bytes read it for each piece that they carry, and are
// held up in it while the gate is shut; the door's thread is not.
class GatedClock final : public base::Clock {
 public:
  explicit GatedClock(Gate& gate) : gate_(gate) {}
  absl::Time WallNow() const override { return clock_.WallNow(); }
  absl::Duration MonotonicNow() const override {
    if (std::this_thread::get_id() != door_.load()) gate_.Pass();
    return clock_.MonotonicNow();
  }
  absl::Duration BootNow() const override { return clock_.BootNow(); }
  void SetDoor(std::thread::id door) { door_ = door; }

 private:
  Gate& gate_;
  const io::SystemClock clock_;
  std::atomic<std::thread::id> door_;
};

bool IsOver(int fd) {
  pollfd asked{fd, 0, 0};
  return ::poll(&asked, 1, 0) == 1 && (asked.revents & POLLHUP) != 0;
}

class PulseTest : public testing::Test {
 protected:
  using Pages = std::vector<std::pair<std::string, http::Handler>>;

  void TearDown() override {
    door_.Open();
    carriers_.Open();
  }

  absl::Duration Silence() {
    for (const auto& [name, silence] : liveness_.Loops()) {
      if (name == "grpc") return silence;
    }
    return absl::InfiniteDuration();
  }
  void Start(AsioFront::Handover handover) {
    FrontOptions options;
    options.address = {"127.0.0.1", 0};
    options.security = certificates_.Secure(Role::kAggregator, "main");
    options.pulse_every = absl::Milliseconds(50);
    options.admits = {Role::kCollector};
    Surroundings around = around_.all();
    ASSERT_OK_AND_ASSIGN(front_, AsioFront::Start(options, around_.authority, std::move(handover),
                                                  {gated_clock_, around.random, around.logger,
                                                   around.metrics, around.readiness, liveness_}));
    ASSERT_OK_AND_ASSIGN(
        pages_,
        http::Server::Start({.address = {"127.0.0.1", 0}},
                            http::StandardHandlers(around_.metrics, liveness_, around_.readiness),
                            around_.logger));
  }
  // What stands behind the port answers with SETTINGS, as gRPC does, and keeps the connection.
  void StartAnswering() {
    Start([this](int fd) {
      gated_clock_.SetDoor(std::this_thread::get_id());
      door_.Pass();
      const std::string settings = Http2Frame(4, 0, 0, "");
      ::send(fd, settings.data(), settings.size(), MSG_NOSIGNAL);
      base::MutexLock lock(mutex_);
      ++handed_over_;
      std::erase_if(taken_, [](const auto& taken) { return IsOver(taken.get()); });
      taken_.emplace_back(fd);
    });
  }
  // Three more pulses have begun, so the ones that had begun before this are over.
  void WaitForPulses() {
    const auto begun = [this] {
      base::MutexLock lock(mutex_);
      return handed_over_;
    };
    const int before = begun();
    ASSERT_TRUE(WaitUntil([&] { return begun() > before + 2; }));
  }

  std::string Healthz() {
    const auto page = http::Fetch({"127.0.0.1", pages_->port()}, "/healthz");
    return page.ok() ? absl::StrCat(page->status, " ", page->body) : page.status().ToString();
  }
  // However late it is now, the loop turns again and /healthz says so.
  bool IsAlive() {
    later_.Advance(absl::Minutes(1));
    return WaitUntil([this] { return Healthz() == "200 alive\n"; });
  }
  // The loop does not turn: time alone makes it overdue, and further pulses do not help.
  void ExpectOverdue(bool further_pulses = true) {
    later_.Advance(absl::Minutes(1));
    if (further_pulses) WaitForPulses();
    EXPECT_THAT(Healthz(),
                AllOf(HasSubstr("503 grpc: silent for 1m"), HasSubstr("which is longer than 30s")));
  }
  RawPeer Peer() { return {front_->port(), certificates_.Issue(Role::kCollector, "honest")}; }

  const test::TestCertificates certificates_;
  LaterClock later_;
  http::Liveness liveness_{later_};
  ServerSurroundings around_;
  Gate door_, carriers_;
  GatedClock gated_clock_{carriers_};
  base::Mutex mutex_;
  int handed_over_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<io::FileDescriptor> taken_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<AsioFront> front_;
  std::unique_ptr<http::Server> pages_;
};

TEST_F(PulseTest, ItTurnsWhileThePortAndWhatIsBehindItAnswer) {
  StartAnswering();
  EXPECT_TRUE(IsAlive());
  EXPECT_TRUE(IsAlive());
  EXPECT_EQ(around_.logger.Count("rpc.refused"), 0U);
}

TEST_F(PulseTest, ItStopsWhenGrpcIsSilent) {
  Start([this](int fd) {
    base::MutexLock lock(mutex_);
    ++handed_over_;
    taken_.emplace_back(fd);
  });
  ExpectOverdue();
}

TEST_F(PulseTest, ItStopsWhenThePortIsDead) {
  StartAnswering();
  EXPECT_TRUE(IsAlive());
  for (int fd = 0; fd < io::DescriptorLimit() && fd < 4096; ++fd) {
    int listens = 0;
    socklen_t length = sizeof(listens);
    if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) == 0 && listens == 1 &&
        LocalPort(fd) == front_->port()) {
      ::shutdown(fd, SHUT_RDWR);
    }
  }
  // No pulse begins any more: the port does not answer the dial.
  EXPECT_TRUE(WaitUntil([&] { return Silence() > absl::Seconds(2); }));
  ExpectOverdue(/*further_pulses=*/false);
}

TEST_F(PulseTest, APortThatAcceptsAndServesNobodyIsOverdueUntilItServesAgain) {
  StartAnswering();
  EXPECT_TRUE(IsAlive());
  door_.Shut();
  ASSERT_TRUE(WaitUntil([&] { return door_.HoldsSomebodyUp(); }));
  // The kernel still takes connections, and what they send.
  RawPeer stranger(front_->port());
  EXPECT_TRUE(stranger.Send(test::HalfHello()));
  ExpectOverdue(/*further_pulses=*/false);
  door_.Open();
  EXPECT_TRUE(IsAlive());
  EXPECT_TRUE(Peer().connected());
}

TEST_F(PulseTest, AThreadThatCarriesNothingAnyMoreIsOverdueUntilItCarriesAgain) {
  StartAnswering();
  RawPeer inside = Peer();
  ASSERT_TRUE(inside.Send(Http2Opening()));
  ASSERT_EQ(inside.Read(9).size(), 9U);
  EXPECT_TRUE(IsAlive());
  carriers_.Shut();
  ASSERT_TRUE(inside.Send(Http2Frame(6, 0, 0, "12345678")));
  ASSERT_TRUE(WaitUntil([&] { return carriers_.HoldsSomebodyUp(); }));
  // What had been asked before the thread stood still may yet be answered; later pulses are not.
  WaitForPulses();
  // Everything else works.
  EXPECT_TRUE(Peer().connected());
  ExpectOverdue();
  carriers_.Open();
  EXPECT_TRUE(IsAlive());
}

}  // namespace
}  // namespace netsentinel::rpc
