// CPU time from the bytes of a queue reply to readings: decoder, session and reader, in chunks of
// 16 KiB as the client reads them. `first` has an empty memory of rows, `next` is every poll after
// it. Exit 1 with --max-ms when `next` costs more.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include <CLI/CLI.hpp>

#include "collector/routeros/queue_menu_reader.h"
#include "collector/routeros/session.h"
#include "common/base/check.h"
#include "common/counters/descriptor_table.h"
#include "tests/support/queue_reply.h"

namespace netsentinel::routeros {
namespace {

constexpr std::size_t kChunk = 16 * 1024;
constexpr absl::string_view kLoggedIn("\x05!done\x06.tag=1\x00", 14);

double CpuMilliseconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void Give(Session& session, absl::string_view bytes) {
  const absl::Span<char> space = session.ReadSpace(kChunk);
  std::copy(bytes.begin(), bytes.end(), space.begin());
  session.OnRead(bytes.size());
}

// One poll in a session that has logged in; the copy into the read buffer stands for the kernel's.
void ReadReply(QueueMenuReader& reader, absl::string_view bytes,
               std::vector<counters::QueueReading>& readings) {
  Session session({}, [](absl::string_view) { return std::array<std::uint8_t, 16>{}; });
  session.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
  Give(session, kLoggedIn);
  NS_CHECK(session.Next().kind == SessionEvent::Kind::kLoggedIn, "login");
  NS_CHECK(session.Send(reader.PrintCommand()).ok(), "send");
  reader.Begin();
  while (true) {
    const SessionEvent event = session.Next();
    if (event.kind == SessionEvent::Kind::kNeedInput) {
      NS_CHECK(!bytes.empty(), "the reply has no end");
      Give(session, bytes.substr(0, kChunk));
      bytes.remove_prefix(std::min(kChunk, bytes.size()));
    } else if (event.kind == SessionEvent::Kind::kRow) {
      reader.AddRow(event.row);
    } else {
      NS_CHECK(event.kind == SessionEvent::Kind::kDone, session.failure().ToString());
      break;
    }
  }
  const absl::Status status = reader.Finish(readings);
  NS_CHECK(status.ok(), status.ToString());
}

struct Figures {
  double first_ms = 0;
  double next_median_ms = 0;
  double next_best_ms = 0;
};

Figures Measure(test::QueueReplyOptions options, int rounds) {
  std::vector<std::string> replies;
  for (std::uint64_t i = 0; i < 4; ++i) {
    options.moved_bytes = i * 123'456;
    replies.push_back(test::MakeQueueReply(options));
  }
  counters::DescriptorTable table;
  QueueMenuReader reader(counters::Menu::kSimple, table);
  std::vector<counters::QueueReading> readings;
  std::vector<double> times;
  for (int i = 0; i <= rounds; ++i) {
    const double begin = CpuMilliseconds();
    ReadReply(reader, replies[static_cast<std::size_t>(i) % replies.size()], readings);
    times.push_back(CpuMilliseconds() - begin);
    NS_CHECK(readings.size() == options.rows, "rows");
  }
  Figures figures;
  figures.first_ms = times.front();
  times.erase(times.begin());
  std::sort(times.begin(), times.end());
  figures.next_median_ms = times[times.size() / 2];
  figures.next_best_ms = times.front();
  std::printf(
      "%zu queues, %5.2f MB: first %6.2f ms CPU, next %5.2f ms CPU (median of %d; best "
      "%.2f), %.1f ns a queue\n",
      options.rows, static_cast<double>(replies[0].size()) / 1e6, figures.first_ms,
      figures.next_median_ms, rounds, figures.next_best_ms,
      figures.next_median_ms * 1e6 / static_cast<double>(options.rows));
  return figures;
}

}  // namespace
}  // namespace netsentinel::routeros

int main(int argc, char** argv) {
  std::size_t rows = 10'000;
  int rounds = 200;
  double max_ms = 0;
  CLI::App app("CPU time to read a queue reply");
  app.add_option("--rows", rows, "queues");
  app.add_option("--rounds", rounds, "polls to measure")->check(CLI::Range(1, 1'000'000));
  app.add_option("--max-ms", max_ms, "fail when the full reply costs more");
  CLI11_PARSE(app, argc, argv);
  netsentinel::routeros::Measure({.rows = rows, .short_rows = true}, rounds);
  const auto full = netsentinel::routeros::Measure({.rows = rows}, rounds);
  return max_ms > 0 && full.next_median_ms > max_ms ? 1 : 0;
}
