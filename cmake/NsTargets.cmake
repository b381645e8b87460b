# The only functions that create targets. A folder is a target is a namespace:
#   ns_library(accounting SOURCES menu_state.cc DEPS NetSentinel::counters absl::time)
# makes `ns_accounting` with the alias `NetSentinel::accounting`; DEPS name aliases only.
function(_ns_finish target)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
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
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS;PRIVATE_DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  _ns_finish(${name} ${ARGN})
  install(TARGETS ${name} RUNTIME DESTINATION bin COMPONENT ${name})
endfunction()

# ns_test(accounting_test LABELS unit SOURCES … DEPS …): one executable, its cases found by CTest.
function(ns_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPS;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ns_options ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  # One CTest entry an executable: hundreds of process starts cost more than the tests themselves.
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT})
  if(ARG_ENVIRONMENT)
    set_tests_properties(${name} PROPERTIES ENVIRONMENT "${ARG_ENVIRONMENT}")
  endif()
endfunction()

# ns_script_test(name LABELS … COMMAND …): a test that is a script or a program of another kind.
function(ns_script_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "COMMAND;LABELS;ENVIRONMENT" ${ARGN})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${ARG_COMMAND} WORKING_DIRECTORY "${CMAKE_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT ${ARG_TIMEOUT}
    ENVIRONMENT "NS_BIN_DIR=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};${ARG_ENVIRONMENT}")
endfunction()

# ns_bench(bench_thing SOURCES … DEPS …): a program for measuring; built with all, run by hand or by
# scripts/bench, never installed.
function(ns_bench name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ns_options ${ARG_DEPS})
endfunction()
