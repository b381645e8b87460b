#include "aggregator/query/wire.h"

#include "gtest/gtest.h"

#include "common/base/display_name.h"

namespace netsentinel::query {
namespace {

TEST(DetailToWireTest, DoesNotEscapeNamesAgain) {
  store::StoredEvent event;
  event.event.detail = "was " + base::DisplayName("caf\xE9\\x");
  EXPECT_EQ(ToWire(event).detail(), "was caf\\xE9\\\\x");
  event.event.detail = "torn \xE9";
  EXPECT_EQ(ToWire(event).detail(), "torn \\xE9");
}

TEST(DeviceToWireTest, DoesNotEscapeTextsAgain) {
  counters::DeviceIdentity device;
  device.serial_number = "HB\\xFF1";
  device.version = "torn \xE9";
  EXPECT_EQ(DeviceToWire(device).serial_number(), "HB\\xFF1");
  EXPECT_EQ(DeviceToWire(device).version(), "torn \\xE9");
}

}  // namespace
}  // namespace netsentinel::query
