#include "common/io/os_random.h"

#include <cerrno>

#include <sys/random.h>

#include "common/base/check.h"

namespace netsentinel::io {
namespace {

void Fill(void* into, std::size_t count) {
  auto* out = static_cast<unsigned char*>(into);
  while (count > 0) {
    const ssize_t got = getrandom(out, count, 0);
    // Without flags only an interruption can fail: continuing with guessable bytes is no option.
    NS_CHECK(got >= 0 || errno == EINTR, "getrandom");
    if (got < 0) continue;
    out += got;
    count -= static_cast<std::size_t>(got);
  }
}

}  // namespace

std::uint64_t OsRandom::Next() {
  std::uint64_t value = 0;
  Fill(&value, sizeof(value));
  return value;
}

std::string OsRandom::Bytes(std::size_t count) {
  std::string bytes(count, '\0');
  Fill(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace netsentinel::io
