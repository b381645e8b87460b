#include "common/base/secret_mask.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::base {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const char kSecret[] = "n3tS3nt1nel-!";

SecretMask Mask(const std::string& secret = kSecret) { return SecretMask(Secret(secret)); }

std::string Each(const char* format_of_byte, const char* between) {
  std::vector<std::string> bytes;
  for (const char c : std::string(kSecret)) {
    char text[16];
    std::snprintf(text, sizeof(text), format_of_byte, static_cast<unsigned char>(c));
    bytes.emplace_back(text);
  }
  return absl::StrJoin(bytes, between);
}

std::string Wide(bool big_endian) {
  std::string wide;
  for (const char c : std::string(kSecret)) {
    if (big_endian) wide.push_back('\0');
    wide.push_back(c);
    if (!big_endian) wide.push_back('\0');
  }
  return wide;
}

TEST(SecretMaskTest, TakesThePlainSecretOutAndLeavesTheRest) {
  EXPECT_EQ(Mask().Masked("denied, password was n3tS3nt1nel-!, go away"),
            "denied, password was [password], go away");
  EXPECT_EQ(Mask().Masked("N3TS3NT1NEL-! n3ts3nt1nel-!"), "[password] [password]");
  EXPECT_EQ(Mask().Masked("invalid user name or password (6)"),
            "invalid user name or password (6)");
  EXPECT_EQ(Mask().Masked(""), "");
  EXPECT_EQ(Mask().Masked("\x01 n3tS3nt1nel-! \x02"), "\x01 [password] \x02");
}

struct Dress {
  const char* name;
  std::string text;
  int words = 1;
};

class DressTest : public testing::TestWithParam<Dress> {};
TEST_P(DressTest, NeverShowsTheSecretInDisguise) {
  const std::string text = absl::StrCat("user ns with ", GetParam().text, " refused");
  EXPECT_TRUE(Mask().Finds(text));
  const std::string masked = Mask().Masked(text);
  EXPECT_THAT(masked, Not(HasSubstr(GetParam().text)));
  EXPECT_EQ(masked, GetParam().words == 1 ? "user ns with [password] refused"
                                          : "[text withheld: it held the password]");
}
INSTANTIATE_TEST_SUITE_P(
    Dresses, DressTest,
    testing::Values(
        Dress{"Hex", Each("%02x", "")}, Dress{"HexUpper", Each("%02X", "")},
        Dress{"HexWithColons", Each("%02X", ":")}, Dress{"HexWithSpaces", Each("%02x", " "), 13},
        Dress{"CArray", Each("0x%02x", ", "), 13}, Dress{"EscapedHex", Each("\\x%02x", "")},
        Dress{"RouterOsEscapes", Each("\\%02X", "")}, Dress{"Unicode", Each("\\u00%02x", "")},
        Dress{"Percent", Each("%%%02x", "")}, Dress{"QuotedPrintable", Each("=%02X", "")},
        Dress{"Entities", Each("&#x%02x;", "")}, Dress{"Decimal", Each("%u", ",")},
        Dress{"DecimalEntities", Each("&#%u;", "")},
        Dress{"OnlyThePunctuation", "n3tS3nt1nel%2D%21"},
        Dress{"Base64", absl::Base64Escape(kSecret)},
        Dress{"Base64OfUserAndPassword", absl::Base64Escape(absl::StrCat("ns:", kSecret))},
        Dress{"Base64OfPlain", absl::Base64Escape(absl::StrCat(std::string("\0u\0", 3), kSecret))},
        Dress{"Base64ThenMore", absl::Base64Escape(absl::StrCat("x:", kSecret, ":y"))},
        Dress{"Base64Url", absl::WebSafeBase64Escape(absl::StrCat("\xFB\xEF\xBE", kSecret))},
        Dress{"Base64InLines", absl::Base64Escape(kSecret).insert(8, "\r\n")},
        Dress{"Utf16Le", Wide(false)}, Dress{"Utf16Be", Wide(true)},
        Dress{"Spaced", "n 3 t S 3 n t 1 n e l - !", 13}, Dress{"Quoted", "\"n3tS3nt1nel\\-\\!\""},
        Dress{"Backwards", "!-len1tn3St3n"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(SecretMaskTest, LeavesTheWordsBesideADisguisedSecret) {
  const std::string encoded = absl::Base64Escape(kSecret);
  EXPECT_EQ(Mask().Masked(absl::StrCat("550 5.1.1 <", encoded, ">: no such user")),
            "550 5.1.1 [password] no such user");
  EXPECT_EQ(Mask().Masked(absl::StrCat(encoded, " or ", kSecret, " or ", Each("%02x", ""))),
            "[password] or [password] or [password]");
  // Once whole, once over two words: no word may be left of it.
  EXPECT_EQ(Mask().Masked(absl::StrCat(encoded, " n3tS 3nt1nel-!")),
            "[text withheld: it held the password]");
}

TEST(SecretMaskTest, HidesANameOnlyWhereItIsEncoded) {
  SecretMask mask = Mask();
  mask.AddName("alerts");
  EXPECT_EQ(mask.Masked("550 5.1.1 <alerts@b.example>: User unknown"),
            "550 5.1.1 <alerts@b.example>: User unknown");
  EXPECT_EQ(mask.Masked("334 AGFsZXJ0cwB3cm9uZw=="), "334 [password]");
  EXPECT_EQ(mask.Masked("hex 616c65727473"), "hex [password]");
  EXPECT_TRUE(mask.Finds("AGFsZXJ0cwB3cm9uZw=="));
  EXPECT_FALSE(mask.Finds("alerts"));
  SecretMask of_name_only;
  of_name_only.AddName("alerts@example.net");
  of_name_only.AddName("ns");
  EXPECT_FALSE(of_name_only.masks_names());
  EXPECT_EQ(of_name_only.Masked("bnM= is ns"), "bnM= is ns");
}

TEST(SecretMaskTest, KnowsOtherSecretsToo) {
  SecretMask mask = Mask();
  mask.Add("73336372657400ff");
  EXPECT_EQ(mask.Masked("response 73336372657400FF is wrong"), "response [password] is wrong");
  mask.Add("");
  EXPECT_EQ(mask.Masked("nothing"), "nothing");
}

TEST(SecretMaskTest, LeavesOrdinaryWordsAloneWhenTheSecretIsShort) {
  EXPECT_EQ(Mask("pw").Masked("wrong user name or wp (7077)"), "wrong user name or wp (7077)");
  EXPECT_EQ(Mask("pw").Masked("the pw is pw"), "the [password] is [password]");
  EXPECT_FALSE(Mask("pw").masks_names());
  EXPECT_TRUE(Mask().masks_names());
}

TEST(SecretMaskTest, ItsOwnWordsAreNoSecret) {
  EXPECT_EQ(Mask("password").Masked("bad password"), "bad [password]");
  EXPECT_EQ(Mask("word").Masked("a word"), "a [password]");
}

TEST(SecretMaskTest, WithoutASecretEveryTextPasses) {
  EXPECT_EQ(SecretMask().Masked("x"), "x");
  EXPECT_EQ(Mask("").Masked("x"), "x");
  EXPECT_FALSE(SecretMask().Finds("x"));
  EXPECT_FALSE(SecretMask().masks_names());
}

TEST(SecretMaskTest, IsEqualToAMaskOfTheSameSecretsOnly) {
  EXPECT_TRUE(Mask() == Mask());
  EXPECT_FALSE(Mask() == Mask("other"));
  EXPECT_FALSE(Mask() == SecretMask());
}

}  // namespace
}  // namespace netsentinel::base
