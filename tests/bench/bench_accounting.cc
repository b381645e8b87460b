// Prints what the accounting core and the codecs do in the steady state, in million samples per
// second of one core's CPU time. A queue reading is two samples.
// Then how many bytes of memory a queue takes.
#include <cstdio>
#include <ctime>
#include <memory>
#include <random>
#include <vector>

#include "absl/strings/str_cat.h"
#include <malloc.h>

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/menu_state.h"
#include "common/base/check.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::accounting {
namespace {

constexpr std::int64_t kStartUs = 1'767'225'600'000'000;

double CpuSeconds() {
  std::timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Feed {
 public:
  Feed(std::uint32_t queues, unsigned percent) : percent_(percent) {
    snapshot_.router = base::RouterId("r1");
    snapshot_.header.host_boot_id = "host";
    snapshot_.header.session_id = 1;
    for (std::uint32_t i = 0; i < queues; ++i) {
      counters::QueueDescriptor d;
      d.row_id = i + 1;
      d.name = absl::StrCat("queue-", i);
      snapshot_.readings.push_back({dictionary.table.Intern(d), 0, 0, 0});
    }
    Next();
  }
  const counters::Snapshot& Next() {
    second_ += 10;
    counters::SnapshotHeader& h = snapshot_.header;
    h.begin_us = second_ * 1'000'000;
    h.end_us = h.begin_us + 5000;
    h.attribution_us = kStartUs + second_ * 1'000'000;
    h.router_uptime_s = static_cast<std::uint64_t>(1'000'000 + second_);
    for (counters::QueueReading& r : snapshot_.readings) {
      if (random_() % 100 >= percent_) continue;
      r.upload += random_() % 100'000;
      r.download += random_() % 1'000'000;
      r.packets += random_() % 1000;
    }
    return snapshot_;
  }
  StreamDictionary dictionary;

 private:
  unsigned percent_;
  std::int64_t second_ = 0;
  std::mt19937_64 random_{7};
  counters::Snapshot snapshot_;
};

Policy OneRouter() {
  Policy policy;
  policy.sites.push_back({base::SiteId("s"), absl::UTCTimeZone(), absl::ZeroDuration(), {}});
  RouterSettings router;
  router.id = base::RouterId("r1");
  router.site = base::SiteId("s");
  policy.routers.push_back(router);
  quota::Rule rule;
  rule.id = "daily";
  rule.limit_bytes = 1ULL << 50;
  policy.quotas.push_back(rule);
  return policy;
}

void Measure(std::uint32_t queues, unsigned percent) {
  Book book;
  NS_CHECK(book.SetPolicy(OneRouter(), kStartUs).ok(), "policy");
  Feed feed(queues, percent);
  const int rounds = static_cast<int>(2'000'000 / queues);
  double book_cpu = 0;
  std::size_t journal_bytes = 0;
  for (int i = 0; i <= rounds; ++i) {
    const counters::Snapshot& snapshot = feed.Next();
    const Incoming incoming{&snapshot, &feed.dictionary, snapshot.header.attribution_us};
    const double begin = CpuSeconds();
    StagedBatch batch = book.Stage(absl::MakeConstSpan(&incoming, 1));
    NS_CHECK(batch.results[0].ok(), "staged");
    if (i > 0) journal_bytes += batch.journal[0].payload.size();
    book.Install(std::move(batch));
    if (i > 0) book_cpu += CpuSeconds() - begin;
  }

  MenuState state;
  double core_cpu = 0;
  for (int i = 0; i <= rounds; ++i) {
    const counters::Snapshot& snapshot = feed.Next();
    counters::AddedDescriptors added;
    if (i == 0) {
      for (std::uint32_t d = 0; d < queues; ++d)
        added.emplace_back(d, *feed.dictionary.table.Find(d));
    }
    StageInput input;
    input.snapshot = &snapshot;
    input.added = &added;
    input.received_us = snapshot.header.attribution_us;
    const double begin = CpuSeconds();
    auto staged = Stage(state, input);
    NS_CHECK(staged.ok(), "staged");
    Install(state, *std::move(staged));
    if (i > 0) core_cpu += CpuSeconds() - begin;
  }

  double spool_cpu = 0;
  for (int i = 0; i < rounds / 4; ++i) {
    const counters::Snapshot& snapshot = feed.Next();
    const double begin = CpuSeconds();
    const std::string bytes = counters::EncodeSelfContained(snapshot, feed.dictionary.table);
    spool_cpu += CpuSeconds() - begin;
    NS_CHECK(!bytes.empty(), "encoded");
  }
  const double samples = 2.0 * queues * rounds / 1e6;
  std::printf(
      "%6u queues %3u %% active: core %7.1f  book with journal and quota %6.1f  "
      "spool encode %6.1f M samples/s/core; journal %4.2f B a queue\n",
      queues, percent, samples / core_cpu, samples / book_cpu, samples / 4 / spool_cpu,
      static_cast<double>(journal_bytes) / rounds / queues);
}

std::size_t HeapBytes() {
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

void TakeOne(Book& book, Feed& feed) {
  const counters::Snapshot& snapshot = feed.Next();
  const Incoming incoming{&snapshot, &feed.dictionary, snapshot.header.attribution_us};
  StagedBatch batch = book.Stage(absl::MakeConstSpan(&incoming, 1));
  NS_CHECK(batch.results[0].ok(), "staged");
  book.Install(std::move(batch));
}

// What is not names: the Book with a day's rows, less a Book that knows the names alone, and the
// menu's state less its dictionary.
void MeasureMemory(std::uint32_t queues) {
  Feed feed(queues, 100);
  const auto per_queue = [&](std::size_t from, std::size_t to) {
    return static_cast<double>(to - from) / queues;
  };
  const std::size_t before = HeapBytes();
  Book book;
  NS_CHECK(book.SetPolicy(OneRouter(), kStartUs).ok(), "policy");
  TakeOne(book, feed);
  const std::size_t seen = HeapBytes();
  TakeOne(book, feed);
  const std::size_t with_rows = HeapBytes();

  auto table = std::make_unique<counters::DescriptorTable>();
  counters::AddedDescriptors added;
  for (std::uint32_t i = 0; i < queues; ++i) {
    added.emplace_back(i, *feed.dictionary.table.Find(i));
  }
  const std::size_t no_table = HeapBytes();
  for (const auto& [index, descriptor] : added) table->InsertAt(index, descriptor);
  const std::size_t with_table = HeapBytes();
  auto state = std::make_unique<MenuState>();
  const counters::Snapshot& snapshot = feed.Next();
  StageInput input;
  input.snapshot = &snapshot;
  input.added = &added;
  input.received_us = snapshot.header.attribution_us;
  const std::size_t no_state = HeapBytes();
  {
    auto staged = Stage(*state, input);
    NS_CHECK(staged.ok(), "staged");
    Install(*state, *std::move(staged));
  }
  const std::size_t with_state = HeapBytes();
  const double dictionary = per_queue(no_table, with_table);
  const double hot = per_queue(no_state, with_state) - dictionary + per_queue(seen, with_rows);
  std::printf(
      "%7u queues: %5.0f B a queue in all, of them %4.0f B state and a day's row; "
      "the rest is names (%4.0f B in the dictionary)\n",
      queues, per_queue(before, with_rows), hot, dictionary);
}

}  // namespace
}  // namespace netsentinel::accounting

int main() {
  for (const std::uint32_t queues : {1'000U, 10'000U}) {
    for (const unsigned percent : {30U, 90U}) netsentinel::accounting::Measure(queues, percent);
  }
  for (const std::uint32_t queues : {10'000U, 100'000U}) {
    netsentinel::accounting::MeasureMemory(queues);
  }
  return 0;
}
