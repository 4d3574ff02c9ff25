# Everything comes from Debian's packages (tools/packages.txt).
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(absl REQUIRED)
find_package(yaml-cpp REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(civetweb REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC REQUIRED)
find_package(GTest REQUIRED)
find_package(benchmark REQUIRED)
include(GoogleTest)

# IMPORTED targets are system includes, so foreign headers do not meet our warnings.
pkg_check_modules(DPDK REQUIRED IMPORTED_TARGET libdpdk)
find_package(CURL REQUIRED)
find_package(OpenSSL REQUIRED)
pkg_check_modules(NL_ROUTE REQUIRED IMPORTED_TARGET libnl-route-3.0 libnl-3.0)
# DPDK's flags put rte_config.h before everything, and then no precompiled header can be used. Its headers that need it
# include it themselves.
get_target_property(options PkgConfig::DPDK INTERFACE_COMPILE_OPTIONS)
list(REMOVE_ITEM options -include rte_config.h)
set_target_properties(PkgConfig::DPDK PROPERTIES INTERFACE_COMPILE_OPTIONS "${options}")
