#pragma once

#include <string>

#include "absl/strings/string_view.h"

// What a mail server's refusal is about. Servers tell very different things with the same code, so
// the code, the enhanced code (RFC 3463) and the words are looked at together.
namespace netsentinel::channel {

enum class Concern {
  // There is nobody of that name or no such domain: nothing else can be meant.
  kAddress,
  // The recipient's mailbox, and not for good: full, greylisted, busy, in a while.
  kMailbox,
  // Our sender address, our account, login or host, or a limit on what we may send: whoever the
  // recipient is.
  kSender,
  // What the mail says or how large it is.
  kLetter,
  // The server itself: out of space, shutting down, broken.
  kServer,
  // It may be any of them.
  kUnclear,
};

// What the server was asked when it refused.
enum class Asked { kSender, kRecipient, kMail };

// `code` is that of the reply, `text` the whole reply with the codes of its lines; hostile. Only
// what excludes every other reading makes it kAddress: a code that says so, or words that name a
// mailbox, user or recipient in the answer to a recipient. Pure.
Concern ConcernOf(int code, absl::string_view text, Asked asked = Asked::kRecipient);

// "5.7.1" of "550 5.7.1 no" and of "553 sorry (#5.7.1)"; empty when the reply has none.
std::string EnhancedCode(absl::string_view text);

}  // namespace netsentinel::channel
