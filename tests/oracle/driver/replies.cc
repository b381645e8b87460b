#include "tests/oracle/driver/replies.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "collector/routeros/device.h"
#include "common/base/status_macros.h"

namespace netsentinel::oracle {

using counters::Menu;
using routeros::SessionEvent;

RouterLine::MenuReader& RouterLine::ReaderOf(Menu menu) {
  std::unique_ptr<MenuReader>& found = readers_[menu];
  if (found == nullptr) found = std::make_unique<MenuReader>(menu);
  return *found;
}

void RouterLine::Connect() {
  session_ = std::make_unique<routeros::Session>(
      routeros::SessionLimits{}, [](absl::string_view) { return std::array<std::uint8_t, 16>{}; });
  session_->Login({.username = "reader", .password = base::Secret("a long password")},
                  routeros::LoginMethod::kPlain);
  session_->OnWritten(session_->output().size());
  for (auto& [menu, reader] : readers_) reader->reader.BeginSession(session_->mask());
}

absl::Status RouterLine::Ask(absl::Span<const Menu> menus) {
  if (session_ == nullptr) return absl::FailedPreconditionError("no session");
  calls_.clear();
  uptime_ = absl::UnknownError("no uptime");
  const absl::StatusOr<routeros::RequestTag> uptime = session_->Send(routeros::UptimeCommand());
  NS_RETURN_IF_ERROR(uptime.status());
  calls_.push_back({.tag = *uptime});
  for (const Menu menu : menus) {
    if (!readers_.contains(menu)) ReaderOf(menu).reader.BeginSession(session_->mask());
    MenuReader& reader = ReaderOf(menu);
    reader.reader.Begin();
    const absl::StatusOr<routeros::RequestTag> tag = session_->Send(reader.reader.PrintCommand());
    NS_RETURN_IF_ERROR(tag.status());
    calls_.push_back({.tag = *tag, .menu = &reader});
  }
  session_->OnWritten(session_->output().size());
  return absl::OkStatus();
}

void RouterLine::Feed(absl::string_view bytes) {
  while (!bytes.empty() && session_ != nullptr && !session_->closed()) {
    const absl::Span<char> room = session_->ReadSpace(1);
    const std::size_t count = std::min(room.size(), bytes.size());
    std::memcpy(room.data(), bytes.data(), count);
    session_->OnRead(count);
    bytes.remove_prefix(count);
    Listen();
  }
}

void RouterLine::HangUp() {
  if (session_ == nullptr) return;
  session_->OnDisconnect(absl::UnavailableError("the connection was cut"));
  Listen();
}

void RouterLine::Listen() {
  for (;;) {
    const SessionEvent event = session_->Next();
    if (event.kind == SessionEvent::Kind::kNeedInput || event.kind == SessionEvent::Kind::kClosed) {
      return;
    }
    const auto call = std::find_if(calls_.begin(), calls_.end(),
                                   [&event](const Call& c) { return c.tag == event.tag; });
    if (call == calls_.end()) continue;
    if (event.kind == SessionEvent::Kind::kDone) {
      call->done = true;
      call->status = event.result->status;
    } else if (event.kind == SessionEvent::Kind::kRow && call->menu == nullptr) {
      uptime_ = routeros::ReadUptime(event.row);
    } else if (event.kind == SessionEvent::Kind::kRow) {
      call->menu->reader.AddRow(event.row);
    }
  }
}

absl::Status RouterLine::Take(Menu menu, counters::Snapshot& snapshot) {
  MenuReader& reader = ReaderOf(menu);
  for (const Call& call : calls_) {
    if (call.menu != nullptr && call.menu != &reader) continue;
    if (!call.done) return session_->closed() ? session_->failure() : absl::UnknownError("no end");
    NS_RETURN_IF_ERROR(call.status);
  }
  NS_RETURN_IF_ERROR(uptime_.status());
  NS_RETURN_IF_ERROR(reader.reader.Finish(snapshot.readings));
  snapshot.menu = menu;
  snapshot.header.router_uptime_s = *uptime_;
  snapshot.header.settings_fingerprint = reader.reader.settings_fingerprint();
  return absl::OkStatus();
}

}  // namespace netsentinel::oracle
