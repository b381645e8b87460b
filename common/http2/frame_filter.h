#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace netsentinel::http2 {

// What a client may do at most on one connection. Frames of a kind may come in a burst and then at
// a rate: several times what gRPC's clients need, and cheap enough for a server.
struct FilterLimits {
  struct Rate {
    double burst;
    double per_second;
  };
  // HEADERS and its CONTINUATIONs together: payloads, and the frames themselves.
  std::uint32_t header_block_bytes = 16 * 1024;
  int header_block_frames = 16;
  std::uint32_t control_payload_bytes = 16 * 1024;  // GOAWAY and frames of unknown types
  std::uint32_t settings_payload_bytes = 6 * 64;
  Rate streams = {5000, 1000};
  Rate resets = {300, 50};
  Rate pings = {1000, 100};  // asked and answered
  Rate settings = {100, 10};
  Rate windows = {20000, 5000};
  Rate priorities = {100, 10};
  Rate empty = {100, 10};  // DATA without content that does not end its stream
  Rate others = {100, 10};
};

// Looks at what one client sends, before the server does. Knows frames, not HPACK: it bounds what
// may cost a server more than it costs the sender (endless header blocks, resets, pings, settings,
// empty frames), and refuses what is no HTTP/2. Not thread-safe.
class FrameFilter {
 public:
  enum class Fault {
    kPreface,      // not HTTP/2
    kFrame,        // a length, stream or order that HTTP/2 does not allow
    kHeaderBlock,  // too many bytes or frames
    kStreamRate,
    kResetRate,
    kPingRate,
    kSettingsRate,
    kWindowRate,
    kPriorityRate,
    kEmptyFrameRate,
    kOtherRate,
  };
  struct Violation {
    Fault fault;
    std::string words;  // for people: "sent PING frames faster than 100 a second"
  };

  explicit FrameFilter(const FilterLimits& limits = {});

  // The next bytes, of any number, at a monotonic time. A violation: none of these bytes should
  // reach the server, and the filter must not be used again.
  std::optional<Violation> Look(absl::string_view bytes, absl::Duration now);

  // The preface and the head of the first SETTINGS frame have been seen.
  bool opened() const { return opened_; }

 private:
  class Bucket {
   public:
    explicit Bucket(const FilterLimits::Rate& rate) : rate_(rate), left_(rate.burst) {}
    bool Take(absl::Duration now);
    const FilterLimits::Rate& rate() const { return rate_; }

   private:
    FilterLimits::Rate rate_;
    double left_;
    absl::Duration last_;
  };
  struct Head {
    std::uint32_t length;
    std::uint8_t type;
    std::uint8_t flags;
    std::uint32_t stream;
  };

  std::optional<Violation> MatchPreface(absl::string_view& bytes);
  std::optional<Violation> Judge(const Head& head, absl::Duration now);
  std::optional<Violation> JudgeHeaders(const Head& head, absl::Duration now);
  std::optional<Violation> AddToBlock(const Head& head);
  std::optional<Violation> JudgeControl(const Head& head, absl::Duration now);
  static std::optional<Violation> Spend(Bucket& bucket, Fault fault, absl::string_view what,
                                        absl::Duration now);

  const FilterLimits limits_;
  Bucket streams_, resets_, pings_, settings_, windows_, priorities_, empty_, others_;
  std::size_t preface_seen_ = 0;
  bool opened_ = false;
  std::array<unsigned char, 9> head_{};
  std::size_t head_seen_ = 0;
  std::uint32_t payload_left_ = 0;
  // Of the header block that has begun and not ended.
  std::uint32_t block_stream_ = 0;  // 0: none
  std::uint32_t block_bytes_ = 0;
  int block_frames_ = 0;
};

// A word for a metric's label: "ping_rate".
absl::string_view FaultName(FrameFilter::Fault fault);

}  // namespace netsentinel::http2
