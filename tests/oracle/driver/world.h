#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "aggregator/accounting/book.h"
#include "aggregator/ingest/agreed_time.h"
#include "common/counters/snapshot.h"
#include "tests/oracle/driver/replies.h"

namespace netsentinel::oracle {

// What a row is kept under in a store.
std::string RowKey(const accounting::UsageRow& row);

// One world of the oracle: a collector's spool of encoded snapshots, a Book and what a store would
// keep of it. Commands change it or ask it; main.cc says what they are. Nothing here knows what
// the right answers are.
class World {
 public:
  // Words of one command line, the command first. Answers are appended to `out` as whole lines.
  // kInvalidArgument when the command is none.
  absl::Status Run(absl::Span<const absl::string_view> words, std::string& out);

 private:
  struct Spooled {
    base::RouterId router;
    counters::Menu menu = counters::Menu::kSimple;
    std::string payload;
    bool delivered = false;
  };
  using Words = absl::Span<const absl::string_view>;

  absl::Status Site(Words words);
  absl::Status Router(Words words);
  absl::Status Rule(Words words);
  absl::Status Line(Words words);
  absl::Status Take(Words words, std::string& out);
  absl::Status Clock(Words words);
  absl::Status Reboot(Words words);
  void BeginTime();
  void LookAtClocks();
  std::int64_t Receipt(absl::string_view word) const;
  absl::Status Snap(Words words);
  absl::Status Row(Words words);
  absl::Status Thin(Words words, std::string& out);
  absl::Status Deliver(Words words, std::string& out);
  absl::Status Flush(std::int64_t now_us, bool fails);
  absl::Status Restart(std::int64_t now_us);
  absl::Status Usage(Words words, std::string& out) const;
  void Rows(std::string& out) const;
  // What is in memory, and of the store what no longer is.
  std::vector<accounting::UsageRow> WithStored(std::vector<accounting::UsageRow> rows,
                                               absl::CivilDay first, absl::CivilDay last) const;
  void Events(std::string& out) const;

  // Encodes the snapshot that Snap began, once all its rows are there.
  absl::Status Spool();
  absl::Status DeliverBatch(absl::Span<const std::size_t> which, std::int64_t now_us,
                            std::string& out);

  accounting::Policy policy_;
  accounting::Book book_;
  std::vector<Spooled> spool_;
  // The snapshot whose rows are being given.
  counters::Snapshot building_;
  counters::DescriptorTable building_table_;
  std::size_t rows_to_come_ = 0;
  // One per router and menu, as an open stream has it.
  std::map<std::pair<std::string, int>, accounting::StreamDictionary> streams_;

  // The store.
  accounting::RecoveryInput stored_;
  std::vector<accounting::StoredJournal> journal_;
  std::map<std::pair<std::string, std::uint32_t>, std::string> checkpoints_;
  std::vector<accounting::EventRecord> events_;
  std::map<std::string, accounting::UsageRow> usage_;
  std::uint64_t next_journal_id_ = 1;

  // By router.
  std::map<std::string, RouterLine> lines_;

  // The aggregator's clocks; no time_: receipts are given as they are.
  std::unique_ptr<ingest::AgreedTime> time_;
  std::map<std::string, std::string> anchors_;  // as they are stored, by boot
  std::int64_t true_us_ = 0;
  std::int64_t booted_us_ = 0;
  std::int64_t off_us_ = 0;
  int who_ = 0;
};

}  // namespace netsentinel::oracle
