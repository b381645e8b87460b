#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "common/base/secret.h"

namespace netsentinel::base {

// Takes a secret out of what a peer says, before anybody sees it: whoever was told the secret (a
// router, a mail server, a database) may say it again at any time, in any dress. Whoever hands a
// secret to a peer makes one and passes through it all that comes back: then logs, events, pages,
// answers and files that repeat it further on need no care. Copies share nothing. Const members are
// thread-safe.
class SecretMask {
 public:
  // Of nothing: every text passes.
  SecretMask() = default;
  explicit SecretMask(const Secret& secret);

  // What stands for the secret as well, such as the answer to a login challenge. Empty: no effect.
  void Add(absl::string_view also_secret);
  // What is sent beside the secret, such as a user name: it is looked for in hex and Base64 only,
  // and from kShortest on, for as it is it may stand in any answer.
  void AddName(absl::string_view name);

  // The text with "[password]" wherever the secret stands as it is, in whatever case, and instead
  // of a word that holds it in hex, Base64, escapes, decimal bytes, UTF-16, reversed, or with other
  // characters between its letters and digits. When it is in several words like that, the whole
  // text is replaced by a remark. Of secrets shorter than kShortest only the plain form is looked
  // for: their other forms are everywhere.
  std::string Masked(absl::string_view text) const;
  // Whether Masked would change the text.
  bool Finds(absl::string_view text) const;
  // False without a secret and where the first one is so short that it stands in ordinary words by
  // chance: names of queues are left as they are then.
  bool masks_names() const;

  bool operator==(const SecretMask& other) const;

  static constexpr std::size_t kShortest = 4;
  static constexpr std::size_t kShortestInNames = 8;

 private:
  // One secret and the forms of it that are looked for.
  struct Forms {
    Forms(std::string secret, bool is_name);
    bool Shown(absl::string_view lower_text) const;
    bool Hidden(absl::string_view text) const;

    bool name;
    Secret plain;
    Secret lower;     // in lower case
    Secret reversed;  // of `lower`
    Secret squeezed;  // letters and digits of `lower`
    Secret hex;
    std::vector<Secret> base64;  // its middle at each of the three places in a group
  };

  std::vector<Forms> forms_;
};

}  // namespace netsentinel::base
