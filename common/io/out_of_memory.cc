#include "common/io/out_of_memory.h"

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>

#include <unistd.h>

namespace netsentinel::io {
namespace {

constexpr char kSentence[] =
    ": out of memory: the kernel or a limit of this process gave no more; what was acknowledged is "
    "safe. Give it more memory, or see docs/operations.md for what takes how much.\n";

const char* program_name = "netsentinel";
std::terminate_handler terminate_before = nullptr;

// Allocates nothing.
void Say(const char* text) {
  std::size_t left = std::strlen(text);
  while (left > 0) {
    const ssize_t put = ::write(STDERR_FILENO, text, left);
    if (put <= 0) return;
    text += put;
    left -= static_cast<std::size_t>(put);
  }
}

[[noreturn]] void Exit() {
  Say(program_name);
  Say(kSentence);
  ::_exit(1);
}

// A size that no allocator takes is thrown without the handler of `new` being asked.
[[noreturn]] void Terminate() {
  if (const std::exception_ptr thrown = std::current_exception(); thrown != nullptr) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::bad_alloc&) {
      Exit();
    } catch (...) {
    }
  }
  if (terminate_before != nullptr) terminate_before();
  std::abort();
}

}  // namespace

void ExitWhenOutOfMemory(const char* program) {
  program_name = program;
  std::set_new_handler(&Exit);
  terminate_before = std::set_terminate(&Terminate);
}

}  // namespace netsentinel::io
