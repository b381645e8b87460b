#include "common/http/health.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"

namespace netsentinel::http {

void Readiness::NotReady(absl::string_view condition, absl::string_view sentence) {
  base::MutexLock lock(mutex_);
  conditions_[std::string(condition)] =
      sentence.empty() ? "no reason given" : std::string(sentence);
}

void Readiness::Ready(absl::string_view condition) {
  base::MutexLock lock(mutex_);
  conditions_[std::string(condition)].clear();
}

bool Readiness::ready() const {
  base::MutexLock lock(mutex_);
  for (const auto& [name, sentence] : conditions_) {
    if (!sentence.empty()) return false;
  }
  return true;
}

std::string Readiness::Text() const {
  base::MutexLock lock(mutex_);
  std::string text;
  for (const auto& [name, sentence] : conditions_) {
    if (sentence.empty()) continue;
    absl::StrAppend(&text, name, ": not ready: ", base::DisplayName(sentence), "\n");
  }
  return text.empty() ? "ready\n" : text;
}

void Liveness::Pulse::Beat() {
  base::MutexLock lock(owner_.mutex_);
  last_ = owner_.clock_.MonotonicNow();
}

void Liveness::Pulse::Stop() {
  base::MutexLock lock(owner_.mutex_);
  stopped_ = true;
}

Liveness::Pulse& Liveness::AddPulse(absl::string_view name, absl::Duration max_silence) {
  base::MutexLock lock(mutex_);
  pulses_.push_back(Pulse(*this, name, max_silence));
  pulses_.back().last_ = clock_.MonotonicNow();
  return pulses_.back();
}

std::vector<std::string> Liveness::Overdue() const {
  base::MutexLock lock(mutex_);
  std::vector<std::string> overdue;
  const absl::Duration now = clock_.MonotonicNow();
  for (const Pulse& pulse : pulses_) {
    const absl::Duration silence = now - pulse.last_;
    if (pulse.stopped_ || silence <= pulse.max_silence_) continue;
    overdue.push_back(absl::StrCat(
        pulse.name_, ": silent for ", absl::FormatDuration(absl::Trunc(silence, absl::Seconds(1))),
        ", which is longer than ", absl::FormatDuration(pulse.max_silence_)));
  }
  return overdue;
}

bool Liveness::alive() const { return Overdue().empty(); }

std::string Liveness::Text() const {
  const std::vector<std::string> overdue = Overdue();
  if (overdue.empty()) return "alive\n";
  return absl::StrCat(absl::StrJoin(overdue, "\n"), "\n");
}

}  // namespace netsentinel::http
