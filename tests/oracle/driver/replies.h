#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "collector/routeros/queue_menu_reader.h"
#include "collector/routeros/session.h"
#include "common/counters/descriptor_table.h"
#include "common/counters/snapshot.h"

namespace netsentinel::oracle {

// The collector's side of one router's API connection, without the connection: the session and the
// readers of the product, fed with bytes. A session ends; the readers live on, as in a collector.
class RouterLine {
 public:
  // A new connection; the login is under way.
  void Connect();
  // Asks for the uptime and for these menus, all at once.
  absl::Status Ask(absl::Span<const counters::Menu> menus);
  void Feed(absl::string_view bytes);
  void HangUp();
  // The reply of one menu of the last Ask: readings in the menu's own table, and the uptime in
  // `header`. Says why when it is none.
  absl::Status Take(counters::Menu menu, counters::Snapshot& snapshot);
  const counters::DescriptorTable& table(counters::Menu menu) { return ReaderOf(menu).table; }

 private:
  struct MenuReader {
    explicit MenuReader(counters::Menu menu) : reader(menu, table) {}
    counters::DescriptorTable table;
    routeros::QueueMenuReader reader;
  };
  struct Call {
    routeros::RequestTag tag = 0;
    MenuReader* menu = nullptr;  // nullptr: the uptime
    bool done = false;
    absl::Status status = {};
  };

  MenuReader& ReaderOf(counters::Menu menu);
  void Listen();

  std::unique_ptr<routeros::Session> session_;
  std::map<counters::Menu, std::unique_ptr<MenuReader>> readers_;
  std::vector<Call> calls_;
  absl::StatusOr<std::uint64_t> uptime_ = absl::UnknownError("no uptime");
};

}  // namespace netsentinel::oracle
