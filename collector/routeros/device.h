#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "collector/routeros/word_codec.h"
#include "common/counters/snapshot.h"

// What a router says about itself: rows of /system menus, as SessionEvent::row has them.
namespace netsentinel::routeros {

// `/system/resource/print`: everything, and the uptime alone.
absl::Span<const absl::string_view> ResourceCommand();
absl::Span<const absl::string_view> UptimeCommand();
absl::Span<const absl::string_view> IdentityCommand();
// Absent on CHR and x86: RouterError::kMenuAbsent, no fault.
absl::Span<const absl::string_view> RouterboardCommand();
absl::Span<const absl::string_view> LicenseCommand();

// Texts are shown as counters::DeviceText: they travel and are keys.
struct Resource {
  std::uint64_t uptime_s = 0;
  std::string version;
  std::string board_name;
  std::string architecture;

  bool operator==(const Resource&) const = default;
};

// Fails with kIncompleteReply when the row has no readable `uptime` of at most a hundred years.
absl::StatusOr<std::uint64_t> ReadUptime(Sentence row);
// As ReadUptime; the other fields may be missing.
absl::StatusOr<Resource> ReadResource(Sentence row);

// The name of the router, raw bytes, at most counters::kMaxDeviceTextBytes; empty when the row has
// none.
std::string ReadIdentity(Sentence row);
// Empty when the row says `routerboard=no`; nothing when it shows no serial number otherwise, as a
// reply that fell short does and a few boards always.
std::optional<std::string> ReadSerialNumber(Sentence row);
// `system-id` (CHR), else `software-id`; empty when the row has neither.
std::string ReadSystemId(Sentence row);

// kIncompleteReply when `now` lacks the serial number or id by which the same board was known: a
// reply that fell short, and not another device.
absl::Status CheckSameDevice(const counters::DeviceIdentity& known,
                             const counters::DeviceIdentity& now);

}  // namespace netsentinel::routeros
