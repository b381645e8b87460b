#include "notifier/channel/smtp_login.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace netsentinel::channel {
namespace {

constexpr SmtpAuth kOrder[] = {SmtpAuth::kXoauth2, SmtpAuth::kOauthBearer, SmtpAuth::kPlain,
                               SmtpAuth::kLogin,   SmtpAuth::kCramMd5,     SmtpAuth::kNtlm};

}  // namespace

absl::string_view AuthWord(SmtpAuth auth) {
  switch (auth) {
    case SmtpAuth::kAuto:
      break;
    case SmtpAuth::kPlain:
      return "PLAIN";
    case SmtpAuth::kLogin:
      return "LOGIN";
    case SmtpAuth::kCramMd5:
      return "CRAM-MD5";
    case SmtpAuth::kNtlm:
      return "NTLM";
    case SmtpAuth::kXoauth2:
      return "XOAUTH2";
    case SmtpAuth::kOauthBearer:
      return "OAUTHBEARER";
  }
  return "";
}

bool TakesToken(SmtpAuth auth) {
  return auth == SmtpAuth::kXoauth2 || auth == SmtpAuth::kOauthBearer;
}

std::vector<std::string> OfferedLogins(absl::string_view line) {
  const std::string upper = absl::AsciiStrToUpper(absl::StripAsciiWhitespace(line));
  absl::string_view words = upper;
  if (!absl::ConsumePrefix(&words, "250")) return {};
  if (!absl::ConsumePrefix(&words, "-") && !absl::ConsumePrefix(&words, " ")) return {};
  if (!absl::ConsumePrefix(&words, "AUTH ") && !absl::ConsumePrefix(&words, "AUTH=")) return {};
  return absl::StrSplit(words, absl::ByAnyChar(" =\t"), absl::SkipEmpty());
}

LoginLadder::LoginLadder(SmtpAuth configured, bool has_password, bool has_token) {
  if (configured != SmtpAuth::kAuto) {
    order_.push_back(configured);
    return;
  }
  for (const SmtpAuth auth : kOrder) {
    if (TakesToken(auth) ? has_token : has_password) order_.push_back(auth);
  }
  // Without any secret nobody logs in and none of them is asked for.
  if (order_.empty()) order_.push_back(SmtpAuth::kPlain);
}

void LoginLadder::Begin() {
  at_ = 0;
  tried_.clear();
}

bool LoginLadder::Next(absl::Span<const std::string> offered) {
  const auto is_offered = [&](SmtpAuth auth) {
    return std::find(offered.begin(), offered.end(), AuthWord(auth)) != offered.end();
  };
  if (is_offered(current())) {
    absl::StrAppend(&tried_, tried_.empty() ? "" : ", ", AuthWord(current()));
  }
  for (std::size_t next = at_ + 1; next < order_.size(); ++next) {
    if (!is_offered(order_[next])) continue;
    at_ = next;
    return true;
  }
  return false;
}

void LoginLadder::Worked() {
  std::rotate(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(at_),
              order_.begin() + static_cast<std::ptrdiff_t>(at_) + 1);
  at_ = 0;
}

}  // namespace netsentinel::channel
