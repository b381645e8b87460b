#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"

#include "aggregator/accounting/records.h"
#include "aggregator/accounting/settings.h"

// Whose the bytes of a queue are. Pure.
namespace netsentinel::accounting {

// What a queue's bytes count as.
struct QueueTarget {
  SubscriberKey subscriber;
  Direction direction = Direction::kBoth;
  bool counts = true;  // false: shown, but nobody's
};

// Compiled mapping rules. Immutable once made.
class Mapper {
 public:
  Mapper();
  ~Mapper();
  Mapper(Mapper&&) noexcept;
  Mapper& operator=(Mapper&&) noexcept;

  // kInvalidArgument names the rule and what is wrong with it.
  static absl::StatusOr<Mapper> Compile(const std::vector<MappingRule>& rules);

  QueueTarget Resolve(const QueueKey& queue, const RouterSettings& router) const;
  // True when some rule can make queues of the menu count on this router.
  bool Names(counters::Menu menu, const RouterSettings& router) const;

 private:
  struct Compiled;
  std::vector<Compiled> rules_;
};

// The user in `<KIND-USER>` for a KIND of session, else the name itself.
std::string UserOfQueueName(absl::string_view name);

// The bytes as the subscriber's.
base::TrafficBytes Directed(Direction direction, counters::Menu menu,
                            const base::TrafficBytes& bytes);

}  // namespace netsentinel::accounting
