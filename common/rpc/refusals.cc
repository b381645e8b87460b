#include "common/rpc/refusals.h"

#include "absl/strings/str_cat.h"

namespace netsentinel::rpc {
namespace {

// "10.0.0.7" of "10.0.0.7:51234": each connection has a port of its own.
absl::string_view HostOf(absl::string_view address) {
  return address.substr(0, address.rfind(':'));
}

}  // namespace

void Refusals::Count(absl::string_view reason) {
  metrics_
      .AddCounter("netsentinel_grpc_refused_total", "Connections and calls that were refused.",
                  {{"reason", std::string(reason)}})
      .Increment();
}

void Refusals::Refuse(const Refusal& refusal) {
  Count(refusal.reason);
  const std::optional<HeldBack> held_back =
      MayLog(absl::StrCat(refusal.reason, " ", HostOf(refusal.address), " ", refusal.name));
  if (!held_back.has_value()) return;
  logger_.Warn("rpc.refused", refusal.words,
               {{"reason", refusal.reason},
                {"address", refusal.address},
                {"name", refusal.name},
                {"more_like_it", held_back->like_it},
                {"others_untold", held_back->others}});
}

std::optional<Refusals::HeldBack> Refusals::MayLog(const std::string& key) {
  base::MutexLock lock(mutex_);
  const absl::Duration now = clock_.MonotonicNow();
  if (now - window_ >= absl::Seconds(1)) {
    window_ = now;
    in_window_ = 0;
  }
  const auto at = traces_.find(key);
  if (at != traces_.end() && now < at->second.quiet_until) {
    ++at->second.suppressed;
    return std::nullopt;
  }
  if (in_window_ >= kLinesPerSecond) {
    ++untraced_;
    return std::nullopt;
  }
  ++in_window_;
  HeldBack held_back{.others = std::exchange(untraced_, 0)};
  if (at != traces_.end()) {
    held_back.like_it = at->second.suppressed;
    at->second = {now + kQuiet, 0};
    return held_back;
  }
  if (traces_.size() >= kMaxKeys) {
    std::erase_if(traces_, [&](const auto& trace) {
      if (now < trace.second.quiet_until) return false;
      held_back.others += trace.second.suppressed;
      return true;
    });
  }
  if (traces_.size() < kMaxKeys) traces_[key] = {now + kQuiet, 0};
  return held_back;
}

}  // namespace netsentinel::rpc
