#include "aggregator/ingest/notices.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace netsentinel::ingest {

std::string Bounded(absl::string_view text) {
  if (text.size() <= kTextMax) return std::string(text);
  std::size_t end = kTextMax;
  // Not within a character.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end));
}

std::optional<std::uint64_t> Notices::Pass(absl::string_view kind, absl::string_view subject,
                                           absl::Duration now) {
  const std::string key = absl::StrCat(kind, " ", subject);
  const auto known = told_.find(key);
  if (known != told_.end()) {
    if (now - known->second.at < limits_.interval) {
      ++known->second.held_back;
      return std::nullopt;
    }
    known->second.at = now;
    return std::exchange(known->second.held_back, 0);
  }
  if (told_.size() >= limits_.subjects) {
    absl::erase_if(told_,
                   [&](const auto& entry) { return now - entry.second.at >= limits_.interval; });
    if (told_.size() >= limits_.subjects) return std::nullopt;
  }
  told_.emplace(key, Told{.at = now, .held_back = 0});
  return 0;
}

void Notices::Add(accounting::EventRecord event) {
  if (waiting_.size() < limits_.waiting) waiting_.push_back(std::move(event));
}

void Notices::Committed(std::size_t count) {
  waiting_.erase(waiting_.begin(),
                 waiting_.begin() + static_cast<std::ptrdiff_t>(std::min(count, waiting_.size())));
}

}  // namespace netsentinel::ingest
