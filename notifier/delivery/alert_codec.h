#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "notifier/report/model.h"

namespace netsentinel::delivery {

// An alert as the delivery queue keeps it: a version, then its fields as varints and
// length-prefixed bytes.
std::string EncodeAlert(const report::Alert& alert);
// kDataLoss when the bytes are not what EncodeAlert gives.
absl::StatusOr<report::Alert> DecodeAlert(absl::string_view bytes);

}  // namespace netsentinel::delivery
