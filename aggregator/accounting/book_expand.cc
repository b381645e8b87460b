// What snapshots caused, on the days that it touches.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/types/span.h"

#include "aggregator/accounting/book.h"
#include "aggregator/accounting/book_state.h"

namespace netsentinel::accounting {

void Book::Impl::Expand(const Effects& effects, DeviceState& device, MenuChange& change) {
  change.rows.reserve(change.rows.size() + effects.deltas.size());
  for (const Doubt& doubt : effects.doubts) {
    ExpandDoubt(doubt, QueueOf(device, doubt.descriptor, change), change);
  }
  for (const Delta& delta : effects.deltas) {
    ExpandDelta(delta, QueueOf(device, delta.descriptor, change), change);
  }
  for (std::size_t i = 0; i < effects.epochs.size(); ++i) {
    const std::uint32_t queue = QueueOf(device, effects.epoch_queues[i], change);
    if (effects.epochs[i].reason == EpochReason::kFirstSight) continue;
    const QueueInfo& info = change.menu->queues[queue];
    if (!info.counts) continue;
    DoubtChange doubt;
    doubt.span =
        SpanIndex(change, std::max(effects.epochs[i].start_us, change.router->open_from_us));
    doubt.queue = queue;
    doubt.subscriber = info.subscriber;
    doubt.epochs = 1;
    change.doubts.push_back(doubt);
  }
}

namespace {

// A stretch of time in parts of days, and bytes divided among them.
class Shares {
 public:
  Shares(const Calendar& calendar, std::int64_t from_us, std::int64_t to_us)
      : parts_(SpansOf(calendar, from_us, to_us)) {
    for (const DaySpan& part : parts_) {
      weights_.push_back(static_cast<std::uint64_t>(part.end_us - part.begin_us));
    }
  }
  const std::vector<DaySpan>& parts() const { return parts_; }
  std::vector<base::TrafficBytes> Of(const base::TrafficBytes& bytes) const {
    std::vector<std::uint64_t> uploads(parts_.size());
    std::vector<std::uint64_t> downloads(parts_.size());
    Divide(bytes.upload, weights_, absl::MakeSpan(uploads));
    Divide(bytes.download, weights_, absl::MakeSpan(downloads));
    std::vector<base::TrafficBytes> shares(parts_.size());
    for (std::size_t i = 0; i < shares.size(); ++i) shares[i] = {uploads[i], downloads[i]};
    return shares;
  }

 private:
  std::vector<DaySpan> parts_;
  std::vector<std::uint64_t> weights_;
};

base::TrafficBytes Sum(const std::vector<base::TrafficBytes>& shares, std::size_t from,
                       std::size_t to) {
  base::TrafficBytes sum;
  for (std::size_t i = from; i < to; ++i) sum += shares[i];
  return sum;
}

}  // namespace

void Book::Impl::ExpandDelta(const Delta& delta, std::uint32_t queue, MenuChange& change) {
  const QueueInfo& info = change.menu->queues[queue];
  if (!info.counts) return;
  const std::int64_t open_from = change.router->open_from_us;
  const std::int64_t from = std::max(delta.from_us, open_from);
  const std::int64_t to = std::max(delta.to_us, open_from);
  const std::uint32_t last = SpanIndex(change, from < to ? to - 1 : to);
  if (change.spans[last].begin_us <= from && from == delta.from_us) {
    RowChange row;
    row.queue = queue;
    row.subscriber = info.subscriber;
    row.observed_since_us = std::max(delta.observed_since_us, open_from);
    row.span = last;
    row.from_us = from;
    row.to_us = to;
    row.read_at_from = true;
    row.read_at_to = true;
    row.bytes = Directed(info.direction, change.menu->menu, delta.bytes);
    change.rows.push_back(row);
    return;
  }
  Doubt crossing;
  crossing.descriptor = delta.descriptor;
  crossing.from_us = delta.from_us;
  crossing.to_us = delta.to_us;
  crossing.observed_since_us = delta.observed_since_us;
  crossing.counted = delta.bytes;
  ExpandDoubt(crossing, queue, change);
}

// Bytes over (from, to] and what is not sure of them, on the days they touch. What is counted and
// what passed unseen is divided by time; each day keeps, per edge that is crossed, what lies on its
// side and on the other. What would fall into a closed day counts at the begin of the first open
// one.
void Book::Impl::ExpandDoubt(const Doubt& doubt, std::uint32_t queue, MenuChange& change) {
  const QueueInfo& info = change.menu->queues[queue];
  if (!info.counts) return;
  const counters::Menu menu = change.menu->menu;
  std::int64_t open_from = change.router->open_from_us;
  if (doubt.late_since_us > 0) {
    const DaySpan day = change.router->site->calendar.SpanAt(doubt.late_since_us);
    open_from = std::max(open_from, day.begin_us);
  }
  NoteWatched(doubt, queue, change);
  const std::int64_t from = std::max(doubt.from_us, open_from);
  const std::int64_t to = std::max(doubt.to_us, open_from);
  const bool reaches_back = from > doubt.from_us;
  const base::TrafficBytes counted = Directed(info.direction, menu, doubt.counted);
  base::TrafficBytes in_doubt = Directed(info.direction, menu, doubt.doubt);
  const base::TrafficBytes unseen = Directed(info.direction, menu, doubt.unseen);
  const Shares shares(change.router->site->calendar, from, to);
  const std::vector<DaySpan>& parts = shares.parts();
  const std::vector<base::TrafficBytes> counted_shares = shares.Of(counted);
  const std::vector<base::TrafficBytes> unseen_shares = shares.Of(unseen);
  std::vector<base::TrafficBytes> doubt_shares(parts.size());
  std::vector<base::TrafficBytes> sure_shares(parts.size());
  std::vector<base::TrafficBytes> upper_shares(parts.size());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    doubt_shares[i] = Least(in_doubt, counted_shares[i]);
    in_doubt = Less(in_doubt, doubt_shares[i]);
    sure_shares[i] = Less(counted_shares[i], doubt_shares[i]);
    upper_shares[i] = counted_shares[i] + unseen_shares[i];
  }
  const std::uint32_t why = NoteStep(doubt, counted, unseen, info.direction, change);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool is_last = i + 1 == parts.size();
    const bool crosses_begin = i > 0 || reaches_back;
    const std::uint32_t span = SpanIndex(change, parts[i].begin_us);
    if (!counted.zero()) {
      RowChange row;
      row.span = span;
      row.queue = queue;
      row.subscriber = info.subscriber;
      row.from_us = parts[i].begin_us;
      row.to_us = parts[i].end_us;
      row.read_at_from = i == 0 && parts[i].begin_us == doubt.from_us;
      row.read_at_to = is_last;
      row.observed_since_us = std::max(doubt.observed_since_us, open_from);
      row.bytes = counted_shares[i];
      change.rows.push_back(row);
    }
    DoubtChange add;
    add.span = span;
    add.queue = queue;
    add.subscriber = info.subscriber;
    add.extra.doubt = doubt_shares[i];
    add.extra.unseen = unseen_shares[i];
    if (crosses_begin) {
      add.extra.begin_inside = Sum(sure_shares, i, parts.size());
      add.extra.begin_outside = Sum(upper_shares, 0, i);
    }
    if (!is_last) {
      add.extra.end_inside = Sum(sure_shares, 0, i + 1);
      add.extra.end_outside = Sum(upper_shares, i + 1, parts.size());
    }
    const std::int64_t blind_from = std::max(doubt.blind_from_us, parts[i].begin_us);
    const std::int64_t blind_to = std::min(doubt.blind_to_us, parts[i].end_us);
    if (blind_to > blind_from) {
      add.extra.blind_us = static_cast<std::uint64_t>(blind_to - blind_from);
    }
    add.grade = GradeOf(doubt, *change.router);
    if ((crosses_begin || !is_last) && !counted.zero()) {
      add.grade = std::max(add.grade, Grade::kEstimated);
    }
    if (i == 0) add.why = why;
    change.doubts.push_back(add);
  }
}

// It had been read until the time began in which it could not be watched.
void Book::Impl::NoteWatched(const Doubt& doubt, std::uint32_t queue, MenuChange& change) {
  const std::int64_t open_from = change.router->open_from_us;
  if (doubt.blind_to_us <= doubt.blind_from_us || doubt.watched_since_us >= doubt.blind_from_us ||
      doubt.blind_from_us <= open_from) {
    return;
  }
  RowChange read;
  read.span = SpanIndex(change, doubt.blind_from_us - 1);
  read.queue = queue;
  read.subscriber = change.menu->queues[queue].subscriber;
  read.only_if_row = true;
  read.to_us = doubt.blind_from_us;
  read.observed_since_us = std::max(doubt.watched_since_us, open_from);
  change.rows.push_back(read);
}

Grade Book::Impl::GradeOf(const Doubt& doubt, const RouterBook& router) {
  if (doubt.partial) return Grade::kPartial;
  const std::int64_t usual =
      2 * absl::ToInt64Microseconds(router.settings.poll_interval) + 5'000'000;
  if (doubt.blind_to_us - doubt.blind_from_us > usual) return Grade::kPartial;
  const bool any =
      !doubt.doubt.zero() || !doubt.unseen.zero() || doubt.blind_to_us > doubt.blind_from_us;
  return any ? Grade::kBounded : Grade::kComplete;
}

// Nothing for bytes that only cross an edge.
std::uint32_t Book::Impl::NoteStep(const Doubt& doubt, const base::TrafficBytes& counted,
                                   const base::TrafficBytes& unseen, Direction direction,
                                   MenuChange& change) {
  if (doubt.possible.empty()) return kNoRow;
  const counters::Menu menu = change.menu->menu;
  DisputedStep step;
  step.from_us = doubt.from_us;
  step.to_us = doubt.to_us;
  step.before = Directed(direction, menu, doubt.before);
  step.now = Directed(direction, menu, doubt.now);
  step.counted_as = doubt.counted_as;
  step.counted = counted;
  step.doubt = Directed(direction, menu, doubt.doubt);
  step.unseen = unseen;
  for (const auto& [explanation, bytes] : doubt.possible) {
    step.possible.emplace_back(explanation, Directed(direction, menu, bytes));
  }
  change.steps.push_back(std::move(step));
  return static_cast<std::uint32_t>(change.steps.size() - 1);
}

}  // namespace netsentinel::accounting
