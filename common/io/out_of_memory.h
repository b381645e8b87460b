#pragma once

namespace netsentinel::io {

// From now on a process that is given no more memory says so in one sentence on stderr and exits
// with 1, at once and without its destructors: nothing that was promised depends on them. Call it
// once, before any thread exists. `program` must outlive the process.
void ExitWhenOutOfMemory(const char* program);

}  // namespace netsentinel::io
