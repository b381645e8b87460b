#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "notifier/channel/channel.h"
#include "notifier/channel/mail_address.h"

namespace netsentinel::channel {

// The Message-ID, without angle brackets, of a letter to a recipient: the same for the same two,
// different for any others.
std::string MessageId(absl::string_view letter_id, absl::string_view recipient,
                      absl::string_view sender_domain);

// The letter as RFC 5322 with CRLF: text, HTML beside it, the CSV attached. The same arguments give
// the same bytes: Message-ID and boundaries come from the letter's id and the recipient, the Date
// from the letter. Non-ASCII headers by RFC 2047. kInvalidArgument when the subject has a control
// character or is not UTF-8, or the recipient is not an address. One thread at a time.
absl::StatusOr<std::string> BuildMail(const Letter& letter, const Mailbox& from,
                                      const std::string& recipient);

}  // namespace netsentinel::channel
