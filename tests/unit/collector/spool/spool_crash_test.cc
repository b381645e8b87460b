#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/collector/spool/spool_fixture.h"

namespace netsentinel::spool {
namespace {

constexpr int kReportsMax = 100000;

// A process that appends and acknowledges until it is killed, and tells over a pipe what a call
// has promised: a sequence that Append returned, or (negative) one that Acknowledge was given.
[[noreturn]] void WriteUntilKilled(const SpoolOptions& options, int report) {
  test::FakeClock clock;
  base::SeededRandom random(static_cast<std::uint64_t>(::getpid()));
  auto spool = Spool::Open(options, clock, random);
  if (!spool.ok()) ::_exit(2);
  const auto tell = [report](std::int64_t value) {
    if (::write(report, &value, sizeof(value)) != sizeof(value)) ::_exit(3);
  };
  for (int i = 0; i < kReportsMax; ++i) {
    const auto sequences = (*spool)->Append({{RowOf(Simple("a"), std::string(500, 'p'))}});
    if (!sequences.ok()) ::_exit(4);
    const auto sequence = static_cast<std::int64_t>(sequences->front());
    tell(sequence);
    if (i % 3 == 2) {
      if (!(*spool)->Acknowledge({{{Simple("a"), sequences->front()}}}).ok()) ::_exit(5);
      tell(-sequence);
    }
    if (i % 7 == 6) {
      clock.Advance(absl::Hours(20));
      if (!(*spool)->Trim().ok()) ::_exit(6);
    }
  }
  ::_exit(0);
}

class SpoolCrashTest : public SpoolFixture {};

TEST_F(SpoolCrashTest, AKilledProcessLeavesEveryPromisedRowAndNoSequenceTwice) {
  std::uint64_t promised = 0;
  std::uint64_t acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(::pipe(pipe_ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe_ends[0]);
      WriteUntilKilled(Options(), pipe_ends[1]);
    }
    ::close(pipe_ends[1]);
    // Killed in the middle of whatever follows the n-th promise.
    const int promises = 3 + round * 5;
    std::int64_t value = 0;
    for (int i = 0; i < promises; ++i) {
      ASSERT_EQ(::read(pipe_ends[0], &value, sizeof(value)), ssize_t{sizeof(value)});
      if (value > 0) {
        EXPECT_GT(static_cast<std::uint64_t>(value), promised) << "a sequence was given twice";
        promised = static_cast<std::uint64_t>(value);
      } else {
        acknowledged = static_cast<std::uint64_t>(-value);
      }
    }
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    // What it still said between the last read and its end.
    while (::read(pipe_ends[0], &value, sizeof(value)) == ssize_t{sizeof(value)}) {
      if (value > 0) promised = static_cast<std::uint64_t>(value);
      if (value < 0) acknowledged = static_cast<std::uint64_t>(-value);
    }
    ::close(pipe_ends[0]);

    auto spool = Open();
    ASSERT_NE(spool, nullptr);
    EXPECT_TRUE(spool->TakeIncidents().empty());
    const auto rows = ReadAll(*spool, Simple("a"), acknowledged);
    std::uint64_t newest = acknowledged;
    for (const SpoolRow& row : rows) {
      EXPECT_EQ(row.previous_sequence, newest);
      newest = row.sequence;
    }
    EXPECT_GE(newest, promised) << "a row that Append promised is gone";
    promised = newest;
  }
}

}  // namespace
}  // namespace netsentinel::spool
