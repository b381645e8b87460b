#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "notifier/report/model.h"
#include "notifier/report/ranking_text.h"

namespace netsentinel::report {

struct AlertFile {
  std::string csv;
  // Alerts from the front that are in it.
  std::size_t rows = 0;
};

// Alerts as a file for a mail that tells more than it can spell out: RFC 4180, one line an alert,
// bytes as integers, names as in the ranking's file. As many as fit into `max_bytes`, at least one
// of those given.
AlertFile AlertCsv(absl::Span<const Alert> alerts, std::size_t max_bytes = kMaxCsvBytes);

// "netsentinel-lahore-alerts.csv".
std::string AlertFileName(absl::string_view site_id);

}  // namespace netsentinel::report
