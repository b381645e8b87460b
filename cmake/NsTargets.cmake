# The only functions that create targets. A folder is a target is a namespace:
#   ns_library(accounting SOURCES menu_state.cc DEPS NetSentinel::counters absl::time)
# makes `ns_accounting` with the alias `NetSentinel::accounting`; DEPS name aliases only.
# `kind` is one of cmake/pch. A target with other settings than the header was compiled with builds
# as if there were none.
function(_ns_use_precompiled_headers target kind)
  if(NS_PCH)
    target_precompile_headers(${target} REUSE_FROM ns_pch_${kind})
  endif()
endfunction()

function(_ns_finish target)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    set(pch base)
    foreach(dep ${ARG_DEPS} ${ARG_PRIVATE_DEPS})
      if(dep MATCHES "^(NetSentinel::proto|gRPC::)")
        set(pch grpc_base)
      endif()
    endforeach()
    _ns_use_precompiled_headers(${target} ${pch})
  endif()
  get_target_property(kind ${target} TYPE)
  if(kind STREQUAL "INTERFACE_LIBRARY")
    target_link_libraries(${target} INTERFACE ${ARG_DEPS})
    target_include_directories(${target} INTERFACE "${CMAKE_SOURCE_DIR}")
  elseif(kind STREQUAL "EXECUTABLE")
    target_link_libraries(${target} PRIVATE ns_options ${ARG_DEPS} ${ARG_PRIVATE_DEPS})
  else()
    target_link_libraries(${target} PUBLIC ${ARG_DEPS} PRIVATE ns_options ${ARG_PRIVATE_DEPS})
    target_include_directories(${target} PUBLIC "${CMAKE_SOURCE_DIR}")
  endif()
endfunction()

function(ns_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  if(ARG_SOURCES)
    add_library(ns_${name} STATIC ${ARG_SOURCES})
  else()
    add_library(ns_${name} INTERFACE)
  endif()
  add_library(NetSentinel::${name} ALIAS ns_${name})
  _ns_finish(ns_${name} ${ARGN})
endfunction()

function(ns_program name)
  cmake_parse_arguments(ARG "TEST_ONLY" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  _ns_finish(${name} ${ARGN})
  if(ARG_TEST_ONLY)
    return()
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION bin COMPONENT ${name})
endfunction()

# What the sanitizer and fuzz presets build instead of everything.
add_custom_target(ns_unit_and_contract)
add_custom_target(ns_fuzzers)

# ns_test(accounting_test LABELS unit SOURCES … DEPS …): one executable, its cases found by CTest.
function(ns_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ns_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  _ns_use_precompiled_headers(${name} test)
  if(NS_UNITY_TESTS)
    set_target_properties(${name} PROPERTIES UNITY_BUILD ON)
  endif()
  if(NOT NS_SANITIZE AND CMAKE_BUILD_TYPE STREQUAL "Release")
    # What is tested is compiled as it is shipped; the test itself need not be fast. At -Og gcc 12
    # takes the moving of a long std::string for a write beyond its end, and a reference's default
    # for uninitialized.
    target_compile_options(${name} PRIVATE -Og)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      target_compile_options(${name} PRIVATE -Wno-array-bounds -Wno-stringop-overread
        -Wno-maybe-uninitialized)
    endif()
  endif()
  if("unit" IN_LIST ARG_LABELS OR "contract" IN_LIST ARG_LABELS)
    add_dependencies(ns_unit_and_contract ${name})
  endif()
  # One CTest entry an executable: hundreds of process starts cost more than the tests themselves.
  add_test(NAME ${name} COMMAND ${name})
  # The longer a test may take, the earlier it begins: at the end no core waits for one of them.
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    COST ${ARG_TIMEOUT})
  if(ARG_ENVIRONMENT)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "${ARG_ENVIRONMENT}")
  endif()
endfunction()

# ns_planted_race(rpc_planted_race SOURCE planted_race.cc DEPS … RACES handlers reader): a program that
# races on purpose, in the `tsan` preset alone. Each of RACES, its one argument, is a test; it passes
# only when ThreadSanitizer reports a data race in SOURCE.
function(ns_planted_race name)
  cmake_parse_arguments(ARG "" "SOURCE" "DEPS;RACES" ${ARGN})
  if(NOT NS_SANITIZE STREQUAL "thread")
    return()
  endif()
  ns_program(${name} TEST_ONLY SOURCES ${ARG_SOURCE} DEPS ${ARG_DEPS})
  add_dependencies(ns_unit_and_contract ${name})
  foreach(race ${ARG_RACES})
    add_test(NAME ${name}_${race} COMMAND ${name} ${race})
    set_tests_properties(${name}_${race} PROPERTIES LABELS unit TIMEOUT 60
      PASS_REGULAR_EXPRESSION "SUMMARY: ThreadSanitizer: data race [^ ]*/${ARG_SOURCE}:")
  endforeach()
endfunction()

# ns_script_test(name LABELS … COMMAND …): a test that is a script or a program of another kind.
function(ns_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  # Nothing of it is instrumented: the sanitizer presets leave out what has the label `script`.
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS};script" TIMEOUT ${ARG_TIMEOUT}
    COST ${ARG_TIMEOUT} ENVIRONMENT "NS_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};${ARG_ENVIRONMENT}")
endfunction()

# ns_fuzz(fuzz_frame SOURCES fuzz_frame.cc DEPS NetSentinel::ingest_core
#         [RUNS 100000] [SECONDS 20] [MAX_LEN 4096] [COST 20])
# A libFuzzer target; only the `fuzz` preset (clang, pure code) builds it, elsewhere nothing happens.
# Two tests with the label `fuzz`:
#   fuzz_frame          at least RUNS executions and at least SECONDS seconds, with a fixed seed,
#                       from the seeds in tests/fuzz/corpus/fuzz_frame (must not be empty)
#   fuzz_frame_planted  the same sources built with NS_FUZZ_PLANTED_BUG: passes only if the fuzzer
#                       finds the bug that the source plants, see tests/fuzz/planted_bug.h
# An optional tests/fuzz/corpus/fuzz_frame.dict is used as dictionary. COST is about what the first of
# them takes in seconds: the longest begins first.
function(ns_fuzz name)
  cmake_parse_arguments(ARG "" "RUNS;SECONDS;MAX_LEN;COST" "SOURCES;DEPS" ${ARGN})
  if(NOT NS_SANITIZE MATCHES "fuzzer")
    return()
  endif()
  foreach(default RUNS=100000 SECONDS=20 MAX_LEN=4096)
    string(REPLACE "=" ";" default "${default}")
    list(GET default 0 key)
    list(GET default 1 value)
    if(NOT ARG_${key})
      set(ARG_${key} ${value})
    endif()
  endforeach()
  if(NOT ARG_COST)
    set(ARG_COST ${ARG_SECONDS})
  endif()
  set(corpus "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
  if(NOT IS_DIRECTORY "${corpus}")
    message(FATAL_ERROR "ns_fuzz(${name}): put at least one seed into ${corpus}")
  endif()
  math(EXPR timeout "${ARG_SECONDS} * 6 + 300")
  foreach(variant "" "_planted")
    set(target ${name}${variant})
    add_executable(${target} ${ARG_SOURCES})
    target_link_libraries(${target} PRIVATE ns_options ${ARG_DEPS})
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    _ns_use_precompiled_headers(${target} base)
    add_dependencies(ns_fuzzers ${target})
    set(expect "")
    set(cost ${ARG_COST})
    if(variant)
      target_compile_definitions(${target} PRIVATE NS_FUZZ_PLANTED_BUG)
      set(expect --expect-planted-bug)
      set(cost 1)
    endif()
    add_test(NAME ${target} COMMAND "${CMAKE_SOURCE_DIR}/tests/fuzz/run_fuzz.py" ${expect}
      --runs ${ARG_RUNS} --seconds ${ARG_SECONDS} --max-len ${ARG_MAX_LEN}
      --corpus "${corpus}" --artifacts "${CMAKE_BINARY_DIR}/fuzz-artifacts"
      $<TARGET_FILE:${target}>)
    set_tests_properties(${target} PROPERTIES LABELS fuzz TIMEOUT ${timeout}
      COST ${cost})
  endforeach()
endfunction()

# ns_bench(bench_thing SOURCES … DEPS …): a program for measuring; built with all, run by hand or by
# scripts/bench, never installed.
function(ns_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ns_options ${ARG_DEPS})
endfunction()
