#include "notifier/channel/curl_smtp_channel.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include <curl/curl.h>

#include "common/base/login_answer.h"
#include "common/base/secret_mask.h"
#include "common/base/status_macros.h"
#include "common/config/address.h"
#include "notifier/channel/gmime_message.h"
#include "notifier/channel/smtp_refusal.h"

namespace netsentinel::channel {
namespace {

// Of one reply, all its lines; what is cut off ends with a whole word.
constexpr std::size_t kMaxReplyBytes = 2048;
constexpr std::size_t kMaxOffered = 64;

// What libcurl tells while it works.
struct Conversation {
  absl::string_view mail;
  std::size_t sent = 0;
  SmtpStage stage = SmtpStage::kConnect;
  int code = 0;
  std::string reply;
  // The last line was followed by another one of the same reply.
  bool more = false;
  // What the server's answer to EHLO says about logins.
  std::vector<std::string> offered = {};
  bool logged_in = false;
  // libcurl says goodbye after a refusal; that answer is not the one that counts.
  bool leaving = false;
};

// libcurl tells the commands it sends; only their verbs are looked at, so no login is kept.
void OnCommand(absl::string_view line, Conversation& conversation) {
  if (absl::StartsWith(line, "QUIT")) {
    conversation.leaving = true;
    return;
  }
  constexpr std::array<std::pair<absl::string_view, SmtpStage>, 8> kVerbs = {{
      {"EHLO", SmtpStage::kHello},
      {"HELO", SmtpStage::kHello},
      {"STARTTLS", SmtpStage::kStartTls},
      {"AUTH", SmtpStage::kAuth},
      {"NOOP", SmtpStage::kNoop},
      {"MAIL FROM", SmtpStage::kMail},
      {"RCPT TO", SmtpStage::kRecipient},
      {"DATA", SmtpStage::kData},
  }};
  for (const auto& [verb, stage] : kVerbs) {
    if (!absl::StartsWith(line, verb)) continue;
    conversation.leaving = false;
    conversation.stage = stage;
    if (stage == SmtpStage::kHello) {
      conversation.logged_in = false;
      conversation.offered.clear();
    }
    if (stage == SmtpStage::kAuth) conversation.logged_in = true;
    conversation.code = 0;
    conversation.reply.clear();
    conversation.more = false;
    return;
  }
}

// A reply of several lines is one text; the code stands in front of it once.
void AppendLine(absl::string_view line, Conversation& conversation) {
  std::string& reply = conversation.reply;
  if (!conversation.more) {
    reply.clear();
  } else {
    line.remove_prefix(std::min<std::size_t>(line.size(), 4));
    const std::string enhanced = EnhancedCode(reply);
    if (!enhanced.empty()) absl::ConsumePrefix(&line, enhanced);
    reply.push_back(' ');
  }
  absl::StrAppend(&reply, absl::StripAsciiWhitespace(line));
  if (reply.size() > 3 && reply[3] == '-') reply[3] = ' ';
  if (reply.size() <= kMaxReplyBytes) return;
  const std::size_t space = reply.rfind(' ', kMaxReplyBytes);
  reply.resize(space == std::string::npos ? 0 : space);
}

void OnReply(absl::string_view line, Conversation& conversation) {
  int code = 0;
  if (conversation.leaving || line.size() < 3 || !absl::SimpleAtoi(line.substr(0, 3), &code))
    return;
  if (conversation.stage == SmtpStage::kHello) {
    const std::vector<std::string> logins = OfferedLogins(line);
    conversation.offered.insert(conversation.offered.end(), logins.begin(), logins.end());
    conversation.offered.resize(std::min(conversation.offered.size(), kMaxOffered));
  }
  AppendLine(line, conversation);
  conversation.code = code;
  conversation.more = line.size() > 3 && line[3] == '-';
  if (conversation.stage == SmtpStage::kData && code == 354) {
    conversation.stage = SmtpStage::kBody;
    conversation.code = 0;
    conversation.reply.clear();
    conversation.more = false;
  }
}

int OnDebug(CURL*, curl_infotype type, char* data, std::size_t size, void* user) {
  // QUIT goes out when the handle is closed, after the last conversation.
  if (user == nullptr) return 0;
  auto& conversation = *static_cast<Conversation*>(user);
  const absl::string_view line(data, size);
  if (type == CURLINFO_HEADER_OUT) OnCommand(line, conversation);
  if (type == CURLINFO_HEADER_IN) OnReply(line, conversation);
  return 0;
}

std::size_t OnRead(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto& conversation = *static_cast<Conversation*>(user);
  const std::size_t part = std::min(size * count, conversation.mail.size() - conversation.sent);
  std::memcpy(buffer, conversation.mail.data() + conversation.sent, part);
  conversation.sent += part;
  return part;
}

int OnProgress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<const std::function<bool()>*>(user))() ? 1 : 0;
}

// A server's chatter outside the protocol is of no interest, and must not reach stdout.
std::size_t OnWrite(char*, std::size_t size, std::size_t count, void*) { return size * count; }

SmtpEnd EndOf(CURLcode code, const Conversation& conversation) {
  switch (code) {
    case CURLE_OK:
      return SmtpEnd::kAccepted;
    case CURLE_OPERATION_TIMEDOUT:
      return SmtpEnd::kTimeout;
    case CURLE_USE_SSL_FAILED:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CERTPROBLEM:
      return SmtpEnd::kTlsRefused;
    case CURLE_LOGIN_DENIED:
    case CURLE_AUTH_ERROR:
      return SmtpEnd::kLoginRefused;
    default:
      return conversation.code >= 400 ? SmtpEnd::kReply : SmtpEnd::kConnection;
  }
}

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

long Milliseconds(absl::Duration duration) {
  return static_cast<long>(std::max<std::int64_t>(1, absl::ToInt64Milliseconds(duration)));
}

long Seconds(absl::Duration duration) {
  return static_cast<long>(
      std::max<std::int64_t>(1, absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)))));
}

}  // namespace

struct CurlSmtpChannel::Handle {
  Handle() : easy(curl_easy_init()) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { curl_easy_cleanup(easy); }
  CURL* easy;
  // Whether its connection has said AUTH; libcurl goes on without it where none is offered.
  bool logged_in = false;
  std::vector<std::string> offered = {};
  std::array<char, CURL_ERROR_SIZE> error = {};
};

CurlSmtpChannel::CurlSmtpChannel(SmtpSettings settings)
    : settings_(std::move(settings)),
      ladder_(settings_.auth, !settings_.password.empty(), settings_.token != nullptr) {}
CurlSmtpChannel::~CurlSmtpChannel() = default;

absl::StatusOr<std::unique_ptr<CurlSmtpChannel>> CurlSmtpChannel::Create(SmtpSettings settings) {
  if (settings.tls == SmtpTls::kNone && !config::IsLoopback(settings.host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("smtp: plaintext goes to a loopback address only, and ", settings.host,
                     " is not a loopback address: use `starttls: required`"));
  }
  NS_RETURN_IF_ERROR(CheckMailAddress(settings.from.address));
  if (HasControl(settings.username) || HasControl(settings.password.reveal()) ||
      HasControl(settings.host) || HasControl(settings.hello_name)) {
    return absl::InvalidArgumentError(
        "smtp: a line break or other control character in host, username or password");
  }
  if (settings.auth != SmtpAuth::kAuto &&
      (TakesToken(settings.auth) ? settings.token == nullptr : settings.password.empty())) {
    return absl::InvalidArgumentError(
        absl::StrCat("smtp: auth ", AuthWord(settings.auth), " needs a ",
                     TakesToken(settings.auth) ? "token" : "password"));
  }
  return std::unique_ptr<CurlSmtpChannel>(new CurlSmtpChannel(std::move(settings)));
}

absl::StatusOr<std::unique_ptr<CurlSmtpChannel::Handle>> CurlSmtpChannel::Open() {
  auto handle = std::make_unique<Handle>();
  CURL* easy = handle->easy;
  if (easy == nullptr) return absl::ResourceExhaustedError("libcurl could not be initialised");
  const std::string url = absl::StrCat(settings_.tls == SmtpTls::kImplicit ? "smtps://" : "smtp://",
                                       config::FormatAddress({settings_.host, settings_.port}), "/",
                                       settings_.hello_name);
  const std::string from = absl::StrCat("<", settings_.from.address, ">");
  CURLcode result = CURLE_OK;
  const auto set = [&](CURLoption option, auto value) {
    if (result == CURLE_OK) result = curl_easy_setopt(easy, option, value);
  };
  set(CURLOPT_URL, url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set(CURLOPT_PROXY, "");  // No proxy from the environment.
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USE_SSL,
      static_cast<long>(settings_.tls == SmtpTls::kNone ? CURLUSESSL_NONE : CURLUSESSL_ALL));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!settings_.ca_file.empty()) {
    set(CURLOPT_CAINFO, settings_.ca_file.c_str());
    set(CURLOPT_CAPATH, nullptr);
  }
  set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(settings_.connect_timeout));
  set(CURLOPT_SERVER_RESPONSE_TIMEOUT, Seconds(settings_.reply_timeout));
  set(CURLOPT_TIMEOUT_MS, Milliseconds(settings_.total_timeout));
  set(CURLOPT_MAXAGE_CONN, Seconds(settings_.max_idle));
  set(CURLOPT_MAIL_FROM, from.c_str());
  set(CURLOPT_UPLOAD, 1L);
  set(CURLOPT_READFUNCTION, &OnRead);
  set(CURLOPT_WRITEFUNCTION, &OnWrite);
  if (settings_.abandon) {
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &OnProgress);
    set(CURLOPT_XFERINFODATA, &settings_.abandon);
  }
  set(CURLOPT_VERBOSE, 1L);
  set(CURLOPT_DEBUGFUNCTION, &OnDebug);
  set(CURLOPT_ERRORBUFFER, handle->error.data());
  if (result != CURLE_OK) {
    return absl::InternalError(absl::StrCat("libcurl: ", curl_easy_strerror(result)));
  }
  if (!settings_.username.empty()) NS_RETURN_IF_ERROR(SetLogin(*handle));
  return handle;
}

absl::Status CurlSmtpChannel::SetLogin(Handle& handle) {
  const SmtpAuth auth = ladder_.current();
  const std::string options = absl::StrCat("AUTH=", AuthWord(auth));
  CURLcode result = curl_easy_setopt(handle.easy, CURLOPT_USERNAME, settings_.username.c_str());
  const auto set = [&](CURLoption option, const std::string& value) {
    if (result == CURLE_OK) result = curl_easy_setopt(handle.easy, option, value.c_str());
  };
  set(CURLOPT_LOGIN_OPTIONS, options);
  if (TakesToken(auth)) {
    NS_ASSIGN_OR_RETURN(token_, settings_.token());
    if (HasControl(token_.reveal())) {
      return absl::FailedPreconditionError("smtp: the token has a control character");
    }
    set(CURLOPT_XOAUTH2_BEARER, token_.reveal());
  } else {
    set(CURLOPT_PASSWORD, settings_.password.reveal());
  }
  if (result == CURLE_OK) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("libcurl: ", curl_easy_strerror(result)));
}

std::string CurlSmtpChannel::Masked(absl::string_view text) const {
  if (settings_.username.empty()) return std::string(text);
  base::SecretMask mask(settings_.password);
  mask.Add(token_.reveal());
  mask.AddName(settings_.username);
  return mask.Masked(text);
}

SmtpAttempt CurlSmtpChannel::Perform(Handle& handle, absl::string_view mail) {
  Conversation conversation{.mail = mail, .reply = "", .logged_in = handle.logged_in};
  conversation.offered = handle.offered;
  CURL* easy = handle.easy;
  handle.error[0] = '\0';
  curl_easy_setopt(easy, CURLOPT_READDATA, &conversation);
  curl_easy_setopt(easy, CURLOPT_DEBUGDATA, &conversation);
  const CURLcode code = curl_easy_perform(easy);
  // The option must not point at what is gone when the handle is cleaned up.
  curl_easy_setopt(easy, CURLOPT_DEBUGDATA, nullptr);
  handle.logged_in = conversation.logged_in;
  handle.offered = std::move(conversation.offered);
  long connections = 1;
  curl_easy_getinfo(easy, CURLINFO_NUM_CONNECTS, &connections);
  SmtpAttempt attempt{.end = EndOf(code, conversation),
                      .stage = conversation.stage,
                      .code = conversation.code,
                      .text = conversation.reply,
                      .logged_in = conversation.logged_in,
                      .used = connections == 0};
  const bool has_reply = !attempt.text.empty();
  if (!has_reply && code != CURLE_OK) {
    attempt.text = handle.error[0] != '\0' ? handle.error.data() : curl_easy_strerror(code);
  }
  if (code == CURLE_USE_SSL_FAILED && attempt.stage == SmtpStage::kHello) {
    attempt.text =
        "the server offers no STARTTLS on this port; if it speaks TLS from the first byte, as on "
        "port 465, set `smtp.starttls: implicit`";
  }
  if (code == CURLE_SSL_CONNECT_ERROR && settings_.tls == SmtpTls::kImplicit &&
      absl::StrContains(absl::AsciiStrToLower(attempt.text), "wrong version number")) {
    attempt.end = SmtpEnd::kTlsRefused;
    attempt.text =
        "the server does not speak TLS from the first byte on this port; if it offers STARTTLS, as "
        "on port 587, set `smtp.starttls: required`";
  }
  attempt.text = Masked(attempt.text);
  if (has_reply && attempt.stage == SmtpStage::kAuth) {
    attempt.text = base::LoginAnswer(attempt.text);
  }
  const bool passed_by = !settings_.username.empty() && !attempt.logged_in;
  if (passed_by && attempt.end == SmtpEnd::kReply && attempt.code >= 500 &&
      attempt.stage >= SmtpStage::kNoop) {
    attempt.end = SmtpEnd::kLoginRefused;
  }
  if (passed_by && attempt.end == SmtpEnd::kAccepted && attempt.stage == SmtpStage::kNoop) {
    attempt.end = SmtpEnd::kLoginRefused;
    attempt.text = "the server offers no login that is known here";
  }
  return attempt;
}

SmtpAttempt CurlSmtpChannel::Transact(Handle& handle, const std::string& mail,
                                      const std::string& recipient) {
  CURL* easy = handle.easy;
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> recipients(
      curl_slist_append(nullptr, absl::StrCat("<", recipient, ">").c_str()), curl_slist_free_all);
  if (recipients == nullptr) return {.text = "out of memory"};
  curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, recipients.get());
  curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(mail.size()));
  SmtpAttempt attempt = Perform(handle, mail);
  curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, nullptr);
  return attempt;
}

SmtpAttempt CurlSmtpChannel::LogInAnd(std::unique_ptr<Handle>& handle,
                                      const std::function<SmtpAttempt(Handle&)>& act) {
  ladder_.Begin();
  std::optional<SmtpAttempt> first_refusal;
  while (true) {
    if (handle == nullptr) {
      absl::StatusOr<std::unique_ptr<Handle>> opened = Open();
      if (!opened.ok()) return {.text = std::string(opened.status().message())};
      handle = *std::move(opened);
    }
    SmtpAttempt attempt = act(*handle);
    if (settings_.username.empty() || !LoginFailed(attempt)) {
      if (attempt.logged_in) ladder_.Worked();
      return attempt;
    }
    const bool another = ladder_.Next(handle->offered);
    handle.reset();
    // What the server says of the first is most often what it would say of all.
    const bool permanent = attempt.code >= 500;
    if (!first_refusal.has_value() || (permanent && first_refusal->code < 500)) {
      first_refusal = std::move(attempt);
    }
    if (another) continue;
    if (!ladder_.tried().empty()) {
      absl::StrAppend(&first_refusal->text, " (tried ", ladder_.tried(), ")");
    }
    return *std::move(first_refusal);
  }
}

SendResult CurlSmtpChannel::Send(const Letter& letter, const std::string& recipient) {
  absl::StatusOr<std::string> mail = BuildMail(letter, settings_.from, recipient);
  if (!mail.ok()) {
    return {.outcome = Outcome::kRejected, .detail = std::string(mail.status().message())};
  }
  const auto transact = [&](Handle& handle) { return Transact(handle, *mail, recipient); };
  SmtpAttempt attempt = LogInAnd(handle_, transact);
  if (WorthANewConnection(attempt)) {
    handle_.reset();
    attempt = LogInAnd(handle_, transact);
  }
  return JudgeSmtp(attempt);
}

SendResult CurlSmtpChannel::Probe() {
  std::unique_ptr<Handle> own;
  return JudgeSmtp(LogInAnd(own, [&](Handle& handle) {
    CURL* easy = handle.easy;
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 0L);
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "NOOP");
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     Milliseconds(std::min(settings_.probe_timeout, settings_.total_timeout)));
    return Perform(handle, "");
  }));
}

void CurlSmtpChannel::Rest() { handle_.reset(); }

}  // namespace netsentinel::channel
