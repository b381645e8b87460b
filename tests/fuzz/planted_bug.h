#pragma once

#include <cstdio>
#include <cstdlib>

// The test of the fuzzer: each target ends a path that lies behind the parser with
//   NS_PLANT_BUG_IF(name == "x" && upload > download);
// which is nothing in the real target, and an abort in the `_planted` build. That build's test
// passes only if the fuzzer finds a way there; so choose a condition that no seed meets, that needs
// well-formed input, and that a few thousand mutations of a seed can reach.
#ifdef NS_FUZZ_PLANTED_BUG
#define NS_PLANT_BUG_IF(condition)                 \
  do {                                             \
    if (condition) {                               \
      std::fputs("planted bug reached\n", stderr); \
      std::abort();                                \
    }                                              \
  } while (false)
#else
#define NS_PLANT_BUG_IF(condition) \
  do {                             \
  } while (false)
#endif
