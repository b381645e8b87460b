#include "common/http/health.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "common/base/display_name.h"

namespace netsentinel::http {

void Readiness::NotReady(absl::string_view condition, absl::string_view sentence) {
  base::MutexLock lock(mutex_);
  conditions_[std::string(condition)].sentence =
      sentence.empty() ? "no reason given" : std::string(sentence);
  Tell();
}

void Readiness::Ready(absl::string_view condition) {
  base::MutexLock lock(mutex_);
  conditions_[std::string(condition)].sentence.clear();
  Tell();
}

void Readiness::MakeAdvisory(absl::string_view condition) {
  base::MutexLock lock(mutex_);
  conditions_[std::string(condition)].advisory = true;
  Tell();
}

bool Readiness::ready() const {
  base::MutexLock lock(mutex_);
  return AllHold();
}

bool Readiness::AllHold() const {
  for (const auto& [name, condition] : conditions_) {
    if (!condition.sentence.empty() && !condition.advisory) return false;
  }
  return true;
}

std::string Readiness::Text() const {
  base::MutexLock lock(mutex_);
  std::string text = AllHold() ? "ready\n" : "";
  for (const auto& [name, condition] : conditions_) {
    if (condition.sentence.empty()) continue;
    absl::StrAppend(&text, name, condition.advisory ? ": waiting: " : ": not ready: ",
                    base::DisplayName(condition.sentence), "\n");
  }
  return text;
}

std::vector<std::pair<std::string, bool>> Readiness::Conditions() const {
  base::MutexLock lock(mutex_);
  std::vector<std::pair<std::string, bool>> conditions;
  conditions.reserve(conditions_.size());
  for (const auto& [name, condition] : conditions_) {
    conditions.emplace_back(name, condition.sentence.empty());
  }
  return conditions;
}

void Readiness::Watch(std::function<void(bool ready)> watcher) {
  base::MutexLock lock(mutex_);
  watcher_ = std::move(watcher);
  told_ = AllHold();
  if (watcher_) watcher_(told_);
}

void Readiness::Tell() {
  const bool now = AllHold();
  if (now == told_) return;
  told_ = now;
  if (watcher_) watcher_(now);
}

void Liveness::Pulse::Beat() {
  base::MutexLock lock(owner_.mutex_);
  last_ = owner_.clock_.MonotonicNow();
  stopped_ = false;
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

std::vector<std::pair<std::string, absl::Duration>> Liveness::Loops() const {
  base::MutexLock lock(mutex_);
  std::vector<std::pair<std::string, absl::Duration>> loops;
  const absl::Duration now = clock_.MonotonicNow();
  for (const Pulse& pulse : pulses_) {
    if (!pulse.stopped_) loops.emplace_back(pulse.name_, now - pulse.last_);
  }
  return loops;
}

bool Liveness::alive() const { return Overdue().empty(); }

std::string Liveness::Text() const {
  const std::vector<std::string> overdue = Overdue();
  if (overdue.empty()) return "alive\n";
  return absl::StrCat(absl::StrJoin(overdue, "\n"), "\n");
}

}  // namespace netsentinel::http
