#include <gtest/gtest.h>
#include <rte_eal.h>

#include <array>
#include <cstdio>

// EAL without NIC, root or hugepages.
int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  std::array<const char*, 12> eal = {"stage_test", "--no-huge", "--no-pci",       "--no-shconf", "-m",    "128",
                                     "-l",         "0",         "--no-telemetry", "--log-level", "error", nullptr};
  if (!testing::GTEST_FLAG(list_tests)) {
    if (rte_eal_init(static_cast<int>(eal.size()) - 1, const_cast<char**>(eal.data())) < 0) {
      std::fprintf(stderr, "rte_eal_init failed\n");
      return 1;
    }
  }
  return RUN_ALL_TESTS();
}
