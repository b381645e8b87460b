#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/base/secret.h"

namespace netsentinel::routeros {

// Takes a password out of what a router says, before anybody sees it: whoever was told the password
// may say it again at any time, in any dress. Copies share nothing. Const members are thread-safe.
class SecretMask {
 public:
  // Of nothing: every text passes.
  SecretMask() = default;
  explicit SecretMask(const base::Secret& secret);

  // What stands for the secret as well, such as the answer to a login challenge.
  void Add(absl::string_view also_secret);

  // The text with "[password]" wherever the secret stands as it is, in whatever case. When the text
  // holds it in hex, Base64, escapes, decimal bytes, UTF-16, reversed, or with other characters
  // between its letters and digits, the whole text is replaced by a remark. Of secrets shorter than
  // kShortest only the plain form is looked for: their other forms are everywhere.
  std::string Masked(absl::string_view text) const;
  // Whether Masked would change the text.
  bool Finds(absl::string_view text) const;
  // False for an empty secret and for one that is so short that it stands in ordinary words by
  // chance: names of queues are left as they are then.
  bool masks_names() const;

  bool operator==(const SecretMask& other) const;

  static constexpr std::size_t kShortest = 4;
  static constexpr std::size_t kShortestInNames = 8;

 private:
  // One secret and the forms of it that are looked for.
  struct Forms {
    explicit Forms(std::string secret);
    bool Hidden(absl::string_view text) const;

    base::Secret plain;
    base::Secret lower;     // in lower case
    base::Secret reversed;  // of `lower`
    base::Secret squeezed;  // letters and digits of `lower`
    base::Secret hex;
    std::vector<base::Secret> base64;  // its middle at each of the three places in a group
  };

  std::vector<Forms> forms_;
};

}  // namespace netsentinel::routeros
