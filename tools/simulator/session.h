#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "tools/simulator/query.h"
#include "tools/simulator/router.h"

namespace netsentinel::simulator {

// MD5 of bytes, as 16 bytes. Passed in: the pure code has no cryptography of its own.
using Md5Function = std::string (*)(const std::string& bytes);

// One row as it was served. Absent where the reply did not carry the property.
struct ServedRow {
  std::uint64_t row_id = 0;
  std::string name;
  std::optional<UpDown> bytes;
  std::optional<UpDown> packets;
};

// What the truth log keeps of a print.
struct Served {
  std::string menu;
  std::uint64_t sequence = 0;
  std::uint64_t uptime_s = 0;
  std::uint64_t boot_count = 0;
  bool queue_menu = false;
  bool count_only = false;
  std::vector<ServedRow> rows;
  std::vector<std::string> faults;
};

// What to send for one command, without its tag.
struct Reply {
  std::string tag;  // empty: the command had none
  std::vector<std::vector<std::string>> sentences;
  // The session ends after the last sentence.
  bool close_after = false;
  // Nothing more comes until the command is cancelled.
  bool endless = false;
  // This is /cancel: of the command with `cancel_tag`, or of all when that is empty.
  bool is_cancel = false;
  std::string cancel_tag;
  bool reboot = false;
  // What the command changed, for the truth log; empty for nothing.
  std::string event;
  std::optional<Served> served;
  // Wire faults that strike while this reply is sent.
  std::vector<Fault> faults;
};

// What one connection may do and in which state of its login it is. Pure, one thread; the router
// outlives it.
class Session {
 public:
  struct Options {
    bool tls = false;  // /quit is not answered
    Md5Function md5 = nullptr;
    // More sentences than this before login end the session.
    std::uint32_t max_sentences_before_login = 8;
  };

  Session(Router& router, Options options) : router_(router), options_(options) {}

  // One sentence of the client, at least one word.
  Reply Handle(const std::vector<std::string>& words, std::int64_t now_us, absl::Time wall);
  bool logged_in() const { return user_.has_value(); }

 private:
  struct Request;

  void Login(const Request& request, Reply& reply);
  void Challenge(Reply& reply);
  void Print(const Request& request, std::int64_t now_us, absl::Time wall, Reply& reply);
  void PrintQueues(const Request& request, Menu menu, const Query& query, Reply& reply);
  void PrintRows(const Request& request, const std::vector<Row>& rows, const Query& query,
                 Reply& reply);
  void Finish(const Request& request, std::uint64_t rows, Reply& reply);
  void ResetCounters(const Request& request, Menu menu, Reply& reply);
  // add, set and remove of a queue menu.
  void Change(const Request& request, Menu menu, Reply& reply);
  void AddQueue(const Request& request, Menu menu, Reply& reply);
  void SetQueue(const Request& request, Menu menu, const Queue& queue, Reply& reply);
  // Traps on what cannot be set.
  bool ReadProperties(const Request& request, Menu menu, QueueSpec& spec, Reply& reply) const;
  // By an `.id` or a name.
  const Queue* FindQueue(Menu menu, absl::string_view id);
  void Refuse(const Request& request, bool menu_known, Reply& reply) const;
  bool Allowed(absl::string_view policy) const;

  Router& router_;
  Options options_;
  // A copy: changed rights apply to new logins only.
  std::optional<UserSpec> user_;
  std::string challenge_;  // 16 bytes, empty when none was given
  std::uint32_t sentences_before_login_ = 0;
};

}  // namespace netsentinel::simulator
