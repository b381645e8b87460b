// Counts the allocations of a poll. An executable of its own: it replaces operator new.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "collector/routeros/queue_menu_reader.h"
#include "collector/routeros/session.h"
#include "common/counters/descriptor_table.h"
#include "tests/support/queue_reply.h"

namespace {
std::size_t allocations = 0;
}  // namespace

void* operator new(std::size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace netsentinel::routeros {
namespace {

void Give(Session& session, absl::string_view bytes) {
  const absl::Span<char> space = session.ReadSpace(16 * 1024);
  std::copy(bytes.begin(), bytes.end(), space.begin());
  session.OnRead(bytes.size());
}

// Allocations from the first byte of a reply to its readings, which are given away as a poller
// does.
std::size_t PollAllocations(Session& session, QueueMenuReader& reader, std::size_t rows) {
  std::vector<counters::QueueReading> readings;
  const RequestTag tag = session.Send(reader.PrintCommand()).value();
  session.OnWritten(session.output().size());
  const std::string reply = test::MakeQueueReply({.rows = rows, .tag = std::to_string(tag)});
  absl::string_view bytes = reply;
  const std::size_t before = allocations;
  reader.Begin();
  while (true) {
    const SessionEvent event = session.Next();
    if (event.kind == SessionEvent::Kind::kRow) {
      reader.AddRow(event.row);
    } else if (event.kind == SessionEvent::Kind::kNeedInput && !bytes.empty()) {
      Give(session, bytes.substr(0, 16 * 1024));
      bytes.remove_prefix(std::min<std::size_t>(16 * 1024, bytes.size()));
    } else {
      EXPECT_EQ(event.kind, SessionEvent::Kind::kDone);
      break;
    }
  }
  EXPECT_TRUE(reader.Finish(readings).ok());
  EXPECT_EQ(readings.size(), rows);
  return allocations - before;
}

TEST(AllocationTest, ARowThatOnlyCountedCostsNone) {
  Session session({}, [](absl::string_view) { return std::array<std::uint8_t, 16>{}; });
  session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
  session.OnWritten(session.output().size());
  session.Next();
  Give(session, absl::string_view("\x05!done\x06.tag=1\x00", 14));
  ASSERT_EQ(session.Next().kind, SessionEvent::Kind::kLoggedIn);
  counters::DescriptorTable table;
  QueueMenuReader reader(counters::Menu::kSimple, table);
  // A descriptor each, and a text that is too long to stand in it.
  const std::size_t first = PollAllocations(session, reader, 1000);
  EXPECT_GT(first, 1000U);
  EXPECT_LT(first, 3000U);
  PollAllocations(session, reader, 1000);
  PollAllocations(session, reader, 1000);
  EXPECT_LE(PollAllocations(session, reader, 1000), 8U) << "for 1,000 rows";
}

}  // namespace
}  // namespace netsentinel::routeros
