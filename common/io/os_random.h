#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/random.h"

namespace netsentinel::io {

// The kernel's generator (getrandom), fit for keys and identifiers. Thread-safe.
class OsRandom final : public base::RandomSource {
 public:
  std::uint64_t Next() override;
  // `count` random bytes.
  std::string Bytes(std::size_t count);
};

}  // namespace netsentinel::io
