#include "tools/simulator/wire_writer.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "collector/routeros/word_codec.h"
#include "common/base/random.h"

namespace netsentinel::simulator {
namespace {

struct PrefixCase {
  std::size_t length;
  std::uint32_t at_least;
  const char* hex;
};

class PrefixTest : public testing::TestWithParam<PrefixCase> {};

TEST_P(PrefixTest, IsTheBigEndianFormOfItsSize) {
  std::string out;
  AppendWireWord(out, std::string(GetParam().length, 'x'), GetParam().at_least);
  const std::string prefix = out.substr(0, out.size() - GetParam().length);
  EXPECT_EQ(absl::BytesToHexString(prefix), GetParam().hex);
}

INSTANTIATE_TEST_SUITE_P(
    Forms, PrefixTest,
    testing::Values(PrefixCase{1, 1, "01"}, PrefixCase{0x7F, 1, "7f"}, PrefixCase{0x80, 1, "8080"},
                    PrefixCase{0x87, 1, "8087"}, PrefixCase{0x3FFF, 1, "bfff"},
                    PrefixCase{0x4321, 1, "c04321"}, PrefixCase{0x1FFFFF, 1, "dfffff"},
                    PrefixCase{0x2ACDEF, 1, "e02acdef"}, PrefixCase{5, 2, "8005"},
                    PrefixCase{5, 3, "c00005"}, PrefixCase{5, 4, "e0000005"},
                    PrefixCase{5, 5, "f000000005"}));

std::vector<std::string> Decode(const std::string& bytes) {
  routeros::SentenceDecoder decoder;
  decoder.Feed(bytes);
  std::vector<std::string> words;
  if (decoder.Next() != routeros::SentenceDecoder::Result::kSentence) return words;
  for (const absl::string_view word : decoder.sentence()) words.emplace_back(word);
  return words;
}

TEST(EncodeSentenceTest, PutsTheTagSecondOrLastAndBothHappen) {
  base::SeededRandom random(1);
  bool second = false;
  bool last = false;
  for (int i = 0; i < 100; ++i) {
    const WirePiece piece = EncodeSentence({"!re", "=a=1", "=b=2"}, "t", WireStyle(), random);
    const std::vector<std::string> words = Decode(piece.bytes);
    ASSERT_EQ(words.size(), 4u);
    second = second || words[1] == ".tag=t";
    last = last || words[3] == ".tag=t";
  }
  EXPECT_TRUE(second);
  EXPECT_TRUE(last);
}

TEST(EncodeSentenceTest, TearsLieWithinLongPrefixesAndBehindShortOnes) {
  base::SeededRandom random(1);
  WireStyle style;
  style.split_prefix = true;
  const WirePiece piece = EncodeSentence({"!re", std::string(200, 'x')}, "", style, random);
  EXPECT_EQ(piece.tears, (std::vector<std::uint32_t>{1, 5}));
}

TEST(EncodeReplyTest, FaultsStandWhereTheySayAndEndTheReplyWhenTheyMust) {
  base::SeededRandom random(1);
  Reply reply;
  reply.sentences = {{"!re", "=a=1"}, {"!re", "=a=2"}, {"!done"}};
  reply.faults = {{.kind = FaultKind::kEofMidWord, .after_rows = 1}};
  const std::deque<WirePiece> pieces = EncodeReply(reply, WireStyle(), random);
  ASSERT_EQ(pieces.size(), 2u);
  EXPECT_EQ(Decode(pieces[0].bytes), (std::vector<std::string>{"!re", "=a=1"}));
  EXPECT_EQ(pieces[1].after, After::kClose);
  EXPECT_THAT(Decode(pieces[1].bytes), testing::IsEmpty());
}

TEST(EncodeReplyTest, AFaultBeyondTheEndStrikesBeforeDone) {
  base::SeededRandom random(1);
  Reply reply;
  reply.sentences = {{"!re", "=a=1"}, {"!done"}};
  reply.faults = {{.kind = FaultKind::kStall, .after_rows = 99, .value = 250}};
  const std::deque<WirePiece> pieces = EncodeReply(reply, WireStyle(), random);
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[1].after, After::kStall);
  EXPECT_EQ(pieces[1].stall_ms, 250u);
  EXPECT_EQ(Decode(pieces[2].bytes), (std::vector<std::string>{"!done"}));
}

TEST(EncodeReplyTest, BadPrefixesAreRefusedByADecoder) {
  for (const FaultKind kind : {FaultKind::kControlByte, FaultKind::kGiantLength}) {
    base::SeededRandom random(1);
    Reply reply;
    reply.sentences = {{"!done"}};
    reply.faults = {{.kind = kind}};
    const std::deque<WirePiece> pieces = EncodeReply(reply, WireStyle(), random);
    routeros::SentenceDecoder decoder;
    decoder.Feed(pieces[0].bytes);
    EXPECT_EQ(decoder.Next(), routeros::SentenceDecoder::Result::kError) << FaultName(kind);
  }
}

}  // namespace
}  // namespace netsentinel::simulator
