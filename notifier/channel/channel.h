#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// Ways out of the notifier. A channel knows whether trying again can help; when to try again is
// decided elsewhere.
namespace netsentinel::channel {

// What is to be delivered, whoever receives it.
struct Letter {
  // Stable: the same letter has the same id after a restart.
  std::string id;
  // When what it tells happened, not when it is sent.
  absl::Time date;
  // UTF-8, one line.
  std::string subject;
  std::string text;
  // Empty: none.
  std::string html = {};
  // An attached CSV file; an empty name: none.
  std::string csv_name = {};
  std::string csv = {};
};

enum class Outcome {
  // Taken over by the next server.
  kDelivered,
  // This recipient, or this letter, not now: try again by the plan.
  kRetry,
  // Not this letter, or not this recipient for a good while (a full mailbox); waiting may help,
  // insisting does not.
  kRetrySlowly,
  // This recipient never: there is nobody of that name.
  kRejected,
  // Refused for good, and it is not certain that the address is wrong: the sender, the account, a
  // limit, relaying or policy may be meant. Somebody may have to change a configuration here or
  // there; other recipients may be served.
  kNotPermitted,
  // The channel cannot be used at the moment, whoever the recipient is.
  kChannelDown,
  // The channel cannot be used until somebody changes a configuration here or there.
  kMisconfigured,
};

struct SendResult {
  Outcome outcome = Outcome::kRetry;
  // The server's last words or what went wrong, for people: valid UTF-8, one line, at most 400
  // bytes, no secret.
  std::string detail;
};

// One thread.
class Channel {
 public:
  virtual ~Channel() = default;
  // "smtp".
  virtual absl::string_view name() const = 0;
  // Delivers to one recipient; returns within the channel's own deadlines. The same letter and
  // recipient again is the same mail again, so that a receiver can tell a repetition.
  virtual SendResult Send(const Letter& letter, const std::string& recipient) = 0;
  // Goes as far as a delivery would without sending anything. kDelivered: it would be tried;
  // kChannelDown or kMisconfigured: it could not.
  virtual SendResult Probe() = 0;
  // Called when nothing is to be sent for a while: closes what is held open.
  virtual void Rest() {}
};

}  // namespace netsentinel::channel
