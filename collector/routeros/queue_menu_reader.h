#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "collector/routeros/word_codec.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

namespace netsentinel::routeros {

// Turns the rows of one queue menu of one router into readings, again and again: what a row said
// besides its counters is remembered, so that a queue that only counted costs neither an
// allocation nor a lookup. Give it a life as long as the configured router's; sessions may come
// and go.
//
//   reader.Begin();
//   for each !re: reader.AddRow(words);
//   on !done: status = reader.Finish(readings);
//
// A reply is taken whole or not at all: a row without `.id`, `name` or `bytes`, a number that is
// none, a `.id` twice, or packet counters in some rows only make Finish fail with a RouterStatus
// of kIncompleteReply that names the row, and nothing changes. One thread.
class QueueMenuReader {
 public:
  // `table` gets the descriptors; others may drop entries of it between replies.
  QueueMenuReader(counters::Menu menu, counters::DescriptorTable& table);
  QueueMenuReader(const QueueMenuReader&) = delete;
  QueueMenuReader& operator=(const QueueMenuReader&) = delete;

  counters::Menu menu() const { return menu_; }
  // The print command with its property list.
  absl::Span<const absl::string_view> PrintCommand() const;
  // The command that only counts the rows (`=ret=` of its !done).
  absl::Span<const absl::string_view> CountCommand() const;
  // Names the property list: a queue not seen before is new only while this is the same.
  std::uint64_t settings_fingerprint() const;

  // Forgets a reply that was begun.
  void Begin();
  // `words` as SessionEvent::row has them; they need not live on. After a bad row the others are
  // skipped.
  void AddRow(Sentence words);
  // The readings in the order of the reply, or why there are none (`readings` is then untouched).
  absl::Status Finish(std::vector<counters::QueueReading>& readings);
  // Rows since Begin.
  std::size_t rows() const { return rows_; }

 private:
  // What a row said of its queue besides the counters.
  struct Known {
    std::uint64_t row_id = 0;
    // Its words as they came, each after its length, in one piece: 10,000 queues are remembered.
    std::string words;
    counters::DescriptorIndex index = 0;
    std::uint64_t seen_in = 0;  // number of the last reply that had it
  };
  // A row whose description is not the remembered one.
  struct Fresh {
    std::size_t row = 0;
    Known known;
    counters::QueueDescriptor descriptor;
  };
  // The counter words of one row.
  struct CounterWords {
    absl::string_view bytes;
    absl::string_view packets;
    bool has_bytes = false;
    bool has_packets = false;
    bool twice = false;
  };

  // True when `word` is a counter; it is then kept in `counters`.
  static bool TakeCounter(absl::string_view word, CounterWords* counters);
  // True when `words` are counters and exactly the words of `known`, in their order.
  static bool Matches(const Known& known, Sentence words, CounterWords* counters);
  // The remembered row that `words` repeat, if any. Sets `counters` when there is one.
  std::size_t FindKnown(Sentence words, CounterWords* counters);
  // False when the row is bad; the reply has failed then.
  bool AddFresh(Sentence words, CounterWords* counters);
  bool AddReading(Sentence words, const CounterWords& counters, std::size_t known);
  bool ReadDescriptor(Sentence words, counters::QueueDescriptor* descriptor);
  bool ReadField(std::size_t field, absl::string_view value,
                 counters::QueueDescriptor* descriptor) const;
  bool ReadLimit(absl::string_view value, std::uint64_t* upload, std::uint64_t* download) const;
  bool Fail(Sentence words, absl::string_view why);
  counters::DescriptorIndex InternAgain(const Known& known);
  void RememberReply();

  const counters::Menu menu_;
  counters::DescriptorTable& table_;
  // In the order of the last accepted reply.
  std::vector<Known> known_;
  absl::flat_hash_map<std::uint64_t, std::size_t> known_by_id_;
  // An accepted reply had packet counters.
  bool packets_known_ = false;

  // The reply under way.
  std::uint64_t reply_ = 0;
  std::size_t cursor_ = 0;  // where in known_ the next row should be
  bool same_order_ = true;
  std::size_t rows_ = 0;
  std::size_t rows_with_packets_ = 0;
  std::vector<counters::QueueReading> readings_;
  std::vector<std::size_t> known_of_row_;
  std::vector<Fresh> fresh_;
  absl::flat_hash_set<std::uint64_t> fresh_ids_;
  absl::Status failure_;
};

}  // namespace netsentinel::routeros
