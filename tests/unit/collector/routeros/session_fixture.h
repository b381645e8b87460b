#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

#include "collector/routeros/session.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {

using Words = std::vector<std::string>;

// Not MD5: shows what would have been digested.
inline std::array<std::uint8_t, 16> FakeMd5(absl::string_view bytes) {
  std::array<std::uint8_t, 16> digest = {};
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    digest[i % 16] = static_cast<std::uint8_t>(digest[i % 16] + bytes[i]);
  }
  return digest;
}

inline std::string Sentences(const std::vector<Words>& sentences) {
  std::string out;
  for (const Words& words : sentences) {
    SentenceBuilder builder(out);
    for (const std::string& word : words) builder.Word(word);
    builder.End();
  }
  return out;
}

inline std::string Describe(const SessionEvent& event, const Session& session) {
  switch (event.kind) {
    case SessionEvent::Kind::kLoggedIn:
      return "logged in";
    case SessionEvent::Kind::kRow:
      return absl::StrCat("row ", event.tag, " ", absl::StrJoin(event.row, " "));
    case SessionEvent::Kind::kDone:
      return absl::StrCat(
          "done ", event.tag, " rows=", event.result->rows,
          event.result->ret.has_value() ? " ret=" : "", event.result->ret.value_or(""),
          event.result->status.ok()
              ? ""
              : absl::StrCat(" ", RouterErrorName(*RouterErrorOf(event.result->status))));
    case SessionEvent::Kind::kClosed:
      return absl::StrCat("closed ", RouterErrorName(*RouterErrorOf(session.failure())));
    case SessionEvent::Kind::kNeedInput:
      break;
  }
  return "need input";
}

// A session that has logged in, with what the router sends given as sentences.
class SessionTest : public testing::Test {
 protected:
  explicit SessionTest(SessionLimits limits = {}) : session_(limits, FakeMd5) {
    session_.Login({.username = "u", .password = base::Secret("p")}, LoginMethod::kPlain);
    Written();
    Receive({{"!done", ".tag=1"}});
    EXPECT_EQ(session_.Next().kind, SessionEvent::Kind::kLoggedIn);
  }
  void Written() { session_.OnWritten(session_.output().size()); }
  void Receive(const std::vector<Words>& sentences) {
    const std::string bytes = Sentences(sentences);
    session_.Next();
    const absl::Span<char> space = session_.ReadSpace(bytes.size());
    std::copy(bytes.begin(), bytes.end(), space.begin());
    session_.OnRead(bytes.size());
  }
  RequestTag Send(absl::string_view path) {
    const absl::StatusOr<RequestTag> tag = session_.Send({path});
    EXPECT_THAT(tag, test::IsOk());
    Written();
    return tag.value_or(0);
  }
  std::string NextLine() {
    const SessionEvent event = session_.Next();
    return Describe(event, session_);
  }
  Session session_;
};

}  // namespace netsentinel::routeros
