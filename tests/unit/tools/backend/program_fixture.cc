#include "tests/unit/tools/backend/program_fixture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <numeric>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/backend/abi.h"
#include "tools/backend/bpf_failure.h"
#include "tools/backend/status.h"

namespace sluice::backend::test {
namespace {

constexpr uint32_t kConnections = 4096;

const absl::StatusOr<Program>& Loaded() {
  CaptureBpfMessages();
  static const absl::StatusOr<Program> program = Program::Load({}, kConnections);
  return program;
}

void ClearCounters(const Program& program) {
  const std::vector<uint64_t> zeros(static_cast<size_t>(libbpf_num_possible_cpus()));
  for (uint32_t key = 0; key < kCounters; ++key) {
    ASSERT_EQ(bpf_map_update_elem(program.map("counters"), &key, zeros.data(), BPF_ANY), 0);
  }
}

template <typename Key>
void Empty(int map) {
  Key key;
  while (bpf_map_get_next_key(map, nullptr, &key) == 0) ASSERT_EQ(bpf_map_delete_elem(map, &key), 0);
}

}  // namespace

void ProgramTest::SetUp() {
  ASSERT_TRUE(Loaded().ok()) << Loaded().status();
  program_ = &*Loaded();
  ClearCounters(*program_);
  for (const char* connections : {"half_open", "established"}) Empty<CookieFlowKey>(program_->map(connections));
  Empty<PrefixKey>(program_->map("vips"));  // their values are learnt
  Fill({});
}

void ProgramTest::Fill(Options options, uint32_t link_mtu) {
  options.cookies.connections = kConnections;
  const Resolved resolved = {
      .interfaces = {},
      .addresses = {*net::IpAddress::Parse(kOwn4), *net::IpAddress::Parse(kOwn6)},
      .directors = {*net::IpPrefix::Parse("192.0.2.0/29"), *net::IpPrefix::Parse("2001:db8::/125")},
      .vips = {*net::IpPrefix::Parse(kVip4), *net::IpPrefix::Parse("2001:db8:f::/64")},
      .link_mtu = link_mtu};
  const absl::Status status = program_->Fill(options, resolved);
  ASSERT_TRUE(status.ok()) << status;
}

Outcome ProgramTest::Run(int program, const Bytes& frame, uint32_t gso_size) const {
  Outcome outcome;
  outcome.frame.resize(frame.size() + 256);
  __sk_buff context{};
  context.gso_size = gso_size;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(), .data_out = outcome.frame.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()),
              .data_size_out = static_cast<uint32_t>(outcome.frame.size()), .ctx_in = &context,
              .ctx_size_in = sizeof(context), .repeat = 1);
  EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0);
  outcome.verdict = static_cast<int>(run.retval);
  outcome.frame.resize(run.data_size_out);
  return outcome;
}

uint64_t ProgramTest::Counted(Counter counter) const {
  std::vector<uint64_t> each_cpu(static_cast<size_t>(libbpf_num_possible_cpus()));
  const uint32_t key = counter;
  EXPECT_EQ(bpf_map_lookup_elem(program_->map("counters"), &key, each_cpu.data()), 0);
  return std::accumulate(each_cpu.begin(), each_cpu.end(), uint64_t{0});
}

std::string ProgramTest::AllCounted() const {
  std::string text;
  for (int i = 0; i < kCounters; ++i) {
    const auto counter = static_cast<Counter>(i);
    if (Counted(counter) == 0) continue;
    text += (text.empty() ? "" : ", ") + std::string(CounterName(counter)) + " " + std::to_string(Counted(counter));
  }
  return text;
}

}  // namespace sluice::backend::test
