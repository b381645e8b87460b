#include "common/base/login_answer.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace netsentinel::base {
namespace {

constexpr absl::string_view kLeftOut = "[...]";

// What servers say when they refuse a login, in lower case.
constexpr absl::string_view kLoginVocabulary[] = {"a",
                                                  "accepted",
                                                  "access",
                                                  "account",
                                                  "administrator",
                                                  "after",
                                                  "again",
                                                  "allowed",
                                                  "an",
                                                  "and",
                                                  "app",
                                                  "application",
                                                  "application-specific",
                                                  "are",
                                                  "at",
                                                  "attempts",
                                                  "auth",
                                                  "authenticate",
                                                  "authenticated",
                                                  "authentication",
                                                  "authorized",
                                                  "available",
                                                  "bad",
                                                  "basic",
                                                  "be",
                                                  "been",
                                                  "blocked",
                                                  "browser",
                                                  "by",
                                                  "can",
                                                  "cannot",
                                                  "challenge",
                                                  "check",
                                                  "client",
                                                  "closing",
                                                  "connection",
                                                  "contact",
                                                  "cram-md5",
                                                  "credentials",
                                                  "currently",
                                                  "data",
                                                  "database",
                                                  "denied",
                                                  "digest-md5",
                                                  "disabled",
                                                  "does",
                                                  "email",
                                                  "enable",
                                                  "enabled",
                                                  "encryption",
                                                  "error",
                                                  "expired",
                                                  "failed",
                                                  "failure",
                                                  "first",
                                                  "for",
                                                  "generic",
                                                  "gssapi",
                                                  "has",
                                                  "here",
                                                  "in",
                                                  "incorrect",
                                                  "information",
                                                  "internal",
                                                  "invalid",
                                                  "is",
                                                  "it",
                                                  "later",
                                                  "learn",
                                                  "locked",
                                                  "log",
                                                  "login",
                                                  "mailbox",
                                                  "many",
                                                  "match",
                                                  "mechanism",
                                                  "method",
                                                  "missing",
                                                  "more",
                                                  "must",
                                                  "no",
                                                  "not",
                                                  "ntlm",
                                                  "of",
                                                  "on",
                                                  "or",
                                                  "organization",
                                                  "password",
                                                  "plain",
                                                  "please",
                                                  "policy",
                                                  "problem",
                                                  "recognized",
                                                  "rejected",
                                                  "required",
                                                  "requires",
                                                  "sasl",
                                                  "server",
                                                  "service",
                                                  "sign",
                                                  "smtp",
                                                  "smtpclientauthentication",
                                                  "such",
                                                  "supported",
                                                  "suspended",
                                                  "temporarily",
                                                  "temporary",
                                                  "tenant",
                                                  "the",
                                                  "this",
                                                  "tls",
                                                  "to",
                                                  "token",
                                                  "too",
                                                  "try",
                                                  "type",
                                                  "unable",
                                                  "unavailable",
                                                  "unknown",
                                                  "unrecognized",
                                                  "unsuccessful",
                                                  "unsupported",
                                                  "user",
                                                  "username",
                                                  "using",
                                                  "valid",
                                                  "via",
                                                  "web",
                                                  "with",
                                                  "wrong",
                                                  "xoauth2",
                                                  "you",
                                                  "your"};

bool IsPlainWord(absl::string_view word) {
  const std::string lower = absl::AsciiStrToLower(word);
  return std::find(std::begin(kLoginVocabulary), std::end(kLoginVocabulary), lower) !=
         std::end(kLoginVocabulary);
}

// "535", "535-" and "5.7.139".
bool IsCode(absl::string_view word) {
  const std::size_t dots = static_cast<std::size_t>(std::count(word.begin(), word.end(), '.'));
  const absl::string_view digits = dots == 0 ? word.substr(0, word.find('-')) : word;
  const bool numbers = std::all_of(digits.begin(), digits.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '.';
  });
  return numbers && ((dots == 0 && digits.size() == 3) ||
                     (dots == 2 && digits.size() <= 9 && (word[0] == '4' || word[0] == '5')));
}

}  // namespace

std::string LoginAnswer(absl::string_view text) {
  std::string out;
  bool masked = false;
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty())) {
    absl::string_view core = word;
    while (!core.empty() && absl::StrContains(".,;:!()'\"", core.back())) core.remove_suffix(1);
    while (!core.empty() && absl::StrContains("(['\"", core.front())) core.remove_prefix(1);
    const bool plain = core.empty() ? false : IsPlainWord(core) || IsCode(core);
    if (!plain && masked) continue;
    absl::StrAppend(&out, out.empty() ? "" : " ", plain ? word : kLeftOut);
    masked = !plain;
  }
  return out;
}

}  // namespace netsentinel::base
