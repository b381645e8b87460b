#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "notifier/report/model.h"

namespace netsentinel::report {

// Alerts spelled out in one mail; the rest are counted, and stand in the file attached to it, see
// AlertCsv.
inline constexpr std::size_t kMaxInlineAlerts = 200;

// The subject of a mail with `alerts`, which are of one site and not empty: the alert itself when
// it is one, else how many.
std::string AlertSubject(absl::Span<const Alert> alerts);
// "ali passed 100 % of 10.00 GiB download for the day 2026-11-23: 10.50 GiB used."
std::string AlertSentence(const Alert& alert);
// When, where and what was used, for below the sentence.
std::string AlertDetail(const Alert& alert);
// The plain-text form of the mail.
std::string AlertText(absl::Span<const Alert> alerts);
// "3 more alerts are in the attached file."
std::string MoreAlertsText(std::size_t more, absl::string_view where);

}  // namespace netsentinel::report
