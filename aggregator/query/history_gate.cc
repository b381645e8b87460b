#include "aggregator/query/history_gate.h"

#include "absl/strings/str_cat.h"

namespace netsentinel::query {
namespace {

// Whether the caller has gone is looked at this often.
constexpr absl::Duration kLook = absl::Milliseconds(50);

}  // namespace

absl::StatusOr<HistoryGate::Pass> HistoryGate::Enter(const std::function<bool()>& gone) {
  base::MutexLock lock(mutex_);
  const auto free = [this] { return inside_ < answers_max_; };
  for (absl::Duration waited = kLook;
       !changed_.wait_for(lock.native(), absl::ToChronoMilliseconds(kLook), free);
       waited += kLook) {
    if (gone()) return absl::CancelledError("the caller cancelled the request");
    if (waited >= wait_max_) {
      return absl::ResourceExhaustedError(absl::StrCat(
          answers_max_, " answers from stored days are being made, and none was done within ",
          absl::FormatDuration(wait_max_), ": ask again later, or for days that are still open"));
    }
  }
  ++inside_;
  return Pass(this, [](void* gate) { static_cast<HistoryGate*>(gate)->Leave(); });
}

void HistoryGate::Leave() {
  {
    base::MutexLock lock(mutex_);
    --inside_;
  }
  changed_.notify_one();
}

}  // namespace netsentinel::query
