#ifndef SLUICE_TESTS_UNIT_TOOLS_BACKEND_PROGRAM_FIXTURE_H_
#define SLUICE_TESTS_UNIT_TOOLS_BACKEND_PROGRAM_FIXTURE_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/unit/tools/backend/frames.h"
#include "tools/backend/options.h"
#include "tools/backend/program.h"

namespace sluice::backend::test {

inline constexpr const char* kDirector4 = "192.0.2.2";
inline constexpr const char* kDirector6 = "2001:db8::2";
inline constexpr const char* kOwn4 = "192.0.2.11";
inline constexpr const char* kOwn6 = "2001:db8::11";
inline constexpr const char* kClient4 = "198.51.100.7";
inline constexpr const char* kClient6 = "2001:db8:c::7";
inline constexpr const char* kVip4 = "203.0.113.10";
inline constexpr const char* kVip6 = "2001:db8:f::10";

// What became of a frame.
struct Outcome {
  int verdict = 0;  // TC_ACT_*
  Bytes frame;
};

// The real programs, in the kernel, run on frames of the test's by BPF_PROG_TEST_RUN. Nothing is attached. They are
// loaded once, because the verifier takes most of a second; each test finds their maps as after loading.
class ProgramTest : public testing::Test {
 protected:
  void SetUp() override;

  void Fill(Options options, uint32_t link_mtu = 1500);
  // `gso_size` other than 0: the frame counts as put together from several.
  Outcome Ingress(const Bytes& frame, uint32_t gso_size = 0) const { return Run(program_->ingress(), frame, gso_size); }
  Outcome Egress(const Bytes& frame) const { return Run(program_->egress(), frame, 0); }
  uint64_t Counted(Counter counter) const;
  // Counters that are not 0: "gue_packets 1, gue_bytes 48".
  std::string AllCounted() const;

  const Program* program_ = nullptr;

 private:
  Outcome Run(int program, const Bytes& frame, uint32_t gso_size) const;
};

}  // namespace sluice::backend::test

#endif  // SLUICE_TESTS_UNIT_TOOLS_BACKEND_PROGRAM_FIXTURE_H_
