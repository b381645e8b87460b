#include "notifier/delivery/passage.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace netsentinel::delivery {
namespace {

constexpr absl::Duration kCountsFor = absl::Hours(24);
constexpr absl::Duration kGivenUpCountsFor = absl::Hours(7 * 24);
constexpr std::size_t kNamed = 3;

std::string When(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", time, absl::UTCTimeZone());
}

}  // namespace

bool Passage::Counts(const Recipient& recipient, absl::Time now) {
  // Also while the clock has stepped back.
  return absl::AbsDuration(now - recipient.at) <=
         (recipient.given_up ? kGivenUpCountsFor : kCountsFor);
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

void Passage::GaveUp(const std::string& recipient, absl::string_view detail, absl::Time now) {
  Recipient* const state = Find(recipient, now);
  if (state == nullptr) return;
  *state = {.at = now, .given_up = true, .put_off_since = now, .detail = std::string(detail)};
}

void Passage::Restore(const std::string& recipient, const Before& before, absl::Time now) {
  Recipient* const state = Find(recipient, now);
  if (state == nullptr) return;
  const absl::Time given_up = before.given_up_at;
  if (before.passed_at >= std::max(before.put_off_since, given_up)) {
    *state = {.at = before.passed_at, .passes = true};
  } else if (given_up >= before.put_off_since) {
    *state = {.at = given_up, .given_up = true, .put_off_since = given_up};
    state->detail = before.detail;
  } else {
    *state = {.at = now, .shown = true, .put_off_since = before.put_off_since};
    state->detail = before.detail;
  }
}

bool Passage::OthersPass(const std::string& recipient, absl::Time now) const {
  return std::any_of(recipients_.begin(), recipients_.end(), [&](const auto& entry) {
    return entry.first != recipient && entry.second.passes && Counts(entry.second, now);
  });
}

bool Passage::NobodyPasses(absl::Time now) const {
  bool put_off = false;
  for (const auto& [name, state] : recipients_) {
    if (!Counts(state, now)) continue;
    if (state.passes) return false;
    put_off = put_off || !state.given_up;
  }
  return put_off;
}

std::string Passage::Sentence(absl::Time now) const {
  const std::string waits = WaitingSentence(now);
  const std::string given_up = GivenUpSentence(now);
  return absl::StrCat(waits, waits.empty() || given_up.empty() ? "" : "; ", given_up);
}

std::string Passage::WaitingSentence(absl::Time now) const {
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

std::string Passage::GivenUpSentence(absl::Time now) const {
  std::size_t count = 0;
  std::string named;
  for (const auto& [name, state] : recipients_) {
    if (!state.given_up || !Counts(state, now)) continue;
    if (++count > kNamed) continue;
    absl::StrAppend(&named, count == 1 ? "" : "; ", name, " at ", When(state.at), ": ",
                    state.detail);
  }
  if (count == 0) return "";
  return absl::StrCat(
      "mails were given up to ", count, count == 1 ? " recipient: " : " recipients: ", named,
      count > kNamed ? "; …" : "", "; correct the address in the configuration and reload");
}

}  // namespace netsentinel::delivery
