# Compiler settings that every target of ours shares through `ns_options`.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
# Every library is static and ends in a program, so all of it is compiled as one: functions may be
# inlined across a file, which -fPIC forbids, and all share their precompiled headers.
add_compile_options(-fPIE)
add_link_options(-pie)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
# Checks stay on in every build, so NDEBUG is never defined.
set(CMAKE_CXX_FLAGS_RELEASE "-O2")
if(NS_SANITIZE MATCHES "fuzzer")
  # Compiles in half the time of -O2; an execution takes no longer to notice.
  set(CMAKE_CXX_FLAGS_RELEASE "-O1")
elseif(NS_SANITIZE)
  # Half the compile time of -O2 under a sanitizer, and the tests are still quick.
  set(CMAKE_CXX_FLAGS_RELEASE "-Og")
endif()

set(CMAKE_PCH_WARN_INVALID OFF)
# A header is parsed and a template compiled once for eight files: under a sanitizer a third of the
# work less. `release` joins tests alone, and what gRPC generates: what else ships is compiled file by
# file, so that none needs its neighbours and a program links only what it uses of a library.
# `debug` joins nothing.
set(CMAKE_UNITY_BUILD ${NS_UNITY})
set(CMAKE_UNITY_BUILD_BATCH_SIZE 8)
find_program(NS_CCACHE ccache)
if(NS_CCACHE)
  # What ccache needs to be told before it caches a file that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
    "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros "${NS_CCACHE}")
endif()
find_program(NS_MOLD mold)

add_library(ns_options INTERFACE)
target_compile_options(ns_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wcast-align -Wimplicit-fallthrough
  -fstack-protector-strong -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if((NS_UNITY OR NS_UNITY_TESTS) AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # Asks whether a type of a header hides in one file; here it takes every .cc file for a header.
  target_compile_options(ns_options INTERFACE -Wno-subobject-linkage)
endif()
if(NS_WERROR)
  target_compile_options(ns_options INTERFACE -Werror)
endif()
target_compile_definitions(ns_options INTERFACE _GLIBCXX_ASSERTIONS)
target_include_directories(ns_options INTERFACE "${CMAKE_SOURCE_DIR}")
if(NS_MOLD AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_link_options(ns_options INTERFACE -fuse-ld=mold)
endif()
if(NS_SANITIZE)
  add_compile_options(-fsanitize=${NS_SANITIZE} -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${NS_SANITIZE})
  if(NOT NS_SANITIZE MATCHES "thread")
    add_compile_options(-fno-sanitize-recover=all)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # gcc 12 mistakes Asio's coroutine frames, instrumented, for a mismatch, and instrumented
      # optionals and variants in Boost and Abseil for uninitialized ones.
      target_compile_options(ns_options INTERFACE -Wno-mismatched-new-delete
        -Wno-maybe-uninitialized)
    endif()
  elseif(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(ns_options INTERFACE -Wno-tsan)
  endif()
endif()
