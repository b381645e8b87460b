#include "notifier/channel/mail_address.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"
#include "common/base/status_macros.h"

namespace netsentinel::channel {
namespace {

absl::Status Refuse(absl::string_view text, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("\"", base::DisplayName(text), "\" ", why,
                                                 ": expected an address such as noc@example.com"));
}

}  // namespace

absl::Status CheckMailAddress(absl::string_view address) {
  if (address.empty() || address.size() > 254) return Refuse(address, "is not a mail address");
  for (const char c : address) {
    if (c <= 0x20 || c >= 0x7F ||
        absl::string_view("<>()[],;:\\\"").find(c) != absl::string_view::npos) {
      return Refuse(address, "has a character that no mail address has");
    }
  }
  const std::size_t at = address.find('@');
  if (at == absl::string_view::npos || at == 0 || at + 1 == address.size() ||
      address.find('@', at + 1) != absl::string_view::npos) {
    return Refuse(address, "needs one @ with text on both sides");
  }
  return absl::OkStatus();
}

absl::StatusOr<Mailbox> ParseMailbox(absl::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  Mailbox mailbox;
  const std::size_t open = trimmed.find('<');
  if (open == absl::string_view::npos) {
    mailbox.address = std::string(trimmed);
  } else {
    if (trimmed.back() != '>') return Refuse(text, "has a < without a > at its end");
    mailbox.address = std::string(trimmed.substr(open + 1, trimmed.size() - open - 2));
    absl::string_view name = absl::StripAsciiWhitespace(trimmed.substr(0, open));
    if (name.size() >= 2 && name.front() == '"' && name.back() == '"') {
      name = name.substr(1, name.size() - 2);
    }
    mailbox.name = std::string(name);
  }
  NS_RETURN_IF_ERROR(CheckMailAddress(mailbox.address));
  for (const char c : mailbox.name) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      return Refuse(text, "has a control character in its name");
    }
  }
  if (!base::IsValidUtf8(mailbox.name)) return Refuse(text, "has a name that is not UTF-8");
  return mailbox;
}

absl::string_view DomainOf(absl::string_view address) {
  return address.substr(address.find('@') + 1);
}

}  // namespace netsentinel::channel
