#include "common/counters/snapshot.h"

#include "absl/strings/str_cat.h"

namespace netsentinel::counters {

const char* MenuName(Menu menu) { return menu == Menu::kSimple ? "simple" : "tree"; }

std::string DeviceIdentity::Key() const {
  if (!serial_number.empty()) return absl::StrCat("serial:", serial_number);
  if (!system_id.empty()) return absl::StrCat("system:", system_id);
  return "";
}

}  // namespace netsentinel::counters
