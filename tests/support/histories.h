#pragma once

namespace netsentinel::test {

#if defined(__SANITIZE_THREAD__)
inline constexpr bool kUnderThreadSanitizer = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool kUnderThreadSanitizer = true;
#else
inline constexpr bool kUnderThreadSanitizer = false;
#endif
#else
inline constexpr bool kUnderThreadSanitizer = false;
#endif

// How many of `all` random histories a test of one thread runs, and how much of what it expects of
// all of them it then expects: everything, in every build but one. ThreadSanitizer makes them many
// times as long and has no second thread to look at there, so it gets one in fifteen.
template <typename Count>
constexpr Count Histories(Count all) {
  return kUnderThreadSanitizer ? (all + 14) / 15 : all;
}

}  // namespace netsentinel::test
