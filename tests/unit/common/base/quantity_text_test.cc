#include "common/base/quantity_text.h"

#include <limits>

#include <gtest/gtest.h>

#include "common/base/bytes.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::base {
namespace {

using ::testing::HasSubstr;

TEST(QuantityTextTest, SizesAreExact) {
  EXPECT_EQ(*ParseByteSize("10GiB"), 10ULL << 30);
  EXPECT_EQ(*ParseByteSize("10 GB"), 10'000'000'000ULL);
  EXPECT_EQ(*ParseByteSize("1.5GiB"), 1'610'612'736ULL);
  EXPECT_EQ(*ParseByteSize(" 0B "), 0U);
  EXPECT_EQ(*ParseByteSize("0.1kB"), 100U);
  EXPECT_EQ(*ParseByteSize("9223372036854775807B"), kMaxStoredBytes);
}

TEST(QuantityTextTest, SizesThatAreNoneAreRefusedInWords) {
  const auto refused = [](absl::string_view text, absl::string_view why) {
    EXPECT_THAT(ParseByteSize(text),
                test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(why))))
        << text;
  };
  refused("", "number");
  refused("GiB", "number");
  refused("-1B", "number");
  refused("10", "no unit");
  refused("10gib", "unknown unit");
  refused("10GiBB", "unknown unit");
  refused("1.2.3GB", "unknown unit");
  refused("0.1B", "whole number");
  refused("9223372036854775808B", "2^63-1");
  refused("9000000TiB", "2^63-1");
  refused("123456789012345678901B", "too many digits");
}

TEST(QuantityTextTest, SizesAreWrittenRoundedDown) {
  EXPECT_EQ(FormatByteSize(0), "0 B");
  EXPECT_EQ(FormatByteSize(1023), "1023 B");
  EXPECT_EQ(FormatByteSize(1024), "1.00 KiB");
  EXPECT_EQ(FormatByteSize(1536), "1.50 KiB");
  EXPECT_EQ(FormatByteSize((1ULL << 20) - 1), "1023.99 KiB");
  EXPECT_EQ(FormatByteSize(10ULL << 30), "10.00 GiB");
  EXPECT_EQ(FormatByteSize(std::numeric_limits<std::uint64_t>::max()), "15.99 EiB");
}

TEST(QuantityTextTest, DurationsAddUp) {
  EXPECT_EQ(*ParseDuration("30s"), absl::Seconds(30));
  EXPECT_EQ(*ParseDuration("1h30m"), absl::Minutes(90));
  EXPECT_EQ(*ParseDuration("500ms"), absl::Milliseconds(500));
  EXPECT_EQ(*ParseDuration("14d"), absl::Hours(14 * 24));
  EXPECT_EQ(*ParseDuration("0s"), absl::ZeroDuration());
  for (const char* text : {"", "10", "s", "1.5h", "-1s", "5x", "1h 30m", "1mo"}) {
    EXPECT_THAT(ParseDuration(text), test::StatusIs(absl::StatusCode::kInvalidArgument,
                                                    HasSubstr("expected a duration")))
        << text;
  }
}

TEST(QuantityTextTest, RatesArePowersOfAThousand) {
  EXPECT_EQ(*ParseBitRate("10Gbps"), 10'000'000'000ULL);
  EXPECT_EQ(*ParseBitRate("64kbps"), 64'000U);
  EXPECT_EQ(*ParseBitRate("2.5Gbps"), 2'500'000'000ULL);
  EXPECT_THAT(ParseBitRate("10GiB"),
              test::StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("a rate such as")));
}

}  // namespace
}  // namespace netsentinel::base
