// The bytes of a stream, cut in two ways: the sentences must be the same, and survive being built
// and decoded again. The first two bytes of the input choose the second way.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "collector/routeros/word_codec.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "tests/fuzz/planted_bug.h"

namespace netsentinel::routeros {
namespace {

using Words = std::vector<std::string>;

struct Decoded {
  std::vector<Words> sentences;
  absl::Status status;
};

// `max_piece` 0: all at once.
Decoded Decode(absl::string_view bytes, std::size_t max_piece, std::uint64_t seed) {
  base::SeededRandom random(seed);
  SentenceDecoder decoder(
      {.max_word_bytes = 1024, .max_words_per_sentence = 16, .max_sentence_bytes = 2048});
  Decoded decoded;
  while (true) {
    switch (decoder.Next()) {
      case SentenceDecoder::Result::kSentence: {
        Words words;
        for (const absl::string_view word : decoder.sentence()) words.emplace_back(word);
        decoded.sentences.push_back(std::move(words));
        break;
      }
      case SentenceDecoder::Result::kError:
        decoded.status = decoder.status();
        return decoded;
      case SentenceDecoder::Result::kNeedMore: {
        if (bytes.empty()) return decoded;
        const std::size_t piece = max_piece == 0 ? bytes.size() : 1 + random.Next() % max_piece;
        decoder.Feed(bytes.substr(0, piece));
        bytes.remove_prefix(std::min(piece, bytes.size()));
        break;
      }
    }
  }
}

void Check(absl::string_view bytes, std::size_t max_piece, std::uint64_t seed) {
  const Decoded whole = Decode(bytes, 0, 0);
  const Decoded cut = Decode(bytes, max_piece, seed);
  NS_CHECK(whole.sentences == cut.sentences, "the cut changed the sentences");
  NS_CHECK(whole.status == cut.status, "the cut changed the error");
  std::string again;
  for (const Words& sentence : whole.sentences) {
    SentenceBuilder builder(again);
    for (const std::string& word : sentence) builder.Word(word);
    builder.End();
    NS_PLANT_BUG_IF(sentence.size() >= 3 && sentence[0] == "!re" && sentence[1] == sentence[2]);
  }
  NS_CHECK(Decode(again, 0, 0).sentences == whole.sentences, "built sentences decode differently");
}

}  // namespace
}  // namespace netsentinel::routeros

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  netsentinel::routeros::Check(bytes, 1 + data[0] % 64, data[1]);
  return 0;
}
