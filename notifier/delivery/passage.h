#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace netsentinel::delivery {

// Whose mails pass and whose do not, from what came of each attempt: whether it is the server that
// lets nothing pass or some recipients whose mails wait. A recipient counts for a day after its
// last attempt, and for seven when its mail was given up. Bounded by kMaxRecipients. Pure; one
// thread.
class Passage {
 public:
  static constexpr std::size_t kMaxRecipients = 20'000;

  void Passed(const std::string& recipient, absl::Time now);
  // `shown`: it is said at once; else from the second time on, since it usually passes in a while.
  void PutOff(const std::string& recipient, absl::string_view detail, bool shown, absl::Time now);
  // A mail to it was given up: nobody waits for its mails any more, and it is shown for a week or
  // until one passes.
  void GaveUp(const std::string& recipient, absl::string_view detail, absl::Time now);
  // What is known of a recipient from before a restart; what is later counts.
  struct Before {
    absl::Time passed_at = absl::InfinitePast();
    absl::Time put_off_since = absl::InfinitePast();
    absl::Time given_up_at = absl::InfinitePast();
    std::string detail = {};
  };
  void Restore(const std::string& recipient, const Before& before, absl::Time now);

  // The last mail to somebody other than `recipient` passed.
  bool OthersPass(const std::string& recipient, absl::Time now) const;
  // Mails were put off and nobody's last one passed.
  bool NobodyPasses(absl::Time now) const;
  // What is wrong, for /readyz; empty when nothing is.
  std::string Sentence(absl::Time now) const;

 private:
  struct Recipient {
    // Of the last attempt.
    absl::Time at = absl::InfinitePast();
    bool passes = false;
    bool shown = false;
    bool given_up = false;
    absl::Time put_off_since = absl::InfinitePast();
    std::string detail = {};
  };
  std::string WaitingSentence(absl::Time now) const;
  std::string GivenUpSentence(absl::Time now) const;
  static bool Counts(const Recipient& recipient, absl::Time now);
  Recipient* Find(const std::string& recipient, absl::Time now);

  std::map<std::string, Recipient> recipients_;
};

}  // namespace netsentinel::delivery
