#include "aggregator/ingest/intake.h"

#include <algorithm>
#include <limits>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::ingest {
namespace {

// What a message takes in memory beside its bytes.
constexpr std::uint64_t kMessageBytes = 1024;
// What gRPC takes in one.
constexpr std::uint64_t kLargestMessageBytes = std::uint64_t{4} << 20;
// Collectors reckon with what rows take in their spools, and may be off by a little.
constexpr std::uint64_t kCreditSlack = std::uint64_t{2} << 20;

}  // namespace

IntakeBudget::IntakeBudget(const IntakeLimits& limits)
    : open_bytes_(limits.total_bytes - std::min(limits.total_bytes / 2, limits.stream_bytes)) {}

void IntakeBudget::Take(std::uint64_t bytes) {
  base::MutexLock lock(mutex_);
  held_ += bytes;
}

void IntakeBudget::Give(std::uint64_t bytes) {
  std::vector<Waiting> ready;
  {
    base::MutexLock lock(mutex_);
    held_ -= bytes;
    ready = Next();
  }
  for (const Waiting& one : ready) one.resume();
}

std::uint64_t IntakeBudget::NextAge() {
  base::MutexLock lock(mutex_);
  return ++newest_age_;
}

bool IntakeBudget::WaitForRoom(Who who, std::optional<std::uint64_t> half_since,
                               std::function<void()> resume) {
  base::MutexLock lock(mutex_);
  if (held_ <= open_bytes_) return false;
  if (half_since.has_value()) {
    if (finishing_ == nullptr) finishing_ = who;
    if (finishing_ == who) return false;
  }
  waiting_.push_back({who, half_since, std::move(resume)});
  return true;
}

void IntakeBudget::Finished(Who who) {
  std::vector<Waiting> ready;
  {
    base::MutexLock lock(mutex_);
    if (finishing_ != who) return;
    finishing_ = nullptr;
    ready = Next();
  }
  for (const Waiting& one : ready) one.resume();
}

void IntakeBudget::Leave(Who who) {
  {
    base::MutexLock lock(mutex_);
    std::erase_if(waiting_, [&](const Waiting& one) { return one.who == who; });
  }
  Finished(who);
}

std::vector<IntakeBudget::Waiting> IntakeBudget::Next() {
  std::vector<Waiting> next;
  if (held_ == 0) {
    next.swap(waiting_);
    return next;
  }
  // Each that is read on brings a message: no more of them than have room. Whoever still waits is
  // called by one of the next that gives.
  std::size_t places = 0;
  if (held_ <= open_bytes_) {
    places = static_cast<std::size_t>(
        std::max<std::uint64_t>(1, (open_bytes_ - held_) / kLargestMessageBytes));
  }
  const bool finish = places == 0 && finishing_ == nullptr;
  if (finish) places = 1;
  while (places-- > 0 && !waiting_.empty()) {
    const auto oldest =
        std::min_element(waiting_.begin(), waiting_.end(), [](const Waiting& a, const Waiting& b) {
          constexpr std::uint64_t kLast = std::numeric_limits<std::uint64_t>::max();
          return a.half_since.value_or(kLast) < b.half_since.value_or(kLast);
        });
    if (finish && !oldest->half_since.has_value()) break;
    if (finish) finishing_ = oldest->who;
    next.push_back(std::move(*oldest));
    waiting_.erase(oldest);
  }
  return next;
}

std::uint64_t IntakeBudget::held() const {
  base::MutexLock lock(mutex_);
  return held_;
}

absl::StatusOr<std::shared_ptr<const void>> StreamCounts::Open(const base::CollectorId& identity) {
  const std::size_t most =
      identity.empty() ? limits_.streams_without_identity : limits_.streams_per_identity;
  {
    base::MutexLock lock(mutex_);
    std::size_t& open = open_[identity];
    if (open >= most) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "collector \"", identity.value(), "\" has ", open, " streams open, the limit is ", most,
          ": one is enough; does more than one collector use its certificate?"));
    }
    ++open;
  }
  return std::shared_ptr<const void>(this, [this, identity](const void*) {
    base::MutexLock lock(mutex_);
    const auto open = open_.find(identity);
    if (--open->second == 0) open_.erase(open);
  });
}

// Gives back what a message took, in the stream and in the budget.
struct StreamIntake::Hold {
  std::shared_ptr<StreamIntake> stream;
  std::uint64_t held = 0;
  std::uint64_t snapshot_bytes = 0;

  ~Hold() {
    bool half = false;
    {
      base::MutexLock lock(stream->mutex_);
      stream->held_ -= held;
      stream->snapshot_bytes_ -= snapshot_bytes;
      half = stream->newest_.half;
    }
    stream->budget_->Give(held);
    // Only now: the next one needs the room that this one had.
    if (snapshot_bytes > 0 && !half) stream->budget_->Finished(stream.get());
  }
};

StreamIntake::Counted StreamIntake::Count(const CollectorMessage& message, std::uint64_t bytes) {
  auto hold = std::make_shared<Hold>();
  hold->stream = shared_from_this();
  hold->held = bytes + kMessageBytes;
  const auto* part = std::get_if<SnapshotPart>(&message);
  if (part != nullptr) hold->snapshot_bytes = bytes;
  budget_->Take(hold->held);
  absl::Status status;
  {
    base::MutexLock lock(mutex_);
    held_ += hold->held;
    snapshot_bytes_ += hold->snapshot_bytes;
    if (part != nullptr) {
      const std::uint64_t sequence = part->offered.position.sequence;
      if (newest_.router != part->router || newest_.menu != part->menu ||
          newest_.sequence != sequence) {
        newest_ = {.router = part->router,
                   .menu = part->menu,
                   .sequence = sequence,
                   .age = budget_->NextAge()};
      }
      newest_.bytes += bytes;
      newest_.half = part->defect.ok() && !part->columns.last_part;
    }
    if (held_ > limits_.stream_bytes) {
      status = absl::ResourceExhaustedError(
          absl::StrCat(held_, " bytes of messages wait for an answer, the limit is ",
                       limits_.stream_bytes, ": keep to the credit of the welcome"));
    } else if (snapshot_bytes_ > newest_.bytes + limits_.credit_bytes + kCreditSlack) {
      status = absl::ResourceExhaustedError(
          absl::StrCat(snapshot_bytes_ - newest_.bytes,
                       " bytes of snapshots wait for an answer behind another,"
                       " the credit of the welcome is ",
                       limits_.credit_bytes, ": keep to it"));
    }
  }
  return {.status = std::move(status), .hold = std::move(hold)};
}

bool StreamIntake::WaitForRoom(std::function<void()> resume) {
  std::optional<std::uint64_t> half_since;
  {
    base::MutexLock lock(mutex_);
    if (held_ == 0) return false;
    if (newest_.half) half_since = newest_.age;
  }
  return budget_->WaitForRoom(this, half_since, std::move(resume));
}

void StreamIntake::Close() { budget_->Leave(this); }

}  // namespace netsentinel::ingest
