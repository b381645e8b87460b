#pragma once

#include <string>
#include <utility>
#include <vector>

#include "common/http/server.h"
#include "notifier/delivery/report_desk.h"

namespace netsentinel::app {

// "/" shows the current report of the first site, "/sites/ID" that of another; both may name a
// past day: ?day=2026-03-25. `desk` must outlive the handlers.
std::vector<std::pair<std::string, http::Handler>> ReportPages(delivery::ReportDesk& desk);

}  // namespace netsentinel::app
