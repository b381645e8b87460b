#include <cstddef>
#include <cstdint>
#include <string>

#include "aggregator/accounting/checkpoint.h"
#include "common/base/crc32c.h"
#include "tests/fuzz/planted_bug.h"

namespace {

using namespace netsentinel::accounting;  // NOLINT: a fuzz target

// The checksum would keep the fuzzer out, so it is put right.
std::string Sealed(absl::string_view body) {
  std::string blob(1, '\1');
  blob.append(body.data(), body.size());
  const std::uint32_t crc = netsentinel::base::Crc32c(blob);
  for (int i = 0; i < 4; ++i) blob.push_back(static_cast<char>((crc >> (8 * i)) & 0xFF));
  return blob;
}

}  // namespace

// The input is cut at its first byte's place into a head and further parts of a device's state;
// each is also read as every other kind of blob.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = data[0] < bytes.size() ? data[0] : bytes.size();
  StateHead head;
  MenuState state;
  bool sound =
      DecodeStatePart(PartNumber(BlobKind::kHead, 0), Sealed(bytes.substr(0, cut)), head, state)
          .ok();
  if (head.dictionary_end > 65'536) return 0;  // sound, but slow to build a million times
  NS_PLANT_BUG_IF(sound && head.rows > 7);
  for (const BlobKind kind :
       {BlobKind::kRows, BlobKind::kDictionary, BlobKind::kPending, BlobKind::kTombstones}) {
    if (!sound) break;
    sound = DecodeStatePart(PartNumber(kind, 0), Sealed(bytes.substr(cut)), head, state).ok();
  }
  if (sound) (void)FinishState(head, state);
  const std::string blob = Sealed(bytes);
  (void)DecodeRows(blob);
  (void)DecodeCalendars(blob);
  (void)DecodeRouter(blob);
  (void)OpenJournal(blob);
  return 0;
}
