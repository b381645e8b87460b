#include "aggregator/ingest/intake.h"

#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::ingest {
namespace {

// What a message takes in memory beside its bytes.
constexpr std::uint64_t kMessageBytes = 1024;
// Collectors reckon with what rows take in their spools, and may be off by a little.
constexpr std::uint64_t kCreditSlack = std::uint64_t{2} << 20;

}  // namespace

void IntakeBudget::Take(std::uint64_t bytes) {
  base::MutexLock lock(mutex_);
  held_ += bytes;
}

void IntakeBudget::Give(std::uint64_t bytes) {
  std::vector<std::function<void()>> ready;
  {
    base::MutexLock lock(mutex_);
    held_ -= bytes;
    if (held_ <= total_bytes_) ready.swap(waiting_);
  }
  for (const auto& resume : ready) resume();
}

bool IntakeBudget::WaitForRoom(std::function<void()> resume) {
  base::MutexLock lock(mutex_);
  if (held_ <= total_bytes_) return false;
  waiting_.push_back(std::move(resume));
  return true;
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
    {
      base::MutexLock lock(stream->mutex_);
      stream->held_ -= held;
      stream->snapshot_bytes_ -= snapshot_bytes;
    }
    stream->budget_->Give(held);
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
        newest_ = {.router = part->router, .menu = part->menu, .sequence = sequence, .bytes = 0};
      }
      newest_.bytes += bytes;
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
  {
    base::MutexLock lock(mutex_);
    if (held_ == 0) return false;
  }
  return budget_->WaitForRoom(std::move(resume));
}

}  // namespace netsentinel::ingest
