# sluice_library(NAME SOURCES... [DEPS targets...] [KIND dpdk|grpc]): one folder, one target. Includes are written from the
# root of the tree ("dataplane/base/ids.h"). KIND names the foreign headers that most of its sources include.
function(sluice_library name)
  cmake_parse_arguments(ARG "" "KIND" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE sluice_warnings PUBLIC ${ARG_DEPS})
  sluice_unity(${name})
  if(ARG_KIND)
    sluice_precompile(${name} ${ARG_KIND}+pic)
  endif()
endfunction()

# Sources of one target are compiled several at a time: what each costs is mostly the headers, which they share. So names of
# one target's anonymous namespaces are unique. A source still includes all that it uses: preset clang compiles each by itself.
option(SLUICE_UNITY "Compile the sources of a target several at a time" ON)
function(sluice_unity name)
  set_target_properties(${name} PROPERTIES UNITY_BUILD ${SLUICE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
endfunction()

# Most of the time that a source takes to compile goes to foreign headers, so targets of one kind share a precompiled one:
# kind is a name of words joined by '+' (test, dpdk, grpc) and of the form of code (pic for libraries, pie for programs).
# A source still includes all that it uses: preset clang builds without.
set(SLUICE_PRECOMPILED_std
  <algorithm> <array> <atomic> <chrono> <cstdint> <cstring> <filesystem> <fstream> <functional> <map> <memory> <mutex>
  <optional> <random> <set> <span> <sstream> <string> <string_view> <thread> <unordered_map> <utility> <variant> <vector>
  <absl/status/statusor.h> <absl/strings/str_cat.h>)
set(SLUICE_PRECOMPILED_test <gmock/gmock.h> <gtest/gtest.h>)
set(SLUICE_PRECOMPILED_dpdk <rte_ethdev.h> <rte_mbuf.h>)
set(SLUICE_PRECOMPILED_grpc <google/protobuf/message.h> <google/protobuf/util/json_util.h> <grpcpp/grpcpp.h>)
set(SLUICE_PRECOMPILED_LINKS_test GTest::gmock GTest::gtest)
set(SLUICE_PRECOMPILED_LINKS_dpdk PkgConfig::DPDK)
set(SLUICE_PRECOMPILED_LINKS_grpc gRPC::grpc++ protobuf::libprotobuf)
function(sluice_precompile name kind)
  string(REPLACE "+" "_" owner "sluice_precompiled_${kind}")
  if(NOT TARGET ${owner})
    file(WRITE ${CMAKE_BINARY_DIR}/precompiled/empty.cc "int main() {}\n")
    if(kind MATCHES pie)
      add_executable(${owner} EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/precompiled/empty.cc)
    else()
      add_library(${owner} OBJECT EXCLUDE_FROM_ALL ${CMAKE_BINARY_DIR}/precompiled/empty.cc)
    endif()
    target_link_libraries(${owner} PRIVATE sluice_warnings Threads::Threads absl::statusor absl::strings)
    set(headers ${SLUICE_PRECOMPILED_std})
    string(REPLACE "+" ";" parts ${kind})
    foreach(part ${parts})
      list(APPEND headers ${SLUICE_PRECOMPILED_${part}})
      target_link_libraries(${owner} PRIVATE ${SLUICE_PRECOMPILED_LINKS_${part}})
    endforeach()
    if(kind MATCHES test)
      sluice_test_options(${owner})
    endif()
    target_precompile_headers(${owner} PRIVATE ${headers})
  endif()
  target_link_libraries(${name} PRIVATE Threads::Threads)
  target_precompile_headers(${name} REUSE_FROM ${owner})
endfunction()

# What is tested is compiled as it ships; the tests themselves are quicker to build with little optimisation. (g++ 12 is
# wrong about the bounds of std::string at -O1.)
function(sluice_test_options name)
  if(NOT SLUICE_SANITIZE)
    target_compile_options(${name} PRIVATE -O1 -g1 -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict)
  endif()
endfunction()

# sluice_test_binary(NAME SOURCES... [DEPS...] [KIND test+dpdk|test+grpc]): a GoogleTest binary, without a main.
function(sluice_test_binary name)
  cmake_parse_arguments(ARG "" "KIND" "SOURCES;DEPS" ${ARGN})
  if(NOT ARG_KIND)
    set(ARG_KIND test)
  endif()
  add_executable(${name} ${ARG_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${name} PRIVATE sluice_warnings ${ARG_DEPS} GTest::gmock GTest::gtest)
  sluice_test_options(${name})
  sluice_unity(${name})
  sluice_precompile(${name} ${ARG_KIND}+pie)
endfunction()

# sluice_test(NAME SOURCES... [DEPS...] [LABELS...] [KIND...]): one whose cases become ctest cases.
function(sluice_test name)
  cmake_parse_arguments(ARG "" "KIND" "SOURCES;DEPS;LABELS" ${ARGN})
  sluice_test_binary(${name} SOURCES ${ARG_SOURCES} DEPS ${ARG_DEPS} GTest::gtest_main KIND ${ARG_KIND})
  gtest_discover_tests(${name} PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 120 DISCOVERY_TIMEOUT 60)
endfunction()
