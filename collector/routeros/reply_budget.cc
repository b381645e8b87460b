#include "collector/routeros/reply_budget.h"

#include "absl/hash/hash.h"

namespace netsentinel::routeros {
namespace {

// Beyond it all are forgotten: those that live count as new once more, which any menu may show.
constexpr std::size_t kMostNames = 2'000'000;

}  // namespace

void ReplyBudget::SetDay(std::int64_t day) {
  if (day == day_) return;
  day_ = day;
  today_ = {};
}

void ReplyBudget::Begin() {
  fresh_.clear();
  fresh_names_ = {};
  fresh_text_bytes_ = 0;
}

bool ReplyBudget::Add(const counters::QueueDescriptor& queue) {
  fresh_text_bytes_ += counters::TextBytes(queue);
  const std::uint64_t hash = absl::HashOf(queue.name);
  if (!known_.contains(hash)) {
    fresh_.push_back(hash);
    ++fresh_names_.names;
    fresh_names_.bytes += queue.name.size();
  }
  return fresh_text_bytes_ <= counters::kMostMenuTextBytes;
}

std::optional<std::string> ReplyBudget::Check(std::size_t queues, std::uint64_t text_bytes) const {
  if (text_bytes > counters::MenuTextMax(queues)) return counters::TooMuchText(text_bytes, queues);
  const counters::NameAllowance allowed = counters::NewNamesPerDay(queues);
  const counters::NameAllowance shown{.names = today_.names + fresh_names_.names,
                                      .bytes = today_.bytes + fresh_names_.bytes};
  if (fresh_names_.names == 0) return std::nullopt;
  if (shown.names <= allowed.names && shown.bytes <= allowed.bytes) return std::nullopt;
  return counters::TooManyNewNames(shown, queues);
}

void ReplyBudget::Accept() {
  if (known_.size() + fresh_.size() > kMostNames) {
    known_.clear();
    today_ = {};
  }
  known_.insert(fresh_.begin(), fresh_.end());
  today_.names += fresh_names_.names;
  today_.bytes += fresh_names_.bytes;
  Begin();
}

}  // namespace netsentinel::routeros
