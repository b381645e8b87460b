#include "common/http2/frame_filter.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace netsentinel::http2 {
namespace {

constexpr absl::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum Type : std::uint8_t {
  kData = 0,
  kHeaders = 1,
  kPriority = 2,
  kResetStream = 3,
  kSettings = 4,
  kPushPromise = 5,
  kPing = 6,
  kGoAway = 7,
  kWindowUpdate = 8,
  kContinuation = 9,
};
constexpr std::uint8_t kEndStream = 0x1;
constexpr std::uint8_t kAck = 0x1;
constexpr std::uint8_t kEndHeaders = 0x4;

using Violation = FrameFilter::Violation;
using Fault = FrameFilter::Fault;

Violation Malformed(absl::string_view what) {
  return {Fault::kFrame, absl::StrCat("sent ", what, ", which HTTP/2 does not allow")};
}

}  // namespace

bool FrameFilter::Bucket::Take(absl::Duration now) {
  if (now > last_) {
    left_ = std::min(rate_.burst, left_ + absl::ToDoubleSeconds(now - last_) * rate_.per_second);
    last_ = now;
  }
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

FrameFilter::FrameFilter(const FilterLimits& limits)
    : limits_(limits),
      streams_(limits.streams),
      resets_(limits.resets),
      pings_(limits.pings),
      settings_(limits.settings),
      windows_(limits.windows),
      priorities_(limits.priorities),
      empty_(limits.empty),
      others_(limits.others) {}

std::optional<Violation> FrameFilter::MatchPreface(absl::string_view& bytes) {
  const std::size_t part = std::min(bytes.size(), kPreface.size() - preface_seen_);
  if (bytes.substr(0, part) != kPreface.substr(preface_seen_, part)) {
    return Violation{Fault::kPreface, "sent something else than the preface of HTTP/2"};
  }
  preface_seen_ += part;
  bytes.remove_prefix(part);
  return std::nullopt;
}

std::optional<Violation> FrameFilter::Look(absl::string_view bytes, absl::Duration now) {
  if (preface_seen_ < kPreface.size()) {
    if (auto violation = MatchPreface(bytes)) return violation;
  }
  while (!bytes.empty()) {
    if (payload_left_ > 0) {
      const std::size_t part = std::min<std::size_t>(payload_left_, bytes.size());
      payload_left_ -= static_cast<std::uint32_t>(part);
      bytes.remove_prefix(part);
      continue;
    }
    const std::size_t part = std::min(head_.size() - head_seen_, bytes.size());
    std::memcpy(head_.data() + head_seen_, bytes.data(), part);
    head_seen_ += part;
    bytes.remove_prefix(part);
    if (head_seen_ < head_.size()) break;
    head_seen_ = 0;
    const Head head = {
        .length = static_cast<std::uint32_t>(head_[0]) << 16 |
                  static_cast<std::uint32_t>(head_[1]) << 8 | head_[2],
        .type = head_[3],
        .flags = head_[4],
        .stream = (static_cast<std::uint32_t>(head_[5]) << 24 |
                   static_cast<std::uint32_t>(head_[6]) << 16 |
                   static_cast<std::uint32_t>(head_[7]) << 8 | head_[8]) &
                  0x7FFFFFFFU,
    };
    if (auto violation = Judge(head, now)) return violation;
    payload_left_ = head.length;
  }
  return std::nullopt;
}

std::optional<Violation> FrameFilter::Judge(const Head& head, absl::Duration now) {
  if (!opened_) {
    if (head.type != kSettings || (head.flags & kAck) != 0) {
      return Malformed("another frame before its SETTINGS");
    }
    opened_ = true;
  }
  if (block_stream_ != 0) {
    if (head.type != kContinuation || head.stream != block_stream_) {
      return Malformed("another frame inside a header block");
    }
    return AddToBlock(head);
  }
  switch (head.type) {
    case kData:
      if (head.stream == 0) return Malformed("DATA without a stream");
      if (head.length == 0 && (head.flags & kEndStream) == 0) {
        return Spend(empty_, Fault::kEmptyFrameRate, "empty DATA frames", now);
      }
      return std::nullopt;
    case kHeaders:
      return JudgeHeaders(head, now);
    case kContinuation:
      return Malformed("CONTINUATION without HEADERS");
    case kPushPromise:
      return Malformed("PUSH_PROMISE");
    default:
      return JudgeControl(head, now);
  }
}

std::optional<Violation> FrameFilter::JudgeHeaders(const Head& head, absl::Duration now) {
  if (head.stream % 2 == 0) return Malformed("HEADERS for a stream that is not a client's");
  if (auto violation = Spend(streams_, Fault::kStreamRate, "new streams", now)) return violation;
  block_stream_ = head.stream;
  block_bytes_ = 0;
  block_frames_ = 0;
  return AddToBlock(head);
}

std::optional<Violation> FrameFilter::AddToBlock(const Head& head) {
  block_bytes_ += head.length;
  if (block_bytes_ > limits_.header_block_bytes || ++block_frames_ > limits_.header_block_frames) {
    return Violation{Fault::kHeaderBlock,
                     absl::StrCat("sent a header block of more than ", limits_.header_block_bytes,
                                  " bytes or ", limits_.header_block_frames, " frames")};
  }
  if ((head.flags & kEndHeaders) != 0) block_stream_ = 0;
  return std::nullopt;
}

std::optional<Violation> FrameFilter::JudgeControl(const Head& head, absl::Duration now) {
  switch (head.type) {
    case kPriority:
      if (head.length != 5) return Malformed("a PRIORITY of a wrong length");
      return Spend(priorities_, Fault::kPriorityRate, "PRIORITY frames", now);
    case kResetStream:
      if (head.length != 4 || head.stream == 0) return Malformed("a broken RST_STREAM");
      return Spend(resets_, Fault::kResetRate, "RST_STREAM frames", now);
    case kSettings:
      if (head.stream != 0 || head.length % 6 != 0 ||
          head.length > limits_.settings_payload_bytes ||
          ((head.flags & kAck) != 0 && head.length != 0)) {
        return Malformed("a broken SETTINGS");
      }
      return Spend(settings_, Fault::kSettingsRate, "SETTINGS frames", now);
    case kPing:
      if (head.length != 8 || head.stream != 0) return Malformed("a broken PING");
      return Spend(pings_, Fault::kPingRate, "PING frames", now);
    case kWindowUpdate:
      if (head.length != 4) return Malformed("a broken WINDOW_UPDATE");
      return Spend(windows_, Fault::kWindowRate, "WINDOW_UPDATE frames", now);
    default:
      // GOAWAY, and types that a receiver has to ignore.
      if (head.length > limits_.control_payload_bytes) return Malformed("a control frame too long");
      return Spend(others_, Fault::kOtherRate, "other frames", now);
  }
}

std::optional<Violation> FrameFilter::Spend(Bucket& bucket, Fault fault, absl::string_view what,
                                            absl::Duration now) {
  if (bucket.Take(now)) return std::nullopt;
  return Violation{
      fault, absl::StrCat("sent ", what, " faster than ", bucket.rate().per_second, " a second")};
}

absl::string_view FaultName(FrameFilter::Fault fault) {
  switch (fault) {
    case Fault::kPreface:
      return "preface";
    case Fault::kFrame:
      return "frame";
    case Fault::kHeaderBlock:
      return "header_block";
    case Fault::kStreamRate:
      return "stream_rate";
    case Fault::kResetRate:
      return "reset_rate";
    case Fault::kPingRate:
      return "ping_rate";
    case Fault::kSettingsRate:
      return "settings_rate";
    case Fault::kWindowRate:
      return "window_rate";
    case Fault::kPriorityRate:
      return "priority_rate";
    case Fault::kEmptyFrameRate:
      return "empty_frame_rate";
    case Fault::kOtherRate:
      return "other_rate";
  }
  return "unknown";
}

}  // namespace netsentinel::http2
