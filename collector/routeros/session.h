#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "collector/routeros/router_error.h"
#include "collector/routeros/word_codec.h"
#include "common/base/secret.h"
#include "common/base/secret_mask.h"

namespace netsentinel::routeros {

struct Credentials {
  std::string username = {};
  base::Secret password = {};
};

// RouterOS 6.43 and later take name and password in one sentence; older ones want the MD5 of a
// challenge, which 6.45.1 and later refuse. A challenge is answered only where that was configured:
// whoever can make the router ask for it would get a digest to try passwords on.
enum class LoginMethod : std::uint8_t {
  // Name and password; a challenge is a refusal.
  kPlain,
  // The challenge form only: the password itself never travels.
  kLegacy,
};

// MD5 of `bytes`; passed in, since this code has no cryptography of its own.
using Md5Function = std::function<std::array<std::uint8_t, 16>(absl::string_view bytes)>;

// "00" and the lowercase hex of MD5(0x00, password, challenge bytes). kInvalidArgument when
// `challenge_hex` is not an even number of 2 to 64 hex digits.
absl::StatusOr<std::string> ChallengeResponse(absl::string_view challenge_hex,
                                              absl::string_view password, const Md5Function& md5);

// Text of the `.tag` of one command; never reused within a session.
using RequestTag = std::uint32_t;

struct SessionLimits {
  DecoderLimits decoder = {};
  std::size_t max_rows_per_reply = 200'000;
  // With what is added to every queue it must fit what the aggregator lets a stream have
  // unanswered.
  std::size_t max_bytes_per_reply = 32 * 1024 * 1024;
  // Commands under way, abandoned ones included.
  std::size_t max_in_flight = 16;
  // Further !trap sentences of one command are counted and not kept.
  std::size_t max_traps_kept = 8;
  // Everything until the login has ended.
  std::size_t max_login_bytes = 64 * 1024;
  // Sentences that mean nothing to us, empty ones too, since a command ended last.
  std::size_t max_ignored_bytes = 256 * 1024;
};

// One !trap. `category` is absent on many versions.
struct Trap {
  // Without the password, where the router said it.
  std::string message;
  RouterError meaning = RouterError::kRefused;
  std::optional<std::uint64_t> category;
};

// How a command ended.
struct CommandResult {
  // OK, or a RouterStatus made of all its traps.
  absl::Status status;
  // Of the closing !done: a count, a challenge, a new id.
  std::optional<std::string> ret;
  std::vector<Trap> traps;
  std::size_t rows = 0;
};

// What Session::Next found.
struct SessionEvent {
  enum class Kind {
    kNeedInput,  // all bytes are used: write output(), then read
    kLoggedIn,   // commands may be sent
    kRow,        // one !re of `tag`; `row` is valid until the next call
    kDone,       // `tag` has ended; `result` is valid until the next call
    kClosed,     // failure() says why; nothing more will come
  };
  Kind kind = Kind::kNeedInput;
  RequestTag tag = 0;
  // All words after !re, the tag word among them.
  Sentence row = {};
  const CommandResult* result = nullptr;
};

// The RouterOS API over one connection, without the connection: bytes in, events out, bytes out.
// Every command carries its own tag. A command that fails (!trap) leaves the session usable; a
// refused login, !fatal, a violation of the protocol or of a limit closes it. Deadlines are the
// driver's. One thread.
class Session {
 public:
  Session(SessionLimits limits, Md5Function md5);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Puts the login into output(). Once, before anything else. Nothing but mask() keeps the password
  // when the login has ended.
  void Login(Credentials credentials, LoginMethod method);

  // Puts a command (its words, the menu path first, without tag) into output(). Fails with
  // kFailedPrecondition before login and after close, with kResourceExhausted above
  // max_in_flight.
  absl::StatusOr<RequestTag> Send(absl::Span<const absl::string_view> words);

  // Swallows the rest of the reply, however late it comes.
  void Abandon(RequestTag tag);

  // Bytes for the router. Never log them: they may hold the password.
  absl::string_view output() const;
  // `count` bytes of output() have been sent; overwrites them.
  void OnWritten(std::size_t count);

  // Room to read into when Next has returned kNeedInput, then OnRead with what came.
  absl::Span<char> ReadSpace(std::size_t minimum = 16 * 1024);
  void OnRead(std::size_t count);
  // The connection has ended; `reason` OK is an orderly end. Already received bytes still count.
  void OnDisconnect(absl::Status reason);

  SessionEvent Next();

  bool closed() const { return state_ == State::kClosed; }
  // Why the session is closed: a RouterStatus. OK while it is not.
  const absl::Status& failure() const { return failure_; }
  // Takes the password out of a text. Traps, reasons and failures have been through it, rows have
  // not.
  const base::SecretMask& mask() const { return mask_; }
  // Commands whose end has not come.
  std::size_t in_flight() const { return requests_.size(); }
  // Bytes the router has sent so far.
  std::uint64_t received_bytes() const { return received_bytes_; }

 private:
  enum class State { kNew, kLoginSent, kChallengeSent, kReady, kClosed };
  struct Request {
    RequestTag tag = 0;
    std::string command;
    bool abandoned = false;
    std::size_t bytes = 0;
    std::size_t traps_seen = 0;
    CommandResult result;
  };

  RequestTag Queue(absl::Span<const absl::string_view> words);
  // Nothing: the sentence asks for no event.
  std::optional<SessionEvent> OnSentence(Sentence sentence);
  std::optional<SessionEvent> OnReply(Request& request, Sentence sentence);
  std::optional<SessionEvent> OnRow(Request& request, Sentence sentence);
  std::optional<SessionEvent> OnDone(Request& request, Sentence sentence);
  SessionEvent OnLoginDone(const CommandResult& result);
  SessionEvent OnDecoderError();
  void OnTrap(Request& request, Sentence sentence) const;
  SessionEvent OnFatal(Sentence sentence);
  // The first bytes of all are a TLS record's.
  bool SpeaksTls() const;
  // Why the bytes that were ignored are too many; nothing while they are not.
  std::optional<SessionEvent> CheckIgnored();
  SessionEvent OnInputEnd();
  SessionEvent RefuseLogin(absl::string_view why, absl::string_view what_to_do);
  SessionEvent Close(RouterError error, absl::string_view message);
  Request* FindRequest(Sentence sentence);

  const SessionLimits limits_;
  const Md5Function md5_;
  SentenceDecoder decoder_;
  State state_ = State::kNew;
  Credentials credentials_;
  LoginMethod method_ = LoginMethod::kPlain;
  base::SecretMask mask_;
  std::string output_;
  std::size_t written_ = 0;
  RequestTag next_tag_ = 1;
  std::vector<Request> requests_;
  CommandResult last_result_;
  bool disconnected_ = false;
  absl::Status disconnect_reason_;
  absl::Status failure_;
  std::uint64_t received_bytes_ = 0;
  absl::Span<char> read_space_;
  std::string first_bytes_;
  // Of sentences without a meaning, since a command ended last; `skipped_at_` is what the decoder
  // had skipped then.
  std::size_t ignored_bytes_ = 0;
  std::uint64_t skipped_at_ = 0;
};

}  // namespace netsentinel::routeros
