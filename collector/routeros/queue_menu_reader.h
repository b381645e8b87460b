#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "collector/routeros/reply_budget.h"
#include "collector/routeros/word_codec.h"
#include "common/base/secret_mask.h"
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
// none, a `.id` twice, a name or parent longer than counters::kMaxNameBytes, or packet counters in
// some rows only make Finish fail with a RouterStatus of kIncompleteReply that names the row, and
// nothing changes; so do more text or new names than counters/limits.h allows. A target or comment
// longer than counters::kMaxDescriptionBytes is shortened; a limit that is no rate is taken as none
// and remarked. One thread.
class QueueMenuReader {
 public:
  // `table` holds the descriptors of the last accepted reply, which nobody else may add to. Others
  // may drop entries of it between replies. Indices hold until the next Finish.
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

  // A new session: another RouterOS version may answer, with or without packet counters. Whatever
  // `mask` finds is taken out of messages, and out of names, targets and comments too unless the
  // password is so short that it stands there by chance.
  void BeginSession(const base::SecretMask& mask = {});
  // Days since 1970: how many new names a menu may bring is reckoned by them.
  void SetDay(std::int64_t day) { budget_.SetDay(day); }
  // Forgets a reply that was begun.
  void Begin();
  // `words` as SessionEvent::row has them; they need not live on. After a bad row the others are
  // skipped.
  void AddRow(Sentence words);
  // The readings in the order of the reply, or why there are none (`readings` is then untouched).
  absl::Status Finish(std::vector<counters::QueueReading>& readings);
  // Rows since Begin.
  std::size_t rows() const { return rows_; }
  // Rows of the last accepted reply.
  std::size_t known_rows() const { return known_.size(); }
  // What of the last accepted reply could not be read and was done without: the first such row,
  // and empty when there is none.
  const std::string& remark() const { return remark_; }

 private:
  // What a row said of its queue besides the counters.
  struct Known {
    std::shared_ptr<const counters::QueueDescriptor> descriptor;
    std::uint64_t row_id = 0;
    // Its words as they came, each after its length, in words_: 10,000 queues are remembered.
    std::size_t words_at = 0;
    std::uint32_t words_size = 0;
    counters::DescriptorIndex index = 0;
    bool limit_unread = false;
  };
  // A row whose description is not the remembered one.
  struct Fresh {
    std::size_t row = 0;
    Known known;
  };
  // The counter words of one row.
  struct CounterWords {
    absl::string_view bytes;
    absl::string_view packets;
    bool has_bytes = false;
    bool has_packets = false;
    bool twice = false;
  };
  using RowsById = absl::flat_hash_map<std::uint64_t, std::size_t>;

  // True when `word` is a counter; it is then kept in `counters`.
  static bool TakeCounter(absl::string_view word, CounterWords* counters);
  absl::string_view WordsOf(const Known& known) const {
    return absl::string_view(words_).substr(known.words_at, known.words_size);
  }
  // True when `words` are counters and exactly the words of `known`, in their order.
  bool Matches(const Known& known, Sentence words, CounterWords* counters) const;
  // The remembered row that `words` repeat, if any. Sets `counters` when there is one.
  std::size_t FindKnown(Sentence words, CounterWords* counters);
  // False when the row is bad; the reply has failed then.
  bool AddFresh(Sentence words, CounterWords* counters);
  bool AddReading(Sentence words, const CounterWords& counters, std::size_t known);
  bool ReadField(std::size_t field, absl::string_view value,
                 counters::QueueDescriptor* descriptor) const;
  bool ReadLimit(absl::string_view value, std::uint64_t* upload, std::uint64_t* download) const;
  std::string ShownName(absl::string_view name) const;
  bool HoldsSecret(Sentence words);
  bool Fail(Sentence words, absl::string_view why);
  bool FailRow(std::size_t row, absl::string_view name, absl::string_view why);
  // The row of every `.id` of the reply; false when two rows have the same.
  bool FindRows(RowsById& rows);
  // False when the texts or new names are more than a menu may have; the reply has failed then.
  bool KeepsToBudget();
  void RememberReply(RowsById rows);
  void TrimWords();
  void Renumber();
  void SetRemark();

  const counters::Menu menu_;
  counters::DescriptorTable& table_;
  // In the order of the last accepted reply.
  std::vector<Known> known_;
  RowsById known_by_id_;
  // An accepted reply of this session had packet counters.
  bool packets_known_ = false;
  // What known_ points to, up to words_kept_; the words of new rows of the reply under way behind.
  std::string words_;
  std::size_t words_kept_ = 0;
  std::string remark_;
  base::SecretMask mask_;
  // The rows in known_ were read under another mask: they are read anew.
  bool known_stale_ = false;
  ReplyBudget budget_;

  // The reply under way.
  std::size_t cursor_ = 0;  // where in known_ the next row should be
  bool same_order_ = true;
  std::size_t rows_ = 0;
  std::size_t rows_with_packets_ = 0;
  std::vector<counters::QueueReading> readings_;
  std::vector<std::size_t> known_of_row_;
  std::vector<Fresh> fresh_;
  std::string row_text_;  // scratch
  absl::Status failure_;
};

}  // namespace netsentinel::routeros
