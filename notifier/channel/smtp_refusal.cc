#include "notifier/channel/smtp_refusal.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/types/span.h"

namespace netsentinel::channel {
namespace {

using Words = absl::Span<const absl::string_view>;

// All in lower case, with single spaces; looked for in this order, the first that is found decides.
constexpr absl::string_view kSenderWords[] = {
    "sender",       "mail from",       "from address",   "from: address",
    "from header",  "return path",     "return-path",    "reverse path",
    "reverse-path", "sent from",       "send as",        "sendas",
    "send mail as", "sending address", "sending domain", "envelope from"};
constexpr absl::string_view kSizeWords[] = {
    "message size",     "message too large", "message too big", "message is too large",
    "message exceed",   "size limit",        "maximum size",    "size exceed",
    "message file too", "exceeds size",      "too large",       "message length"};
constexpr absl::string_view kLimitWords[] = {"sending limit",
                                             "send limit",
                                             "daily limit",
                                             "hourly limit",
                                             "rate limit",
                                             "ratelimit",
                                             "limit exceeded",
                                             "limit reached",
                                             "limit has been",
                                             "sending quota",
                                             "daily quota",
                                             "hourly quota",
                                             "message quota",
                                             "smtp quota",
                                             "daily sending",
                                             "per hour",
                                             "per day",
                                             "per minute",
                                             "per second",
                                             "hourly",
                                             "max emails",
                                             "max defers",
                                             "too many",
                                             "too much mail",
                                             "sending rate",
                                             "throttl",
                                             "messages per",
                                             "unusual sending",
                                             "unusual rate",
                                             "exceeded the max",
                                             "exceeded threshold",
                                             "outgoing mail",
                                             "outbound spam",
                                             "reached your",
                                             "reached the limit",
                                             "exceeded its limit",
                                             "exceeded your",
                                             "exceeded the limit",
                                             "maximum credits",
                                             "receiving mail too quickly",
                                             "suspicious activity"};
constexpr absl::string_view kFullWords[] = {
    "mailbox full",      "mailbox is full", "mail box full",
    "inbox is full",     "inbox full",      "over quota",
    "overquota",         "quota exceeded",  "exceeded quota",
    "quota is exceeded", "out of storage",  "storage exceeded",
    "exceeded storage",  "exceeds allowed", "disk quota",
    "mailbox size",      "quotaexceeded",   "over the maximum allowed",
    "exceeded his",      "exceeded her",    "exceeded their"};
constexpr absl::string_view kLaterWords[] = {
    "later",        "temporar",  "greylist",    "graylist",      "grey-list", "come back",
    "try again in", "retry in",  "retry after", "wait ",         "busy",      "defer",
    "at this time", "right now", "currently",   "at the moment", "timed out", "timeout",
    "maintenance",  "overload",  "not ready",   "momentar"};
constexpr absl::string_view kBlockedWords[] = {
    "spam",        "blacklist", "blocklist",     "block list",  "black list", "blocked",
    "is listed",   "listed at", "listed in rbl", "dnsbl",       "rbl",        "reputation",
    "banned",      "abuse",     "poor rep",      "reverse dns", "ptr record", "rdns",
    "client host", "your ip",   "your host",     "ip address",  "helo",       "ehlo",
    "spf",         "dkim",      "dmarc"};
constexpr absl::string_view kLoginWords[] = {"relay",        "authenticat",    "authoriz",
                                             "authoris",     "log in",         "login",
                                             "rcpthosts",    "not verified",   "unverified",
                                             "verify your",  "policy",         "policies",
                                             "prohibited",   "not permitted",  "not allowed",
                                             "permission",   "denied",         "forbidden",
                                             "starttls",     "encrypt",        "must issue",
                                             "smtp auth",    "your account",   "your domain",
                                             "restricted",   "administrative", "not accepted from",
                                             "subscription", "billing",        "licen",
                                             "suspended",    "sandbox",        "unable to send",
                                             "cannot send",  "not enabled",    "your organi",
                                             "tenant"};
constexpr absl::string_view kServerWords[] = {"local error",
                                              "internal error",
                                              "system error",
                                              "server error",
                                              "system storage",
                                              "no space",
                                              "disk full",
                                              "configuration",
                                              "misconfigur",
                                              "lookup fail",
                                              "lookup error",
                                              "service unavailable",
                                              "service not available",
                                              "not reachable",
                                              "unreachable",
                                              "shutting down",
                                              "system resources",
                                              "dns ",
                                              "ldap",
                                              "database",
                                              "mysql",
                                              "connection refused",
                                              "no route",
                                              "loop",
                                              "backend",
                                              "software error",
                                              "unexpected"};
// Each names a mailbox, a user or a recipient: "unknown address", "unknown domain" and "does not
// have a valid record" are said of senders and of mails as well.
constexpr absl::string_view kNobodyWords[] = {"user unknown",
                                              "unknown user",
                                              "no such user",
                                              "no such person",
                                              "no such mailbox",
                                              "no such recipient",
                                              "no mailbox here",
                                              "no mailbox by that",
                                              "mailbox not found",
                                              "mailbox unknown",
                                              "mailbox does not exist",
                                              "mailbox doesn't exist",
                                              "mailbox no longer exists",
                                              "user does not exist",
                                              "user doesn't exist",
                                              "user no longer exists",
                                              "user not found",
                                              "user not known",
                                              "unknown recipient",
                                              "recipient unknown",
                                              "recipient not found",
                                              "recipientnotfound",
                                              "recipient does not exist",
                                              "recipient doesn't exist",
                                              "recipient no longer exists",
                                              "addressee unknown",
                                              "unknown mailbox",
                                              "unknown local part",
                                              "unknown local-part",
                                              "nobody of that name",
                                              "nobody by that name",
                                              "no one by that name",
                                              "not a known user",
                                              "not a local user",
                                              "not a local mailbox",
                                              "this user doesn't have a",
                                              "this user does not have a",
                                              "invalid mailbox",
                                              "not a valid mailbox",
                                              "not a valid user",
                                              "invalid recipient",
                                              "bad destination mailbox"};

bool HasAny(absl::string_view text, Words words) {
  return std::any_of(words.begin(), words.end(),
                     [&](absl::string_view word) { return absl::StrContains(text, word); });
}

// "5.1.10" and the like from the front of `text`; empty when there is none.
absl::string_view CodeAtFront(absl::string_view text) {
  const absl::string_view digits = text.substr(0, text.find_first_not_of("0123456789."));
  const bool known = absl::StartsWith(digits, "5.") || absl::StartsWith(digits, "4.") ||
                     absl::StartsWith(digits, "2.");
  return known && std::count(digits.begin(), digits.end(), '.') == 2 && digits.back() != '.'
             ? digits
             : "";
}

// The words alone: lower case, without addresses (a name may be "sender@mailbox-full.example"),
// codes and quotes.
std::string WordsOf(absl::string_view text) {
  std::string out = " ";
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \t\r\n<>[]()\"`"), absl::SkipEmpty())) {
    if (absl::StrContains(word, '@')) continue;
    absl::StrAppend(&out, absl::AsciiStrToLower(word), " ");
  }
  return out;
}

std::optional<Concern> ByWords(absl::string_view words) {
  struct Meaning {
    Words words;
    Concern concern;
  };
  const Meaning meanings[] = {
      {kSenderWords, Concern::kSender}, {kSizeWords, Concern::kLetter},
      {kFullWords, Concern::kMailbox},  {kLimitWords, Concern::kSender},
      {kLaterWords, Concern::kMailbox}, {kBlockedWords, Concern::kSender},
      {kLoginWords, Concern::kSender},  {kServerWords, Concern::kServer},
  };
  for (const Meaning& meaning : meanings) {
    if (HasAny(words, meaning.words)) return meaning.concern;
  }
  return std::nullopt;
}

// There is nobody of that name; what is said of "your" mailbox or user is said of us.
bool NamesNobody(absl::string_view words) {
  return HasAny(words, kNobodyWords) && !absl::StrContains(words, " your ");
}

// By RFC 3463 and the registry of RFC 5248. What stands for several things there is left out.
std::optional<Concern> ByEnhancedCode(absl::string_view enhanced) {
  if (enhanced.size() < 5) return std::nullopt;
  const absl::string_view detail = enhanced.substr(2);
  constexpr absl::string_view kNobody[] = {"1.1", "1.2", "1.3", "1.6", "1.10"};
  constexpr absl::string_view kSender[] = {"1.7", "1.8", "4.5"};
  constexpr absl::string_view kLetter[] = {"2.3", "3.4"};
  const auto is = [&](Words codes) {
    return std::find(codes.begin(), codes.end(), detail) != codes.end();
  };
  if (is(kNobody)) return Concern::kAddress;
  if (is(kSender) || absl::StartsWith(detail, "7.")) return Concern::kSender;
  if (is(kLetter) || absl::StartsWith(detail, "6.")) return Concern::kLetter;
  if (absl::StartsWith(detail, "2.")) return Concern::kMailbox;
  if (absl::StartsWith(detail, "3.") || absl::StartsWith(detail, "4.")) return Concern::kServer;
  return std::nullopt;
}

}  // namespace

std::string EnhancedCode(absl::string_view text) {
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (trimmed.size() > 4) {
    if (const absl::string_view front = CodeAtFront(trimmed.substr(4)); !front.empty()) {
      return std::string(front);
    }
  }
  const std::size_t hash = trimmed.find('#');
  return hash == absl::string_view::npos ? "" : std::string(CodeAtFront(trimmed.substr(hash + 1)));
}

Concern ConcernOf(int code, absl::string_view text, Asked asked) {
  const std::string words = WordsOf(text);
  if (const std::optional<Concern> told = ByWords(words)) return *told;
  const std::string enhanced = EnhancedCode(text);
  const std::optional<Concern> coded = ByEnhancedCode(enhanced);
  if (coded.has_value() && *coded != Concern::kAddress) {
    // "5.2.1 no such user": a mailbox that is closed and one that never was are told alike.
    const bool never_was = *coded == Concern::kMailbox && NamesNobody(words);
    return never_was ? Concern::kUnclear : *coded;
  }
  if (code < 500) return Concern::kUnclear;
  if (coded.has_value()) return Concern::kAddress;
  // The words of an answer to the mail may be about anything that stands in it.
  const bool nobody = asked == Asked::kRecipient && NamesNobody(words);
  return nobody ? Concern::kAddress : Concern::kUnclear;
}

}  // namespace netsentinel::channel
