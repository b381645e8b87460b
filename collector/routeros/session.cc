#include "collector/routeros/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

#include "collector/routeros/parsers.h"
#include "common/base/check.h"
#include "common/base/display_name.h"

namespace netsentinel::routeros {
namespace {

constexpr absl::string_view kTagPrefix = ".tag=";
// What a router says is shown to people; a hostile one must not fill the log.
constexpr std::size_t kMaxShownBytes = 256;
constexpr std::size_t kTlsHeadBytes = 2;
// Path, tag, prefixes and end of a login sentence.
constexpr std::size_t kLoginOverhead = 64;

std::string Shown(absl::string_view text) {
  return base::DisplayName(text.substr(0, kMaxShownBytes));
}

bool IsTag(absl::string_view word) {
  return word.size() > kTagPrefix.size() && word.front() == '.' &&
         word.substr(0, kTagPrefix.size()) == kTagPrefix;
}

void Wipe(std::string& text) {
  volatile char* bytes = text.data();
  for (std::size_t i = 0; i < text.size(); ++i) bytes[i] = 0;
  text.clear();
}

std::string HintFor(RouterError error) {
  switch (error) {
    case RouterError::kPolicyMissing:
      return ": give the account's group the policies read and api, then let it log in anew";
    case RouterError::kMenuAbsent:
      return ": this board, package set or RouterOS version has no such menu";
    default:
      return "";
  }
}

// The status of a command that ended with `traps`.
absl::Status StatusOfTraps(absl::string_view command, const std::vector<Trap>& traps) {
  if (traps.empty()) return absl::OkStatus();
  RouterError error = RouterError::kRefused;
  std::string texts;
  for (const Trap& trap : traps) {
    if (error == RouterError::kRefused) error = trap.meaning;
    absl::StrAppend(&texts, texts.empty() ? "" : "; ",
                    trap.message.empty() ? "(no message)" : Shown(trap.message));
  }
  return RouterStatus(error,
                      absl::StrCat("the router refused ", command, ": ", texts, HintFor(error)));
}

}  // namespace

absl::StatusOr<std::string> ChallengeResponse(absl::string_view challenge_hex,
                                              absl::string_view password, const Md5Function& md5) {
  const bool all_hex = std::all_of(challenge_hex.begin(), challenge_hex.end(), [](char c) {
    return absl::ascii_isxdigit(static_cast<unsigned char>(c));
  });
  if (!all_hex || challenge_hex.empty() || challenge_hex.size() % 2 != 0 ||
      challenge_hex.size() > 64) {
    return absl::InvalidArgumentError(
        absl::StrCat("a login challenge of ", challenge_hex.size(), " characters is not hex"));
  }
  std::string input;
  input.reserve(1 + password.size() + challenge_hex.size() / 2);
  input.push_back('\0');
  input.append(password.data(), password.size());
  input.append(absl::HexStringToBytes(challenge_hex));
  const std::array<std::uint8_t, 16> digest = md5(input);
  Wipe(input);
  return absl::StrCat("00", absl::BytesToHexString(absl::string_view(
                                reinterpret_cast<const char*>(digest.data()), digest.size())));
}

Session::Session(SessionLimits limits, Md5Function md5)
    : limits_(limits), md5_(std::move(md5)), decoder_(limits.decoder) {}

RequestTag Session::Queue(absl::Span<const absl::string_view> words) {
  SentenceBuilder builder(output_);
  for (const absl::string_view word : words) builder.Word(word);
  builder.Tag(absl::StrCat(next_tag_)).End();
  Request request;
  request.tag = next_tag_++;
  request.command = std::string(words.front());
  requests_.push_back(std::move(request));
  return requests_.back().tag;
}

void Session::Login(Credentials credentials, LoginMethod method) {
  NS_CHECK(state_ == State::kNew, "a session logs in once");
  credentials_ = std::move(credentials);
  mask_ = base::SecretMask(credentials_.password);
  method_ = method;
  state_ = State::kLoginSent;
  if (method == LoginMethod::kLegacy) {
    Queue({"/login"});
    return;
  }
  const std::string name = absl::StrCat("=name=", credentials_.username);
  std::string password = absl::StrCat("=password=", credentials_.password.reveal());
  // Growing would leave a copy of the password behind.
  output_.reserve(name.size() + password.size() + kLoginOverhead);
  Queue({"/login", name, password});
  Wipe(password);
}

absl::StatusOr<RequestTag> Session::Send(absl::Span<const absl::string_view> words) {
  NS_CHECK(!words.empty(), "a command has a path");
  if (state_ != State::kReady) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot send ", words.front(), ": the session is not logged in"));
  }
  if (requests_.size() >= limits_.max_in_flight) {
    return absl::ResourceExhaustedError(
        absl::StrCat("cannot send ", words.front(), ": ", requests_.size(), " commands under way"));
  }
  return Queue(words);
}

void Session::Abandon(RequestTag tag) {
  for (Request& request : requests_) {
    if (request.tag == tag) request.abandoned = true;
  }
}

absl::string_view Session::output() const { return absl::string_view(output_).substr(written_); }

void Session::OnWritten(std::size_t count) {
  NS_CHECK(count <= output_.size() - written_, absl::StrCat(count));
  written_ += count;
  if (written_ == output_.size()) {
    Wipe(output_);
    written_ = 0;
  }
}

absl::Span<char> Session::ReadSpace(std::size_t minimum) {
  return read_space_ = decoder_.WriteSpace(minimum);
}

void Session::OnRead(std::size_t count) {
  const std::size_t wanted = kTlsHeadBytes - std::min(kTlsHeadBytes, first_bytes_.size());
  first_bytes_.append(read_space_.data(), std::min(count, wanted));
  decoder_.Commit(count);
  received_bytes_ += count;
}

void Session::OnDisconnect(absl::Status reason) {
  disconnected_ = true;
  disconnect_reason_ = std::move(reason);
}

SessionEvent Session::Close(RouterError error, absl::string_view message) {
  failure_ = state_ != State::kReady && SpeaksTls()
                 ? RouterStatus(RouterError::kTlsRefused,
                                "this port speaks TLS: set transport: api-ssl, or the port of the "
                                "plain api, 8728")
                 : RouterStatus(error, message);
  state_ = State::kClosed;
  requests_.clear();
  Wipe(output_);
  written_ = 0;
  credentials_ = {};
  return {.kind = SessionEvent::Kind::kClosed};
}

SessionEvent Session::RefuseLogin(absl::string_view why, absl::string_view what_to_do) {
  return Close(RouterError::kLoginRefused, absl::StrCat("login as '", Shown(credentials_.username),
                                                        "' was refused: ", why, ": ", what_to_do));
}

SessionEvent Session::Next() {
  while (state_ != State::kClosed) {
    switch (decoder_.Next()) {
      case SentenceDecoder::Result::kSentence: {
        std::optional<SessionEvent> event = OnSentence(decoder_.sentence());
        if (event.has_value()) return *event;
        break;
      }
      case SentenceDecoder::Result::kNeedMore:
        if (std::optional<SessionEvent> closed = CheckIgnored()) return *closed;
        if (!disconnected_) return {.kind = SessionEvent::Kind::kNeedInput};
        return OnInputEnd();
      case SentenceDecoder::Result::kError:
        return OnDecoderError();
    }
  }
  return {.kind = SessionEvent::Kind::kClosed};
}

bool Session::SpeaksTls() const {
  // An alert or a handshake record of any version.
  return first_bytes_ == absl::string_view("\x15\x03", kTlsHeadBytes) ||
         first_bytes_ == absl::string_view("\x16\x03", kTlsHeadBytes);
}

SessionEvent Session::OnDecoderError() {
  // Whoever has logged us in is a router: its reply is only longer than what is accepted.
  if (state_ == State::kReady && absl::IsResourceExhausted(decoder_.status())) {
    const bool one = requests_.size() == 1;
    return Close(
        RouterError::kIncompleteReply,
        absl::StrCat("the router sent ", decoder_.status().message(),
                     one ? ", in the reply to " : "", one ? requests_.front().command : ""));
  }
  return Close(
      RouterError::kProtocolError,
      absl::StrCat("what the router sent is not the RouterOS API: ", decoder_.status().message(),
                   ": check address, port and transport of this router"));
}

std::optional<SessionEvent> Session::CheckIgnored() {
  if (state_ != State::kReady && received_bytes_ > limits_.max_login_bytes) {
    return Close(RouterError::kProtocolError,
                 absl::StrCat("the router sent more than ", limits_.max_login_bytes,
                              " bytes before the login had ended: check address and port"));
  }
  const std::uint64_t ignored = ignored_bytes_ + (decoder_.skipped_bytes() - skipped_at_);
  if (ignored <= limits_.max_ignored_bytes) return std::nullopt;
  return Close(RouterError::kProtocolError,
               absl::StrCat("the router sent more than ", limits_.max_ignored_bytes,
                            " bytes that answer nothing: check that this is a router"));
}

SessionEvent Session::OnInputEnd() {
  const std::string reason =
      disconnect_reason_.ok() ? "" : absl::StrCat(" (", disconnect_reason_.message(), ")");
  for (const Request& request : requests_) {
    if (request.abandoned || request.bytes == 0) continue;
    return Close(RouterError::kIncompleteReply,
                 absl::StrCat("the connection ended", reason, " within the reply to ",
                              request.command, ", after ", request.result.rows, " rows"));
  }
  if (decoder_.partial_bytes() > 0) {
    return Close(RouterError::kIncompleteReply,
                 absl::StrCat("the connection ended", reason, " within a sentence"));
  }
  if (state_ != State::kReady && received_bytes_ == 0) {
    return Close(RouterError::kUnreachable,
                 absl::StrCat("the connection ended", reason,
                              " without an answer from the router: check that /ip/service allows "
                              "this address, that its max-sessions is not used up, and that the "
                              "port is of this transport: 8729 speaks TLS (transport: api-ssl), "
                              "8728 does not (transport: api)"));
  }
  if (!requests_.empty()) {
    return Close(RouterError::kUnreachable,
                 absl::StrCat("the connection ended", reason, " before a reply to ",
                              requests_.front().command, " came"));
  }
  return Close(RouterError::kUnreachable,
               absl::StrCat("the router ended the connection", reason,
                            ": it may have restarted or closed the session"));
}

Session::Request* Session::FindRequest(Sentence sentence) {
  for (const absl::string_view word : sentence) {
    if (!IsTag(word)) continue;
    const std::optional<std::uint64_t> tag = ParseUint64(word.substr(kTagPrefix.size()));
    if (!tag.has_value()) return nullptr;
    for (Request& request : requests_) {
      if (request.tag == *tag) return &request;
    }
    return nullptr;
  }
  // Only one command can be meant before the login has ended; very old routers may not echo.
  return state_ != State::kReady && requests_.size() == 1 ? &requests_.front() : nullptr;
}

std::optional<SessionEvent> Session::OnSentence(Sentence sentence) {
  const absl::string_view kind = sentence.front();
  if (kind.front() != '!') {
    return Close(RouterError::kProtocolError,
                 absl::StrCat("a reply began with '", Shown(mask_.Masked(kind).substr(0, 32)),
                              "', which is not the RouterOS API: check address and port"));
  }
  if (kind == "!fatal") return OnFatal(sentence);
  if (kind != "!re" && kind != "!done" && kind != "!trap" && kind != "!empty") {
    ignored_bytes_ += decoder_.sentence_bytes();
    return CheckIgnored();
  }
  Request* request = FindRequest(sentence);
  if (request == nullptr) {
    return Close(RouterError::kProtocolError,
                 absl::StrCat("the router sent ", kind, " that answers no command of ours"));
  }
  return OnReply(*request, sentence);
}

std::optional<SessionEvent> Session::OnReply(Request& request, Sentence sentence) {
  request.bytes += decoder_.sentence_bytes();
  if (request.bytes > limits_.max_bytes_per_reply) {
    return Close(RouterError::kIncompleteReply,
                 absl::StrCat("the reply to ", request.command, " is longer than the limit of ",
                              limits_.max_bytes_per_reply, " bytes"));
  }
  const absl::string_view kind = sentence.front();
  if (kind == "!re") return OnRow(request, sentence);
  if (kind == "!done") return OnDone(request, sentence);
  if (kind == "!trap") OnTrap(request, sentence);
  return std::nullopt;
}

std::optional<SessionEvent> Session::OnRow(Request& request, Sentence sentence) {
  if (++request.result.rows > limits_.max_rows_per_reply) {
    return Close(RouterError::kIncompleteReply,
                 absl::StrCat("the reply to ", request.command, " has more rows than the limit of ",
                              limits_.max_rows_per_reply));
  }
  if (request.abandoned || state_ != State::kReady) return std::nullopt;
  return SessionEvent{
      .kind = SessionEvent::Kind::kRow, .tag = request.tag, .row = sentence.subspan(1)};
}

void Session::OnTrap(Request& request, Sentence sentence) const {
  if (++request.traps_seen > limits_.max_traps_kept) return;
  Trap trap;
  if (const auto message = FindAttribute(sentence, "message"); message.has_value()) {
    trap.meaning = ClassifyTrap(*message);
    trap.message = mask_.Masked(*message).substr(0, kMaxShownBytes);
  }
  if (const auto category = FindAttribute(sentence, "category"); category.has_value()) {
    trap.category = ParseUint64(*category);
  }
  request.result.traps.push_back(std::move(trap));
}

std::optional<SessionEvent> Session::OnDone(Request& request, Sentence sentence) {
  if (const auto ret = FindAttribute(sentence, "ret"); ret.has_value()) {
    request.result.ret = std::string(*ret);
  }
  request.result.status = StatusOfTraps(request.command, request.result.traps);
  const bool abandoned = request.abandoned;
  const RequestTag tag = request.tag;
  last_result_ = std::move(request.result);
  requests_.erase(requests_.begin() + (&request - requests_.data()));
  ignored_bytes_ = 0;
  skipped_at_ = decoder_.skipped_bytes();
  if (abandoned) return std::nullopt;
  if (state_ != State::kReady) {
    const SessionEvent event = OnLoginDone(last_result_);
    // A challenge was answered: nothing to tell yet.
    if (event.kind == SessionEvent::Kind::kNeedInput) return std::nullopt;
    return event;
  }
  return SessionEvent{.kind = SessionEvent::Kind::kDone, .tag = tag, .result = &last_result_};
}

SessionEvent Session::OnLoginDone(const CommandResult& result) {
  if (!result.status.ok()) {
    const std::string text = result.traps.front().message.empty()
                                 ? "no reason given"
                                 : Shown(result.traps.front().message);
    return RefuseLogin(text, method_ == LoginMethod::kLegacy
                                 ? "check user name and password; RouterOS 6.45.1 and later refuse "
                                   "the challenge login, there set `login: plain`"
                                 : "check user name and password, that the account is enabled, "
                                   "has the policy api, and may log in from this address");
  }
  const bool challenged = result.ret.has_value();
  if (state_ == State::kLoginSent && challenged && method_ == LoginMethod::kLegacy) {
    absl::StatusOr<std::string> response =
        ChallengeResponse(*result.ret, credentials_.password.reveal(), md5_);
    if (!response.ok()) return Close(RouterError::kProtocolError, response.status().message());
    const std::string name = absl::StrCat("=name=", credentials_.username);
    const std::string answer = absl::StrCat("=response=", *response);
    mask_.Add(absl::string_view(*response).substr(2));
    state_ = State::kChallengeSent;
    Queue({"/login", name, answer});
    return {.kind = SessionEvent::Kind::kNeedInput};
  }
  if (challenged && state_ == State::kLoginSent) {
    return RefuseLogin("the router wants the challenge login of RouterOS before 6.43",
                       "set `login: legacy`, or upgrade RouterOS");
  }
  if (challenged) {
    return RefuseLogin("the router answered the challenge with another one", "set `login: plain`");
  }
  if (state_ == State::kLoginSent && method_ == LoginMethod::kLegacy) {
    return RefuseLogin("the router sent no challenge", "set `login: plain`");
  }
  credentials_ = {};
  state_ = State::kReady;
  return {.kind = SessionEvent::Kind::kLoggedIn};
}

SessionEvent Session::OnFatal(Sentence sentence) {
  std::string reason;
  for (const absl::string_view word : sentence.subspan(1)) {
    if (IsTag(word)) continue;
    const std::optional<Attribute> attribute = ParseAttribute(word);
    if (attribute.has_value() && attribute->key != "message") continue;
    absl::StrAppend(&reason, reason.empty() ? "" : " ",
                    Shown(mask_.Masked(attribute.has_value() ? attribute->value : word)));
    if (reason.size() > kMaxShownBytes) break;
  }
  return Close(
      RouterError::kClosedByRouter,
      absl::StrCat("the router ended the session: ", reason.empty() ? "no reason given" : reason));
}

}  // namespace netsentinel::routeros
