#include "collector/routeros/word_codec.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

std::string FromHex(absl::string_view hex) {
  std::string digits;
  for (const char c : hex) {
    if (c != ' ') digits.push_back(c);
  }
  return absl::HexStringToBytes(digits);
}

std::string LengthBytes(std::uint32_t length) {
  std::string out;
  AppendLength(out, length);
  return out;
}

std::string Build(const Words& words) {
  std::string out;
  SentenceBuilder builder(out);
  for (const std::string& word : words) builder.Word(word);
  builder.End();
  return out;
}

struct Decoded {
  std::vector<Words> sentences;
  absl::Status status;
  std::size_t partial_bytes = 0;
};

// Feeds `bytes` in pieces of the given sizes (the rest in one) and collects what comes out.
Decoded Decode(absl::string_view bytes, const std::vector<std::size_t>& pieces = {},
               DecoderLimits limits = {}) {
  SentenceDecoder decoder(limits);
  Decoded decoded;
  std::size_t at = 0;
  std::size_t piece = 0;
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
        if (at == bytes.size()) {
          decoded.partial_bytes = decoder.partial_bytes();
          return decoded;
        }
        const std::size_t size = piece < pieces.size() ? pieces[piece++] : bytes.size() - at;
        decoder.Feed(bytes.substr(at, size));
        at += std::min(size, bytes.size() - at);
        break;
      }
    }
  }
}

struct LengthCase {
  std::uint32_t length;
  const char* hex;
};

class LengthPrefixTest : public testing::TestWithParam<LengthCase> {};

TEST_P(LengthPrefixTest, IsTheShortestForm) {
  EXPECT_EQ(LengthBytes(GetParam().length), FromHex(GetParam().hex));
}

INSTANTIATE_TEST_SUITE_P(
    Table, LengthPrefixTest,
    testing::Values(LengthCase{0, "00"}, LengthCase{1, "01"}, LengthCase{0x7F, "7F"},
                    LengthCase{0x80, "80 80"}, LengthCase{0x87, "80 87"},
                    LengthCase{0x100, "81 00"}, LengthCase{0x3FFF, "BF FF"},
                    LengthCase{0x4000, "C0 40 00"}, LengthCase{0x4321, "C0 43 21"},
                    LengthCase{0x1FFFFF, "DF FF FF"}, LengthCase{0x200000, "E0 20 00 00"},
                    LengthCase{0x2ACDEF, "E0 2A CD EF"}, LengthCase{0xFFFFFFF, "EF FF FF FF"},
                    LengthCase{0x10000000, "F0 10 00 00 00"},
                    LengthCase{0x10000080, "F0 10 00 00 80"},
                    LengthCase{0xFFFFFFFF, "F0 FF FF FF FF"}));

struct VectorCase {
  const char* hex;
  std::size_t bytes;
  Words words;
};

class SentenceVectorTest : public testing::TestWithParam<VectorCase> {};

TEST_P(SentenceVectorTest, IsBuiltToTheByte) {
  EXPECT_EQ(GetParam().bytes, FromHex(GetParam().hex).size());
  EXPECT_EQ(Build(GetParam().words), FromHex(GetParam().hex));
}

TEST_P(SentenceVectorTest, IsDecodedWhole) {
  const Decoded decoded = Decode(FromHex(GetParam().hex));
  EXPECT_THAT(decoded.status, test::IsOk());
  EXPECT_THAT(decoded.sentences, ElementsAre(GetParam().words));
  EXPECT_EQ(decoded.partial_bytes, 0u);
}

TEST_P(SentenceVectorTest, IsTheSameSentenceCutAtEveryByte) {
  const std::string bytes = FromHex(GetParam().hex);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    EXPECT_THAT(Decode(bytes, {cut}).sentences, ElementsAre(GetParam().words)) << "cut at " << cut;
  }
}

TEST_P(SentenceVectorTest, IsNotYetASentenceWithoutItsLastByte) {
  const std::string bytes = FromHex(GetParam().hex);
  const Decoded decoded = Decode(absl::string_view(bytes).substr(0, bytes.size() - 1));
  EXPECT_THAT(decoded.status, test::IsOk());
  EXPECT_THAT(decoded.sentences, IsEmpty());
  EXPECT_EQ(decoded.partial_bytes, bytes.size() - 1);
}

INSTANTIATE_TEST_SUITE_P(
    Wire, SentenceVectorTest,
    testing::Values(
        VectorCase{"06 2F 6C 6F 67 69 6E 11 3D 6E 61 6D 65 3D 6E 65 74 73 65 6E 74 69 6E 65 6C"
                   "10 3D 70 61 73 73 77 6F 72 64 3D 73 33 63 72 65 74 00",
                   43,
                   {"/login", "=name=netsentinel", "=password=s3cret"}},
        VectorCase{"05 21 64 6F 6E 65 00", 7, {"!done"}},
        VectorCase{"05 21 74 72 61 70 2A 3D 6D 65 73 73 61 67 65 3D 69 6E 76 61 6C 69 64 20 75 73"
                   "65 72 20 6E 61 6D 65 20 6F 72 20 70 61 73 73 77 6F 72 64 20 28 36 29 00",
                   50,
                   {"!trap", "=message=invalid user name or password (6)"}},
        VectorCase{"13 2F 71 75 65 75 65 2F 73 69 6D 70 6C 65 2F 70 72 69 6E 74 19 3D 2E 70 72 6F"
                   "70 6C 69 73 74 3D 2E 69 64 2C 6E 61 6D 65 2C 62 79 74 65 73 06 2E 74 61 67 3D"
                   "37 00",
                   54,
                   {"/queue/simple/print", "=.proplist=.id,name,bytes", ".tag=7"}},
        VectorCase{"03 21 72 65 06 2E 74 61 67 3D 37 08 3D 2E 69 64 3D 2A 31 41 0B 3D 6E 61 6D 65"
                   "3D 61 6C 69 63 65 10 3D 62 79 74 65 73 3D 31 30 32 34 2F 34 30 39 36 00",
                   50,
                   {"!re", ".tag=7", "=.id=*1A", "=name=alice", "=bytes=1024/4096"}},
        VectorCase{"06 21 65 6D 70 74 79 06 2E 74 61 67 3D 37 00", 15, {"!empty", ".tag=7"}},
        VectorCase{"05 21 64 6F 6E 65 06 2E 74 61 67 3D 37 00", 14, {"!done", ".tag=7"}},
        VectorCase{"06 21 66 61 74 61 6C 1D 73 65 73 73 69 6F 6E 20 74 65 72 6D 69 6E 61 74 65 64"
                   "20 6F 6E 20 72 65 71 75 65 73 74 00",
                   38,
                   {"!fatal", "session terminated on request"}},
        VectorCase{"03 21 72 65 09 3D 63 6F 6D 6D 65 6E 74 3D 00", 15, {"!re", "=comment="}}));

TEST(SentenceDecoderTest, AcceptsEveryPrefixFormForASmallWord) {
  const std::string word = "!done";
  for (const char* prefix : {"05", "80 05", "C0 00 05", "E0 00 00 05", "F0 00 00 00 05"}) {
    const std::string bytes = absl::StrCat(FromHex(prefix), word, std::string(1, '\0'));
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      EXPECT_THAT(Decode(bytes, {cut}).sentences, ElementsAre(Words{"!done"})) << prefix;
    }
  }
}

TEST(SentenceDecoderTest, EndsASentenceAtANonMinimalZero) {
  EXPECT_THAT(Decode(FromHex("01 61 F0 00 00 00 00 01 62 00")).sentences,
              ElementsAre(Words{"a"}, Words{"b"}));
}

TEST(SentenceDecoderTest, SkipsEmptySentences) {
  EXPECT_THAT(Decode(FromHex("00 00 01 61 00 00 01 62 00 00")).sentences,
              ElementsAre(Words{"a"}, Words{"b"}));
}

TEST(SentenceDecoderTest, RefusesEveryByteThatIsNoPrefix) {
  for (int byte = 0xF1; byte <= 0xFF; ++byte) {
    const Decoded decoded = Decode(absl::StrCat(Build({"!done"}), std::string(1, char(byte))));
    EXPECT_THAT(decoded.sentences, ElementsAre(Words{"!done"}));
    EXPECT_THAT(decoded.status, test::StatusIs(absl::StatusCode::kInvalidArgument,
                                               HasSubstr(absl::StrFormat("0x%02X", byte))));
  }
}

TEST(SentenceDecoderTest, StaysFailedAfterAnError) {
  SentenceDecoder decoder;
  decoder.Feed(FromHex("FF"));
  EXPECT_EQ(decoder.Next(), SentenceDecoder::Result::kError);
  decoder.Feed(Build({"!done"}));
  EXPECT_EQ(decoder.Next(), SentenceDecoder::Result::kError);
}

TEST(SentenceDecoderTest, RefusesAClaimOfFourGigabytesBeforeAnyOfItHasCome) {
  EXPECT_THAT(Decode(FromHex("F0 FF FF FF FF")).status,
              test::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("4294967295")));
}

TEST(SentenceDecoderTest, TakesAWordOfExactlyTheLimitAndNoLonger) {
  EXPECT_THAT(Decode(Build({std::string(64 * 1024, 'x')})).status, test::IsOk());
  EXPECT_THAT(Decode(Build({std::string(64 * 1024 + 1, 'x')})).status,
              test::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("65537 bytes")));
}

TEST(SentenceDecoderTest, TakesExactlyTheLimitOfWordsAndNoMore) {
  const Words most(256, "w");
  EXPECT_THAT(Decode(Build(most)).sentences, ElementsAre(most));
  EXPECT_THAT(Decode(Build(Words(257, "w"))).status,
              test::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("256 words")));
}

TEST(SentenceDecoderTest, TakesASentenceOfExactlyTheLimitAndNoLonger) {
  const DecoderLimits limits{.max_sentence_bytes = 12};
  EXPECT_THAT(Decode(Build({"12345", "12345"}), {}, limits).status, test::IsOk());
  EXPECT_THAT(Decode(Build({"12345", "123456"}), {}, limits).status,
              test::StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("12 bytes")));
}

// Random streams of sentences, damage and non-minimal prefixes, cut at random places.
TEST(SentenceDecoderTest, GivesTheSameSentencesHoweverTheBytesAreCut) {
  base::SeededRandom random(20261122);
  for (int round = 0; round < 400; ++round) {
    std::string bytes;
    for (std::uint64_t n = random.Next() % 12; n > 0; --n) {
      Words words;
      for (std::uint64_t w = random.Next() % 6; w > 0; --w) {
        words.emplace_back(1 + random.Next() % (random.Next() % 8 == 0 ? 9000 : 30), 'q');
      }
      bytes += Build(words);
    }
    if (round % 3 == 0 && !bytes.empty()) {
      bytes[random.Next() % bytes.size()] = static_cast<char>(random.Next());
    }
    std::vector<std::size_t> pieces;
    for (std::size_t sum = 0; sum < bytes.size();) {
      pieces.push_back(1 + random.Next() % (round % 2 == 0 ? 3 : 5000));
      sum += pieces.back();
    }
    const Decoded whole = Decode(bytes);
    const Decoded cut = Decode(bytes, pieces);
    ASSERT_EQ(whole.sentences, cut.sentences) << "round " << round;
    ASSERT_EQ(whole.status, cut.status) << "round " << round;
    ASSERT_EQ(whole.partial_bytes, cut.partial_bytes) << "round " << round;
  }
}

}  // namespace
}  // namespace netsentinel::routeros
