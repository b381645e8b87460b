#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "aggregator/ingest/reading_board.h"
#include "aggregator/ingest/shared_book.h"
#include "aggregator/query/catalog.h"
#include "aggregator/query/history_gate.h"
#include "aggregator/query/ranking.h"
#include "aggregator/query/store_slot.h"
#include "aggregator/store/store.h"
#include "common/base/clock.h"

namespace netsentinel::query {

// A span of local days of a site, resolved.
struct DaySpan {
  absl::CivilDay first;
  absl::CivilDay last;
  absl::CivilDay today;  // the site's current local day
};

// What is known of the reading of a site's routers in a span.
struct Observed {
  enum class State : std::uint8_t { kUnknown, kNothing, kPartly, kWhole };
  // A configured router that the span does not have, or not from its begin on.
  struct Router {
    base::RouterId id;
    std::int64_t began_us = 0;  // its first reading at the site; 0: none
    bool read = false;          // in the span
  };
  State state = State::kUnknown;
  std::int64_t began_us = 0;  // the first reading of any router at the site; 0: none
  std::int64_t begin_us = 0;  // of the span, and its end
  std::int64_t end_us = 0;
  std::vector<Router> routers;
};

// `routers` are those configured at the site, `begin_us` is when the span begins. Pure.
Observed Observe(const std::vector<base::RouterId>& routers, const store::SiteReadings& readings,
                 std::int64_t begin_us);

// kCancelled once `gone` says that nobody waits for the answer any more.
absl::Status StillWaited(const std::function<bool()>& gone);

// How many rows of the store one answer may take. Each is held in memory until it is made, in about
// 350 bytes.
struct StoredRowLimits {
  std::size_t subscriber = 200'000;
  // Of more days than one: a single day is always ranked.
  std::size_t ranking = 1'000'000;
  // Why rows are what they are, of one subscriber: each may have 8 steps.
  std::size_t evidence = 20'000;
};

// Usage from wherever it is: days that are whole in memory from the Book, earlier ones from the
// store and what the Book has of them, purged ones as totals of their months.
// Thread-safe. What needs the store is kUnavailable before that is open.
class UsageReader {
 public:
  // Long answers are read from `history`, so that short ones from `store` do not wait for them.
  // Which routers were read on the last days is asked of `readings` where it is given, else of the
  // store.
  UsageReader(const ingest::SharedBook& book, StoreSlot& store, StoreSlot& history,
              const CatalogHolder& catalog, const base::Clock& clock, StoredRowLimits rows_max = {},
              const ingest::ReadingBoard* readings = nullptr)
      : book_(book),
        store_(store),
        history_(history),
        catalog_(catalog),
        clock_(clock),
        rows_max_(rows_max),
        readings_(readings) {}

  // Both empty: today. Only the first: from there until today. kInvalidArgument: no such date, a
  // last day without a first, last before first, more than 400 days, a day that has not begun
  // there.
  absl::StatusOr<DaySpan> Resolve(const base::SiteId& site, const std::string& first,
                                  const std::string& last) const;
  // The same for sites asked together, in their order: where the first day has not begun, nothing,
  // and where only the last one has not, until today. kInvalidArgument when a day has begun
  // nowhere.
  absl::StatusOr<std::vector<std::optional<DaySpan>>> Resolve(
      const std::vector<const Catalog::Site*>& sites, const std::string& first,
      const std::string& last) const;
  // The instants of the days, [begin, end), in which events and breaches of the sites are looked
  // for: all of time when both texts are empty. kInvalidArgument also where the sites' days begin
  // at different instants.
  struct Instants {
    std::int64_t from_us = std::numeric_limits<std::int64_t>::min();
    std::int64_t to_us = std::numeric_limits<std::int64_t>::max();
    bool operator==(const Instants&) const = default;
  };
  absl::StatusOr<Instants> InstantsOf(const std::vector<const Catalog::Site*>& sites,
                                      const std::string& first, const std::string& last) const;
  // kUnknown state where the store has to be asked and cannot be.
  Observed ObservationOf(const Catalog::Site& site, const DaySpan& span);
  // When the site's local day began and ends, by the rules that held then. An empty stretch where a
  // change of rules left the day out.
  absl::StatusOr<accounting::Book::LocalDay> BoundsOf(const base::SiteId& site,
                                                      absl::CivilDay day) const;
  // kOutOfRange: the span reaches into purged days otherwise than in whole months, or into months
  // that are gone, or more of its rows are stored than a ranking may take. What needs the store
  // waits for a pass of a HistoryGate, with its errors, and ends with kCancelled soon after `gone`
  // says that nobody waits for it any more.
  absl::StatusOr<std::vector<SubscriberSum>> Sums(const base::SiteId& site, const DaySpan& span,
                                                  const std::function<bool()>& gone);
  // Rows of one subscriber, every queue, day and segment of the span. kOutOfRange: the span reaches
  // into purged days, or more of them are stored than `rows_max` allows. kCancelled soon after
  // `gone`.
  absl::StatusOr<std::vector<accounting::UsageRow>> Rows(const accounting::SubscriberKey& key,
                                                         const DaySpan& span,
                                                         const std::function<bool()>& gone);
  // Why the rows of `Rows` are what they are; only those with disputed steps. Errors as of `Rows`.
  absl::StatusOr<std::vector<accounting::Book::RowEvidence>> Evidence(
      const accounting::SubscriberKey& key, const DaySpan& span, const std::function<bool()>& gone);
  // Epochs of the queues that began in [from_us, to_us), at most `limit`: the first queues' first.
  // Any number of queues; others are answered between the calls to the store. kCancelled soon after
  // `gone`.
  absl::StatusOr<std::vector<accounting::EpochRecord>> Epochs(
      absl::Span<const accounting::QueueKey> queues, std::int64_t from_us, std::int64_t to_us,
      std::size_t limit, const std::function<bool()>& gone);
  absl::StatusOr<store::EventList> Events(const store::EventFilter& filter, std::size_t limit);
  absl::StatusOr<store::BreachList> Breaches(const store::BreachFilter& filter, std::size_t limit);
  const ingest::SharedBook& book() const { return book_; }
  std::shared_ptr<const Catalog> catalog() const { return catalog_.Get(); }
  std::int64_t NowUs() const { return absl::ToUnixMicros(clock_.WallNow()); }

 private:
  const ingest::SharedBook& book_;
  StoreSlot& store_;
  StoreSlot& history_;
  const CatalogHolder& catalog_;
  const base::Clock& clock_;
  const StoredRowLimits rows_max_;
  const ingest::ReadingBoard* const readings_;
  HistoryGate history_gate_;
};

}  // namespace netsentinel::query
