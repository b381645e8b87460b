#pragma once

#include <cstdint>
#include <initializer_list>

#include "absl/strings/string_view.h"

namespace netsentinel::delivery {

// A CRC-32C of a stored row's fields that never change, so that a flipped bit on the disk is
// noticed before a mail with another text, or to another address, goes out. The order of the fields
// counts. Pure.
std::uint32_t RowChecksum(std::initializer_list<absl::string_view> texts,
                          std::initializer_list<std::int64_t> numbers);

}  // namespace netsentinel::delivery
