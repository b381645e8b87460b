#include "notifier/delivery/passage.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace netsentinel::delivery {
namespace {

constexpr absl::Duration kCountsFor = absl::Hours(24);
constexpr std::size_t kNamed = 3;

std::string When(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

}  // namespace

bool Passage::Counts(const Recipient& recipient, absl::Time now) {
  // Also while the clock has stepped back.
  return absl::AbsDuration(now - recipient.at) <= kCountsFor;
}

Passage::Recipient* Passage::Find(const std::string& recipient, absl::Time now) {
  const auto known = recipients_.find(recipient);
  if (known != recipients_.end()) return &known->second;
  if (recipients_.size() >= kMaxRecipients) {
    std::erase_if(recipients_, [&](const auto& entry) { return !Counts(entry.second, now); });
  }
  return recipients_.size() >= kMaxRecipients ? nullptr : &recipients_[recipient];
}

void Passage::Passed(const std::string& recipient, absl::Time now) {
  Recipient* const state = Find(recipient, now);
  if (state != nullptr) *state = {.at = now, .passes = true};
}

void Passage::PutOff(const std::string& recipient, absl::string_view detail, bool shown,
                     absl::Time now) {
  Recipient* const state = Find(recipient, now);
  if (state == nullptr) return;
  const bool again = !state->passes && state->put_off_since != absl::InfinitePast();
  if (!again) *state = {.put_off_since = now};
  state->at = now;
  state->shown = shown || again;
  state->detail = std::string(detail);
}

void Passage::Restore(const std::string& recipient, absl::Time passed_at, absl::Time put_off_since,
                      absl::string_view detail, absl::Time now) {
  Recipient* const state = Find(recipient, now);
  if (state == nullptr) return;
  if (passed_at >= put_off_since) {
    *state = {.at = passed_at, .passes = true};
  } else {
    *state = {.at = now, .shown = true, .put_off_since = put_off_since};
    state->detail = std::string(detail);
  }
}

bool Passage::NobodyPasses(absl::Time now) const {
  bool put_off = false;
  for (const auto& [name, state] : recipients_) {
    if (!Counts(state, now)) continue;
    if (state.passes) return false;
    put_off = true;
  }
  return put_off;
}

std::string Passage::Sentence(absl::Time now) const {
  std::size_t waiting = 0;
  std::string named;
  const Recipient* latest = nullptr;
  absl::Time since = absl::InfiniteFuture();
  for (const auto& [name, state] : recipients_) {
    if (state.passes || !state.shown || !Counts(state, now)) continue;
    ++waiting;
    since = std::min(since, state.put_off_since);
    if (latest == nullptr || state.at > latest->at) latest = &state;
    if (waiting <= kNamed) {
      absl::StrAppend(&named, waiting == 1 ? "" : "; ", name, " since ", When(state.put_off_since),
                      ": ", state.detail);
    }
  }
  if (latest == nullptr) return "";
  if (NobodyPasses(now)) {
    return absl::StrCat("the server lets no mail pass: ", latest->detail, "; since ", When(since),
                        ", nothing is given up meanwhile, each mail is tried again every quarter "
                        "of an hour or so");
  }
  return absl::StrCat("mails of others pass, those to ", waiting,
                      waiting == 1 ? " recipient do not: " : " recipients do not: ", named,
                      waiting > kNamed ? "; …" : "");
}

}  // namespace netsentinel::delivery
