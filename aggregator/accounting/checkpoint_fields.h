// What the encoders and decoders of checkpoints share. For their own sources only.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

#include "aggregator/accounting/checkpoint.h"
#include "common/base/crc32c.h"
#include "common/base/varint.h"
#include "common/counters/snapshot_codec.h"

namespace netsentinel::accounting {

inline constexpr char kVersion = 2;
// Before steps were judged by all explanations: read, never written.
inline constexpr char kOldVersion = 1;
inline constexpr std::size_t kPlaceBytes = 8;
// From the beginning of time; for a router, before its first snapshot.
inline constexpr std::int64_t kAlways = std::numeric_limits<std::int64_t>::min();

inline absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("damaged checkpoint: ", what));
}

inline std::string Begin() { return std::string(1, kVersion); }

inline void AppendFixed(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
}

inline std::uint64_t ReadFixed(absl::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    value |= static_cast<std::uint64_t>(static_cast<std::uint8_t>(bytes[i])) << (8 * i);
  }
  return value;
}

inline std::string Seal(std::string body) {
  base::AppendCrc32c(body);
  return body;
}

struct OpenedBlob {
  absl::string_view body;
  bool old = false;  // kOldVersion
};

inline absl::StatusOr<OpenedBlob> Open(absl::string_view blob) {
  if (blob.size() < 1 + base::kCrcBytes) return Damaged("too short");
  const std::optional<absl::string_view> sealed = base::WithoutCrc32c(blob);
  if (!sealed.has_value()) return Damaged("its checksum is wrong");
  const absl::string_view body = *sealed;
  if (body.front() != kVersion && body.front() != kOldVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("written by a newer version of the program (format ",
                     static_cast<int>(static_cast<std::uint8_t>(body.front())), ", this one knows ",
                     static_cast<int>(kVersion), "): run that version"));
  }
  return OpenedBlob{body.substr(1), body.front() == kOldVersion};
}

// Reads fields one after the other; after the first bad one nothing more is read.
class Fields {
 public:
  explicit Fields(const OpenedBlob& blob) : in_(blob.body), old_(blob.old) {}
  bool old() const { return old_; }
  std::uint64_t U64() {
    const std::optional<std::uint64_t> value = in_.Varint();
    ok_ = ok_ && value.has_value();
    return value.value_or(0);
  }
  std::int64_t I64() { return base::UnZigZag(U64()); }
  // An instant or a stretch of time, of which none is longer than all of time.
  std::int64_t Time() {
    const std::int64_t us = I64();
    ok_ = ok_ && us >= -kLatestUs && us <= kLatestUs;
    return ok_ ? us : 0;
  }
  // What is only ever added with SaturatingAdd.
  base::TrafficBytes Sum() {
    const base::TrafficBytes bytes = Traffic();
    ok_ = ok_ && bytes.upload <= base::kMaxStoredBytes && bytes.download <= base::kMaxStoredBytes;
    return bytes;
  }
  std::uint32_t U32() {
    const std::uint64_t value = U64();
    ok_ = ok_ && value <= 0xFFFFFFFF;
    return static_cast<std::uint32_t>(value);
  }
  std::size_t Count(std::size_t most) {
    const std::uint64_t value = U64();
    ok_ = ok_ && value <= most && value <= in_.remaining();
    return ok_ ? static_cast<std::size_t>(value) : 0;
  }
  std::string Text() {
    const std::optional<absl::string_view> bytes = in_.Bytes();
    ok_ = ok_ && bytes.has_value();
    return bytes.has_value() ? std::string(*bytes) : std::string();
  }
  base::TrafficBytes Traffic() {
    base::TrafficBytes bytes;
    bytes.upload = U64();
    bytes.download = U64();
    return bytes;
  }
  counters::QueueReading Reading() {
    counters::QueueReading reading;
    reading.descriptor = U32();
    reading.upload = U64();
    reading.download = U64();
    reading.packets = U64();
    ok_ = ok_ && reading.descriptor < kMaxDescriptorIndex;
    return reading;
  }
  counters::SnapshotHeader Header() {
    counters::SnapshotHeader header;
    ok_ = ok_ && counters::ReadHeader(in_, header) && TimesAreSane(header);
    return header;
  }
  counters::QueueDescriptor Descriptor() {
    counters::QueueDescriptor descriptor;
    ok_ = ok_ && counters::ReadDescriptor(in_, descriptor);
    return descriptor;
  }
  void Require(bool condition) { ok_ = ok_ && condition; }
  bool ok() const { return ok_; }
  bool more() const { return ok_ && in_.remaining() > 0; }
  bool done() const { return ok_ && in_.done(); }

 private:
  base::ByteReader in_;
  bool old_ = false;
  bool ok_ = true;
};

inline void AppendTraffic(std::string& out, const base::TrafficBytes& bytes) {
  base::AppendVarint(out, bytes.upload);
  base::AppendVarint(out, bytes.download);
}

inline void AppendReading(std::string& out, const counters::QueueReading& reading) {
  base::AppendVarint(out, reading.descriptor);
  base::AppendVarint(out, reading.upload);
  base::AppendVarint(out, reading.download);
  base::AppendVarint(out, reading.packets);
}

inline void AppendTime(std::string& out, std::int64_t us) {
  base::AppendVarint(out, base::ZigZag(us));
}

}  // namespace netsentinel::accounting
