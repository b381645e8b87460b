#pragma once

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"

namespace netsentinel::test {

// Expects `actual` to be what the file tests/golden/<name> holds. The folder comes from the
// compile definition NS_GOLDEN_DIR; NS_UPDATE_GOLDEN=1 in the environment rewrites the file, and
// the difference is then for review.
inline void ExpectGolden(const std::string& actual, const std::string& name) {
  const std::string path = std::string(NS_GOLDEN_DIR) + "/" + name;
  if (std::getenv("NS_UPDATE_GOLDEN") != nullptr) {
    std::ofstream(path, std::ios::binary) << actual;
    return;
  }
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file.good()) << path << " cannot be read";
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(actual, expected) << "differs from " << path
                              << "; run with NS_UPDATE_GOLDEN=1 when the change is meant";
}

}  // namespace netsentinel::test
