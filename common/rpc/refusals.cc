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
  std::uint64_t suppressed = 0;
  if (!MayLog(absl::StrCat(refusal.reason, " ", HostOf(refusal.address), " ", refusal.name),
              suppressed)) {
    return;
  }
  logger_.Warn("rpc.refused", refusal.words,
               {{"reason", refusal.reason},
                {"address", refusal.address},
                {"name", refusal.name},
                {"more_like_it", suppressed}});
}

bool Refusals::MayLog(const std::string& key, std::uint64_t& suppressed) {
  base::MutexLock lock(mutex_);
  const absl::Duration now = clock_.MonotonicNow();
  if (now - window_ >= absl::Seconds(1)) {
    window_ = now;
    in_window_ = 0;
  }
  const auto at = traces_.find(key);
  if (at != traces_.end() && now < at->second.quiet_until) {
    ++at->second.suppressed;
    return false;
  }
  if (in_window_ >= kLinesPerSecond) {
    ++untraced_;
    return false;
  }
  ++in_window_;
  suppressed = std::exchange(untraced_, 0);
  if (at != traces_.end()) {
    suppressed += at->second.suppressed;
    at->second = {now + kQuiet, 0};
    return true;
  }
  if (traces_.size() >= kMaxKeys) {
    std::erase_if(traces_, [&](const auto& trace) {
      if (now < trace.second.quiet_until) return false;
      suppressed += trace.second.suppressed;
      return true;
    });
  }
  if (traces_.size() < kMaxKeys) traces_[key] = {now + kQuiet, 0};
  return true;
}

}  // namespace netsentinel::rpc
