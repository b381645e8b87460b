// A client's bytes, cut in two ways: the verdict must be the same, and what passes must keep to the
// limits when it is counted frame by frame. The first two bytes of the input choose the cut; an odd
// first one puts a preface and SETTINGS before the rest.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

#include "common/base/check.h"
#include "common/base/random.h"
#include "common/http2/frame_filter.h"
#include "tests/fuzz/planted_bug.h"
#include "tests/support/http2_frames.h"

namespace netsentinel::http2 {
namespace {

constexpr std::uint32_t kBlockMost = 1024;
constexpr FilterLimits kLimits = {.header_block_bytes = kBlockMost,
                                  .header_block_frames = 4,
                                  .streams = {20, 0},
                                  .resets = {5, 0},
                                  .pings = {10, 0},
                                  .settings = {5, 0},
                                  .windows = {10, 0},
                                  .priorities = {5, 0},
                                  .empty = {5, 0},
                                  .others = {5, 0}};

// `max_piece` 0: all at once. The fault's name; empty when all passes.
std::string Verdict(absl::string_view bytes, std::size_t max_piece, std::uint64_t seed) {
  base::SeededRandom random(seed);
  FrameFilter filter(kLimits);
  while (!bytes.empty()) {
    const std::size_t piece =
        max_piece == 0 ? bytes.size() : std::min(bytes.size(), 1 + random.Next() % max_piece);
    if (const auto violation = filter.Look(bytes.substr(0, piece), absl::ZeroDuration())) {
      NS_CHECK(!violation->words.empty(), "a violation without words");
      return std::string(FaultName(violation->fault));
    }
    bytes.remove_prefix(piece);
  }
  return "";
}

// What has passed, counted anew.
void Recount(absl::string_view bytes) {
  NS_CHECK(bytes.substr(0, 24) == absl::string_view(test::Http2Preface()).substr(0, bytes.size()),
           "another preface passed");
  bytes.remove_prefix(std::min<std::size_t>(24, bytes.size()));
  std::size_t block = 0, pings = 0, resets = 0;
  bool inside = false;
  while (bytes.size() >= 9) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    const std::size_t length = std::size_t{byte(0)} << 16 | std::size_t{byte(1)} << 8 | byte(2);
    const unsigned char type = byte(3);
    if (type == 1) block = 0;
    if (type == 1 || type == 9) block += length;
    NS_CHECK(!inside || type == 9, "a frame inside a header block passed");
    if (type == 1 || type == 9) inside = (byte(4) & 4) == 0;
    NS_CHECK(block <= kBlockMost, "a header block too long passed");
    NS_CHECK((pings += type == 6) <= 10, "a flood of pings passed");
    NS_CHECK((resets += type == 3) <= 5, "a flood of resets passed");
    NS_CHECK(type != 5, "a push passed");
    NS_PLANT_BUG_IF(type == 3 && byte(8) == 7);
    bytes.remove_prefix(std::min(bytes.size(), 9 + length));
  }
}

void Check(absl::string_view bytes, std::size_t max_piece, std::uint64_t seed) {
  const std::string whole = Verdict(bytes, 0, 0);
  NS_CHECK(whole == Verdict(bytes, max_piece, seed), "the cut changed the verdict");
  if (whole.empty()) Recount(bytes);
}

}  // namespace
}  // namespace netsentinel::http2

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::string bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  if (data[0] % 2 == 1) bytes.insert(0, netsentinel::test::Http2Opening());
  netsentinel::http2::Check(bytes, 1 + data[0] % 64, data[1]);
  return 0;
}
