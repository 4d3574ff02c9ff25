# Language level, warnings, sanitizers, compiler cache: the same for every target.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

# RelWithDebInfo is what ships: optimised, with symbols, without debug checks.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
# All symbols are resolved at start, and the tables of their addresses are read-only from then on.
set(CMAKE_EXE_LINKER_FLAGS_RELWITHDEBINFO "-Wl,-z,relro,-z,now")
# -O1: mbuf-heavy tests at -O0 take minutes.
set(CMAKE_CXX_FLAGS_DEBUG "-O1 -g")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")

set(SLUICE_SANITIZE "" CACHE STRING "Sanitizers for all targets, such as address,undefined or thread")
option(SLUICE_FUZZ "Build the fuzzers too (clang only)" OFF)
option(SLUICE_COVERAGE "Count executed lines (clang only, see tools/coverage)" OFF)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  # Without the sloppiness, ccache passes over whatever uses a precompiled header. Depend mode spares what is not in the
  # cache a run of the preprocessor. With the rest, clones share the cache.
  set(launcher ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
    CCACHE_NOHASHDIR=true CCACHE_DEPEND=true ${CCACHE_PROGRAM})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:SHELL:-Xclang -fno-pch-timestamp>")
  endif()
  set(CMAKE_C_COMPILER_LAUNCHER ${launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${launcher})
endif()

if(SLUICE_SANITIZE)
  add_compile_options(-fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${SLUICE_SANITIZE})
  # Compiling is what takes the time of sanitized tests: without optimisation and with line numbers only it takes a
  # quarter of it, by clang half of what it takes by g++.
  # ThreadSanitizer is g++'s: clang's does not take DPDK's reads of volatile indices for what they are. g++ is wrong about
  # the bounds in functions that it did not optimise.
  add_compile_options(-O0 -g1)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    add_compile_options(-Wno-array-bounds -Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread)
  endif()
  add_link_options($<$<CXX_COMPILER_ID:Clang>:-fuse-ld=lld>)
endif()
# What fuzzers run is made for many runs, with a count of each branch taken.
set(SLUICE_FUZZED_OPTIONS "")
if(SLUICE_FUZZ)
  set(SLUICE_FUZZED_OPTIONS -O1 -fsanitize=fuzzer-no-link)
endif()
if(SLUICE_COVERAGE)
  add_compile_options(-fprofile-instr-generate -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

# Every target of ours links this; generated code (protobuf) does not.
add_library(sluice_warnings INTERFACE)
target_compile_options(sluice_warnings INTERFACE
  -Wall -Wextra -Wshadow -Werror $<$<COMPILE_LANGUAGE:CXX>:-Wconversion>)
