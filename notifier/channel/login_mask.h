#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

// What a mail server echoes of our login must reach no log, page or file.
namespace netsentinel::channel {

// `text` with every place that gives a secret away replaced by "***": the secret as it is in any
// case or backwards, and any word that holds it in base64, hexadecimal or percent encoding, alone
// or beside other bytes. `names` (user names) are no secrets: they are hidden only where they are
// encoded. Empty ones are left out. Pure.
std::string MaskSecrets(absl::string_view text, absl::Span<const std::string> secrets,
                        absl::Span<const std::string> names);

// An answer to a login: its codes, and of its words only such as servers use to say why they refuse
// one; "***" stands for the rest. So nothing can be hidden in it, however it is encoded. Pure.
std::string MaskLoginReply(absl::string_view text);

}  // namespace netsentinel::channel
