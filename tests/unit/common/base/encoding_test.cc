#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "common/base/varint.h"

namespace netsentinel::base {
namespace {

constexpr std::uint64_t kMaxVarint = std::numeric_limits<std::uint64_t>::max();

TEST(VarintTest, EveryLengthComesBack) {
  std::size_t length = 1;
  for (int bits = 0; bits < 64; ++bits) {
    for (const std::uint64_t value : {std::uint64_t{1} << bits, (std::uint64_t{1} << bits) - 1}) {
      std::string bytes;
      AppendVarint(bytes, value);
      ByteReader in(bytes);
      EXPECT_EQ(in.Varint(), value);
      EXPECT_TRUE(in.done());
      length = std::max(length, bytes.size());
    }
  }
  std::string bytes;
  AppendVarint(bytes, kMaxVarint);
  EXPECT_EQ(bytes, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01");
  EXPECT_EQ(length, 10U);
}

TEST(VarintTest, WhatIsCutShortOrTooLongIsNothingFromThenOn) {
  for (const std::string& bytes :
       {std::string(), std::string("\x80"), std::string(10, '\x80') + '\x01',
        std::string(9, '\xFF') + '\x02'}) {
    ByteReader in(bytes);
    EXPECT_EQ(in.Varint(), std::nullopt);
    EXPECT_TRUE(in.failed());
    EXPECT_FALSE(in.done());
    EXPECT_EQ(in.Bytes(), std::nullopt);
    EXPECT_EQ(in.remaining(), 0U);
  }
}

TEST(VarintTest, ALengthBeyondTheEndIsNothing) {
  std::string bytes;
  AppendBytes(bytes, "abc");
  ByteReader whole(bytes);
  EXPECT_EQ(whole.Bytes(), "abc");
  EXPECT_TRUE(whole.done());
  bytes.pop_back();
  ByteReader cut(bytes);
  EXPECT_EQ(cut.Bytes(), std::nullopt);
  std::string huge;
  AppendVarint(huge, kMaxVarint);
  ByteReader far(huge);
  EXPECT_EQ(far.Bytes(), std::nullopt);
}

TEST(VarintTest, SmallNumbersOfEitherSignStayShort) {
  EXPECT_EQ(ZigZag(0), 0U);
  EXPECT_EQ(ZigZag(-1), 1U);
  EXPECT_EQ(ZigZag(1), 2U);
  for (const std::int64_t value : {std::numeric_limits<std::int64_t>::min(), std::int64_t{-5},
                                   std::numeric_limits<std::int64_t>::max()}) {
    EXPECT_EQ(UnZigZag(ZigZag(value)), value);
  }
}

TEST(VarintTest, DifferencesWrapAndComeBack) {
  const std::vector<std::uint64_t> values = {
      0, 1, 1'000'000, kMaxVarint / 2, kMaxVarint / 2 + 1, kMaxVarint};
  for (const std::uint64_t before : values) {
    for (const std::uint64_t now : values) {
      EXPECT_EQ(ApplyDifference(before, EncodeDifference(before, now)), now);
    }
  }
}

// RFC 3720 appendix B.4.
TEST(Crc32cTest, ThePublishedVectors) {
  EXPECT_EQ(Crc32c(""), 0U);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  std::string up;
  std::string down;
  for (int i = 0; i < 32; ++i) {
    up.push_back(static_cast<char>(i));
    down.push_back(static_cast<char>(31 - i));
  }
  EXPECT_EQ(Crc32c(up), 0x46DD794EU);
  EXPECT_EQ(Crc32c(down), 0x113FDB5CU);
}

TEST(Crc32cTest, ASealedTextOpensAndADamagedOrShortOneDoesNot) {
  std::string sealed = "123456789";
  AppendCrc32c(sealed);
  EXPECT_EQ(sealed.substr(9), "\x83\x92\x06\xE3");
  EXPECT_EQ(WithoutCrc32c(sealed), "123456789");
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    std::string damaged = sealed;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_EQ(WithoutCrc32c(damaged), std::nullopt) << i;
  }
  EXPECT_EQ(WithoutCrc32c("abc"), std::nullopt);
  EXPECT_EQ(WithoutCrc32c(std::string(4, '\0')), "");
}

// Eight bytes at a time or one: every length against the definition, bit by bit.
TEST(Crc32cTest, EveryLengthAgreesWithTheDefinition) {
  std::string bytes;
  for (int length = 0; length < 40; ++length) {
    std::uint32_t crc = 0xFFFFFFFFU;
    for (const char c : bytes) {
      crc ^= static_cast<std::uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82F63B78U : 0U);
    }
    EXPECT_EQ(Crc32c(bytes), ~crc) << length;
    bytes.push_back(static_cast<char>(length * 37 + 11));
  }
}

}  // namespace
}  // namespace netsentinel::base
