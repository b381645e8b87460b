#include "notifier/channel/login_mask.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace netsentinel::channel {
namespace {

constexpr absl::string_view kMask = "***";

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

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// `bits` a digit, from the digit at `from` on; what is no digit is passed over.
std::string Decode(absl::string_view word, std::size_t from, int bits, int (*value)(char)) {
  std::string out;
  std::uint32_t held = 0;
  int held_bits = 0;
  for (const char c : word.substr(std::min(from, word.size()))) {
    const int digit = value(c);
    if (digit < 0) continue;
    held = (held << bits) | static_cast<std::uint32_t>(digit);
    held_bits += bits;
    if (held_bits < 8) continue;
    held_bits -= 8;
    out.push_back(static_cast<char>(held >> held_bits));
    held &= (1U << held_bits) - 1;
  }
  return out;
}

// Digits may begin in the middle of a byte, whatever stands before them.
bool Encodes(absl::string_view word, absl::string_view hidden) {
  for (std::size_t from = 0; from < 4; ++from) {
    if (absl::StrContains(Decode(word, from, 6, &Base64Value), hidden)) return true;
    if (from < 2 && absl::StrContains(Decode(word, from, 4, &HexValue), hidden)) return true;
  }
  return false;
}

std::string PercentDecoded(absl::string_view word) {
  std::string out;
  for (std::size_t i = 0; i < word.size(); ++i) {
    const bool escape = (word[i] == '%' || word[i] == '=') && i + 2 < word.size() &&
                        HexValue(word[i + 1]) >= 0 && HexValue(word[i + 2]) >= 0;
    out.push_back(escape ? static_cast<char>(HexValue(word[i + 1]) * 16 + HexValue(word[i + 2]))
                         : word[i]);
    if (escape) i += 2;
  }
  return out;
}

bool GivesAway(absl::string_view word, absl::Span<const std::string> secrets,
               absl::Span<const std::string> names) {
  const std::string decoded = PercentDecoded(word);
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    if (Encodes(word, secret) || (decoded != word && absl::StrContains(decoded, secret))) {
      return true;
    }
  }
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    // A short one would be found by chance.
    return name.size() > 3 && Encodes(word, name);
  });
}

void ReplaceAnyCase(std::string& text, const std::string& what) {
  if (what.empty()) return;
  const std::string lower_what = absl::AsciiStrToLower(what);
  std::string lower = absl::AsciiStrToLower(text);
  std::size_t at = 0;
  while ((at = lower.find(lower_what, at)) != std::string::npos) {
    text.replace(at, what.size(), kMask.data(), kMask.size());
    lower.replace(at, what.size(), kMask.data(), kMask.size());
    at += kMask.size();
  }
}

}  // namespace

std::string MaskSecrets(absl::string_view text, absl::Span<const std::string> secrets,
                        absl::Span<const std::string> names) {
  std::string plain(text);
  for (const std::string& secret : secrets) {
    ReplaceAnyCase(plain, secret);
    ReplaceAnyCase(plain, std::string(secret.rbegin(), secret.rend()));
  }
  std::string out;
  for (absl::string_view word : absl::StrSplit(plain, ' ')) {
    absl::StrAppend(&out, out.empty() ? "" : " ", GivesAway(word, secrets, names) ? kMask : word);
  }
  return out;
}

std::string MaskLoginReply(absl::string_view text) {
  std::string out;
  bool masked = false;
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty())) {
    absl::string_view core = word;
    while (!core.empty() && absl::StrContains(".,;:!()'\"", core.back())) core.remove_suffix(1);
    while (!core.empty() && absl::StrContains("(['\"", core.front())) core.remove_prefix(1);
    const bool plain = core.empty() ? false : IsPlainWord(core) || IsCode(core);
    if (!plain && masked) continue;
    absl::StrAppend(&out, out.empty() ? "" : " ", plain ? word : kMask);
    masked = !plain;
  }
  return out;
}

}  // namespace netsentinel::channel
