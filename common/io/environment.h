#pragma once

#include <optional>
#include <string>

namespace netsentinel::io {

// The value of an environment variable of this process.
std::optional<std::string> GetEnvironment(const std::string& name);

// Sets one. Only while the process has one thread: other threads may be reading the environment.
void SetEnvironment(const std::string& name, const std::string& value);

}  // namespace netsentinel::io
