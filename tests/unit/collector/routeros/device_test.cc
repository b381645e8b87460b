#include "collector/routeros/device.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "collector/routeros/router_error.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::routeros {
namespace {

using ::testing::HasSubstr;
using RowView = std::vector<absl::string_view>;

TEST(DeviceTest, ReadsTheResourceRow) {
  const RowView row = {".tag=3", "=uptime=1w2d3h4m5s", "=version=7.18.2 (stable)",
                       "=board-name=CCR1016-12S-1S+", "=architecture-name=tile"};
  ASSERT_OK_AND_ASSIGN(const Resource resource, ReadResource(row));
  EXPECT_EQ(resource, (Resource{.uptime_s = 788645,
                                .version = "7.18.2 (stable)",
                                .board_name = "CCR1016-12S-1S+",
                                .architecture = "tile"}));
}

TEST(DeviceTest, RefusesAResourceRowWithoutUptime) {
  const RowView row = {"=version=7.18.2 (stable)"};
  EXPECT_THAT(ReadResource(row),
              test::StatusIs(absl::StatusCode::kAborted, HasSubstr("no uptime")));
}

TEST(DeviceTest, RefusesAnUptimeThatIsNoDuration) {
  const RowView row = {"=uptime=soon\x01"};
  const absl::Status status = ReadUptime(row).status();
  EXPECT_THAT(status, test::StatusIs(absl::StatusCode::kAborted, HasSubstr("soon\\x01")));
  EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply);
}

TEST(DeviceTest, CutsAnUptimeToWholeSeconds) {
  const RowView row = {"=uptime=00:00:09.999"};
  ASSERT_OK_AND_ASSIGN(const std::uint64_t uptime, ReadUptime(row));
  EXPECT_EQ(uptime, 9u);
}

TEST(DeviceTest, ReadsTheIdentityAsRawBytes) {
  const RowView row = {"=name=core=\xE9"};
  EXPECT_EQ(ReadIdentity(row), "core=\xE9");
  EXPECT_EQ(ReadIdentity(RowView{}), "");
}

TEST(DeviceTest, ReadsTheSerialNumberOfARouterboardOnly) {
  EXPECT_EQ(ReadSerialNumber(RowView{"=routerboard=yes", "=serial-number=HB10"}).value(), "HB10");
  EXPECT_EQ(ReadSerialNumber(RowView{"=serial-number=HB10"}).value(), "HB10");
  EXPECT_EQ(ReadSerialNumber(RowView{"=routerboard=false", "=serial-number=HB10"}).value(), "");
  EXPECT_EQ(ReadSerialNumber(RowView{"=routerboard=no"}).value(), "");
}

TEST(DeviceTest, SaysThatABoardShowsNoSerialNumber) {
  for (const RowView& row :
       {RowView{"=routerboard=true"}, RowView{"=routerboard=yes", "=serial-number="},
        RowView{"=model=RB4011"}, RowView{}}) {
    EXPECT_EQ(ReadSerialNumber(row), std::nullopt);
  }
}

TEST(DeviceTest, PrefersTheSystemIdToTheSoftwareId) {
  EXPECT_EQ(ReadSystemId(RowView{"=software-id=AB12", "=system-id=/+xyz="}), "/+xyz=");
  EXPECT_EQ(ReadSystemId(RowView{"=software-id=AB12", "=system-id="}), "AB12");
  EXPECT_EQ(ReadSystemId(RowView{"=level=free"}), "");
}

// They travel as text and are keys: one byte of another encoding must not spoil a whole message.
TEST(DeviceTest, EscapesTextsThatAreNotUtf8) {
  EXPECT_EQ(ReadSerialNumber(RowView{"=serial-number=HB\xFF"}).value(), "HB\\xFF");
  EXPECT_EQ(ReadSystemId(RowView{"=system-id=\xC3\x28"}), "\\xC3(");
  EXPECT_EQ(ReadSystemId(RowView{"=software-id=a\xE9"}), "a\\xE9");
  const RowView row = {"=uptime=1s", "=version=7.\xFF", "=board-name=CC\xFF",
                       "=architecture-name=\xFFt"};
  EXPECT_EQ(
      ReadResource(row).value(),
      (Resource{
          .uptime_s = 1, .version = "7.\\xFF", .board_name = "CC\\xFF", .architecture = "\\xFFt"}));
}

TEST(DeviceTest, ShortensLongTexts) {
  const std::string serial = "=serial-number=" + std::string(60'000, '\xFF');
  EXPECT_LE(ReadSerialNumber(RowView{serial}).value().size(), 256U);
  const std::string name = "=name=" + std::string(257, 'n');
  EXPECT_EQ(ReadIdentity(RowView{name}).size(), 256U);
}

TEST(DeviceTest, RefusesAnUptimeOfMoreThanAHundredYears) {
  EXPECT_EQ(ReadUptime(RowView{"=uptime=36525d"}).value(), 36'525U * 86'400U);
  const absl::Status status = ReadUptime(RowView{"=uptime=36525d1s"}).status();
  EXPECT_EQ(RouterErrorOf(status), RouterError::kIncompleteReply);
  EXPECT_THAT(std::string(status.message()), HasSubstr("36525d1s"));
}

counters::DeviceIdentity Device(const char* serial_number, const char* system_id,
                                const char* board_name) {
  counters::DeviceIdentity device;
  device.serial_number = serial_number;
  device.system_id = system_id;
  device.board_name = board_name;
  return device;
}

struct SameDeviceCase {
  const char* name;
  counters::DeviceIdentity known;
  counters::DeviceIdentity now;
  bool same;
};
class SameDeviceTest : public testing::TestWithParam<SameDeviceCase> {};
TEST_P(SameDeviceTest, AsksAgainWhenOnlyTheIdIsGone) {
  const absl::Status status = CheckSameDevice(GetParam().known, GetParam().now);
  EXPECT_EQ(RouterErrorOf(status),
            GetParam().same ? std::nullopt : std::optional(RouterError::kIncompleteReply));
}
INSTANTIATE_TEST_SUITE_P(
    Table, SameDeviceTest,
    testing::Values(
        SameDeviceCase{"First", {}, Device("S", "", "B"), true},
        SameDeviceCase{"FirstWithout", {}, Device("", "", "B"), true},
        SameDeviceCase{"Same", Device("S", "", "B"), Device("S", "", "B"), true},
        SameDeviceCase{"Replaced", Device("S", "", "B"), Device("T", "", "B"), true},
        SameDeviceCase{"NoSerial", Device("S", "", "B"), Device("", "", "B"), false},
        SameDeviceCase{"LicenseInstead", Device("S", "", "B"), Device("", "L", "B"), false},
        SameDeviceCase{"OtherBoard", Device("S", "", "B"), Device("", "L", "CHR"), true},
        SameDeviceCase{"NewLicense", Device("", "L", "CHR"), Device("", "M", "CHR"), true},
        SameDeviceCase{"NoLicense", Device("", "L", "CHR"), Device("", "", "CHR"), false},
        SameDeviceCase{"SerialLearned", Device("", "L", "B"), Device("S", "", "B"), true}),
    [](const auto& test) { return std::string(test.param.name); });

struct TrapCase {
  const char* message;
  RouterError error;
};
class ClassifyTrapTest : public testing::TestWithParam<TrapCase> {};
TEST_P(ClassifyTrapTest, DecidesByALowercaseSubstring) {
  EXPECT_EQ(ClassifyTrap(GetParam().message), GetParam().error);
}
INSTANTIATE_TEST_SUITE_P(
    Table, ClassifyTrapTest,
    testing::Values(
        TrapCase{"cannot log in", RouterError::kLoginRefused},
        TrapCase{"invalid user name or password (6)", RouterError::kLoginRefused},
        TrapCase{"Not enough permissions (9)", RouterError::kPolicyMissing},
        TrapCase{"std failure: not enough permissions (9)", RouterError::kPolicyMissing},
        TrapCase{"not enough privileges", RouterError::kPolicyMissing},
        TrapCase{"no such command prefix", RouterError::kMenuAbsent},
        TrapCase{"no such command or directory (routerboard)", RouterError::kMenuAbsent},
        TrapCase{"no such command", RouterError::kMenuAbsent},
        TrapCase{"no such item (4)", RouterError::kRefused},
        TrapCase{"action failed (6)", RouterError::kRefused},
        TrapCase{"interrupted", RouterError::kRefused}, TrapCase{"", RouterError::kRefused}));

class RouterErrorTest : public testing::TestWithParam<RouterError> {};
TEST_P(RouterErrorTest, IsFoundAgainInItsStatus) {
  const absl::Status status = RouterStatus(GetParam(), "why");
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(RouterErrorOf(status), GetParam());
  EXPECT_NE(RouterErrorName(GetParam()), "unknown");
}
INSTANTIATE_TEST_SUITE_P(All, RouterErrorTest,
                         testing::Values(RouterError::kUnreachable, RouterError::kLoginRefused,
                                         RouterError::kPolicyMissing, RouterError::kTlsRefused,
                                         RouterError::kMenuAbsent, RouterError::kIncompleteReply,
                                         RouterError::kProtocolError, RouterError::kClosedByRouter,
                                         RouterError::kRefused));

TEST(RouterErrorTest, IsAbsentFromOtherStatuses) {
  EXPECT_EQ(RouterErrorOf(absl::OkStatus()), std::nullopt);
  EXPECT_EQ(RouterErrorOf(absl::UnavailableError("x")), std::nullopt);
}

}  // namespace
}  // namespace netsentinel::routeros
