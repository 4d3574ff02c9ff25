#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <ostream>

#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/print.h"
#include "tests/unit/controlplane/recorded_machine.h"

namespace sluice::preflight {

void PrintTo(const Finding& finding, std::ostream* out) {
  *out << SeverityName(finding.severity) << " " << finding.check << " " << finding.subject << ": " << finding.message
       << " [" << finding.remedy << "]";
}

namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr uint64_t kNetAdmin = 1 << 12;
constexpr uint64_t kNetRaw = 1 << 13;

// Two NUMA nodes of four cores with two threads each; thread i + 8 shares the core of thread i.
Facts GoodMachine() {
  Facts facts;
  facts.kernel_release = "6.1.0-37-amd64";
  facts.cpu_flags = {"sse4_2", "aes"};
  for (uint32_t i = 0; i < 16; ++i) {
    facts.cpus.push_back(
        {.id = i, .node = i % 8 < 4 ? 0 : 1, .siblings = {i % 8, i % 8 + 8}, .governor = "performance"});
    facts.allowed_cpus.push_back(i);
    if (i % 8 < 2) continue;
    facts.isolated_cpus.push_back(i);
    facts.nohz_full_cpus.push_back(i);
  }
  facts.hugepages = {{.node = 0, .page_bytes = 2 * kMegabyte, .total = 512, .free = 512},
                     {.node = 1, .page_bytes = 2 * kMegabyte, .total = 512, .free = 512}};
  facts.memory_total_bytes = 64'000 * kMegabyte;
  facts.memory_available_bytes = 60'000 * kMegabyte;
  PciDevice pci;
  pci.vendor = 0x8086;
  pci.device = 0x10fb;
  pci.driver = "vfio-pci";
  pci.node = 1;
  pci.iommu_group = 42;
  pci.vfio_accessible = true;
  pci.link_width = pci.max_link_width = 8;
  pci.pmd = "net_ixgbe";
  pci.pmd_kernel_drivers = {"igb_uio", "uio_pci_generic", "vfio-pci"};
  facts.pci["0000:af:00.0"] = pci;
  Interface eth0;
  eth0.up = eth0.carrier = true;
  eth0.mtu_bytes = 1600;
  eth0.rx_queues = 4;
  facts.interfaces["eth0"] = eth0;
  facts.iommu_groups = 60;
  facts.tun_exists = facts.tun_accessible = facts.ipv6 = true;
  facts.uid = 996;
  facts.capabilities = kNetAdmin | kNetRaw;
  facts.files["/etc/sluice/sluice.yaml"] = {.exists = true, .readable = true, .mode = 0640};
  return facts;
}

DeviceDemand Pci() {
  return {.text = "0000:af:00.0", .pci_address = "0000:af:00.0", .driver = "", .interface = "", .queues = 2};
}

DeviceDemand Virtual(std::string driver) {
  return {.text = driver + "0,iface=eth0", .pci_address = "", .driver = driver, .interface = "eth0", .queues = 2};
}

Demand GoodDemand(DeviceDemand device = Pci()) {
  Demand demand;
  PortDemand port;
  port.name = "wan";
  port.devices = {std::move(device)};
  port.mtu_bytes = 1600;
  port.exception_interface = "sluice-wan";
  port.ipv6_addresses = port.default_route_v4 = port.default_route_v6 = true;
  demand.ports = {port};
  demand.workers = 2;
  demand.busy_polling = true;
  demand.worker_cpus = {4, 5};
  demand.hugepages = HugepageRule::kRequire;
  demand.packet_bytes = 300 * kMegabyte;
  demand.connection_bytes = 200 * kMegabyte;
  demand.tunnel_bytes = 52;
  demand.tunnel_vip = "web";
  demand.api_listen = "unix:/run/sluice/sluiced.sock";
  demand.metrics_listen = "127.0.0.1:9105";
  demand.files = {{.path = "/etc/sluice/sluice.yaml", .purpose = "the configuration", .secret = true}};
  return demand;
}

Findings NotOk(const Findings& findings) {
  Findings rest;
  std::copy_if(findings.begin(), findings.end(), std::back_inserter(rest),
               [](const Finding& finding) { return finding.severity != Severity::kOk; });
  return rest;
}

TEST(Preflight, FindsNothingWrongWithAGoodMachine) {
  const Findings findings = Examine(GoodDemand(), GoodMachine());
  EXPECT_THAT(NotOk(findings), IsEmpty());
  EXPECT_GT(CountOf(findings, Severity::kOk), 8u);
  for (const char* driver : {"net_af_packet", "other"}) {
    EXPECT_THAT(NotOk(Examine(GoodDemand(Virtual(driver)), GoodMachine())), IsEmpty()) << driver;
  }
}

// One thing is wrong, and exactly that is found.
struct Case {
  const char* name;
  Severity severity;
  const char* check;
  const char* message;
  const char* remedy;
  std::function<void(Demand&, Facts&)> spoil;
};

constexpr Severity kError = Severity::kError;
constexpr Severity kWarning = Severity::kWarning;

PciDevice& Nic(Facts& facts) { return facts.pci["0000:af:00.0"]; }
Interface& Eth0(Facts& facts) { return facts.interfaces["eth0"]; }
void UseVirtual(Demand& demand, const char* driver) { demand.ports[0].devices = {Virtual(driver)}; }

const Case kCases[] = {
    // ---- devices
    {"no_such_device", kError, "device.present", "no PCI device", "lspci", [](Demand&, Facts& f) { f.pci.clear(); }},
    {"no_pmd", kError, "device.pmd", "8086:10fb", "librte-meta-net", [](Demand&, Facts& f) { Nic(f).pmd.clear(); }},
    {"kernel_driver", kError, "device.driver", "driver ixgbe is bound", "dpdk-devbind.py --bind=vfio-pci 0000:af:00.0",
     [](Demand&, Facts& f) { Nic(f).driver = "ixgbe"; }},
    {"binding_cuts_off", kError, "device.driver", "even the default route", "sluice-bind@0000:af:00.0",
     [](Demand&, Facts& f) {
       Nic(f).driver = "ixgbe";
       Nic(f).interfaces = {"eth0"};
       Eth0(f).routes_v4 = Eth0(f).default_route_v4 = true;
     }},
    {"no_driver", kError, "device.driver", "no driver is bound", "vfio-pci",
     [](Demand&, Facts& f) { Nic(f).driver = ""; }},
    {"mellanox_taken_from_its_driver", kError, "device.driver", "works beside the kernel's own", "drivers_probe",
     [](Demand&, Facts& f) {
       Nic(f).pmd = "mlx5_eth";
       Nic(f).pmd_kernel_drivers = {"ib_uverbs", "mlx5_core", "mlx5_ib"};
     }},
    {"no_iommu_group", kError, "device.iommu", "no IOMMU group", "intel_iommu=on",
     [](Demand&, Facts& f) { Nic(f).iommu_group.reset(); }},
    {"no_iommu", kWarning, "device.iommu", "write anywhere in memory", "intel_iommu=on",
     [](Demand&, Facts& f) {
       f.iommu_groups = 0;
       f.vfio_without_iommu = true;
     }},
    {"group_not_accessible", kError, "device.permission", "/dev/vfio/42", "chown :sluice /dev/vfio/42",
     [](Demand&, Facts& f) { Nic(f).vfio_accessible = false; }},
    {"narrow_slot", kWarning, "device.pcie", "4 of its 8", "slot", [](Demand&, Facts& f) { Nic(f).link_width = 4; }},
    {"no_cable_in_the_card", kWarning, "device.link", "enp1 has no carrier", "ethtool enp1",
     [](Demand&, Facts& f) {
       Nic(f).pmd_kernel_drivers = {Nic(f).driver = "mlx5_core"};
       Nic(f).interfaces = {"enp1"};
       f.interfaces["enp1"].up = true;
     }},
    {"no_such_interface", kError, "device.present", "no interface eth0", "ip link",
     [](Demand& d, Facts& f) {
       UseVirtual(d, "net_af_packet");
       f.interfaces.clear();
     }},
    {"interface_down", kWarning, "device.link", "is down", "ip link set eth0 up",
     [](Demand& d, Facts& f) {
       UseVirtual(d, "net_af_packet");
       Eth0(f).up = false;
     }},
    {"no_carrier", kWarning, "device.link", "no carrier", "ethtool eth0",
     [](Demand& d, Facts& f) {
       UseVirtual(d, "net_af_packet");
       Eth0(f).carrier = false;
     }},
    {"interface_mtu", kWarning, "device.mtu", "carries 1500", "ip link set eth0 mtu 1600",
     [](Demand& d, Facts& f) {
       UseVirtual(d, "net_af_packet");
       Eth0(f).mtu_bytes = 1500;
     }},
    {"kernel_answers_too", kWarning, "device.shared", "answers beside", "ip address flush dev eth0",
     [](Demand& d, Facts& f) {
       UseVirtual(d, "net_af_packet");
       Eth0(f).routes_v4 = true;
     }},
    // ---- CPUs
    {"cpu_plan", kError, "cpu.plan", "CPU 99", "lscpu",
     [](Demand& d, Facts&) {
       d.worker_cpus.clear();
       d.cpu_problem = "workers.cpus names CPU 99";
     }},
    {"not_isolated", kWarning, "cpu.isolation", "other processes", "isolcpus=4-5 nohz_full=4-5",
     [](Demand&, Facts& f) { f.isolated_cpus.erase(std::remove(f.isolated_cpus.begin(), f.isolated_cpus.end(), 5u)); }},
    {"tick", kWarning, "cpu.isolation", "tick", "nohz_full", [](Demand&, Facts& f) { f.nohz_full_cpus.clear(); }},
    {"workers_share_a_core", kWarning, "cpu.siblings", "shares a core with worker 0", "lscpu",
     [](Demand& d, Facts&) {
       d.worker_cpus = {4, 12};
     }},
    {"sibling_works_for_others", kWarning, "cpu.siblings", "CPU 12", "/sys/devices/system/cpu/cpu12/online",
     [](Demand&, Facts& f) {
       f.isolated_cpus.erase(std::remove(f.isolated_cpus.begin(), f.isolated_cpus.end(), 12u));
     }},
    {"governor", kWarning, "cpu.frequency", "powersave", "cpupower --cpu 5 ",
     [](Demand&, Facts& f) { f.cpus[5].governor = "powersave"; }},
    {"other_socket", kWarning, "cpu.numa", "NUMA node 1, but CPU 2-3", "4-7,12-15",
     [](Demand& d, Facts&) {
       d.worker_cpus = {2, 3};
     }},
    {"no_cpu_for_others", kWarning, "cpu.control", "every CPU", "more CPUs",
     [](Demand&, Facts& f) {
       f.allowed_cpus = {4, 5};
     }},
    {"no_aes", kWarning, "cpu.features", "AES", "/proc/cpuinfo", [](Demand&, Facts& f) { f.cpu_flags.clear(); }},
    // ---- memory
    {"too_few_hugepages", kError, "memory.hugepages", "200 MB are free and 300 MB are needed", "vm.nr_hugepages=250",
     [](Demand&, Facts& f) { f.hugepages = {{.node = 1, .page_bytes = 2 * kMegabyte, .total = 100, .free = 100}}; }},
    {"hugepages_wanted", kWarning, "memory.hugepages", "ordinary memory", "vm.nr_hugepages=250",
     [](Demand& d, Facts& f) {
       d.hugepages = HugepageRule::kAuto;
       f.hugepages.clear();
     }},
    {"hugepages_off", kWarning, "memory.hugepages", "TLB", "require",
     [](Demand& d, Facts&) { d.hugepages = HugepageRule::kOff; }},
    {"hugepages_of_the_other_node", kError, "memory.hugepages", "pages of other nodes do not help", "node1/hugepages",
     [](Demand&, Facts& f) { f.hugepages[1].free = 100; }},
    {"hugepages_for_packets_only", kWarning, "memory.hugepages", "not for the connection tables", "vm.nr_hugepages",
     [](Demand&, Facts& f) {
       f.hugepages[0].free = 0;
       f.hugepages[1].free = 200;
     }},
    {"memory_limit", kError, "memory.lock", "may lock 8 MB", "LimitMEMLOCK=infinity",
     [](Demand&, Facts& f) { f.locked_memory_bytes = 8 * kMegabyte; }},
    // ---- host
    {"no_exception_port", kWarning, "host.exception_port", "SSH", "exception.interface",
     [](Demand& d, Facts&) { d.ports[0].exception_interface.clear(); }},
    {"no_tun", kError, "host.exception_port", "/dev/net/tun", "modprobe tun",
     [](Demand&, Facts& f) { f.tun_exists = false; }},
    {"tun_forbidden", kError, "host.exception_port", "may not open", "DeviceAllow",
     [](Demand&, Facts& f) { f.tun_accessible = false; }},
    {"name_taken", kError, "host.exception_port", "exists already", "ip link del sluice-wan",
     [](Demand&, Facts& f) { f.interfaces["sluice-wan"] = {}; }},
    {"no_ipv6", kError, "host.ipv6", "switched off", "disable_ipv6=0", [](Demand&, Facts& f) { f.ipv6 = false; }},
    {"default_route", kError, "host.default_route", "default route already", "metric 100",
     [](Demand&, Facts& f) { f.unmetered_default_route_v4 = true; }},
    {"default_route_v6", kError, "host.default_route_v6", "router's advertisement", "accept_ra_defrtr=0",
     [](Demand&, Facts& f) { f.usual_default_route_v6 = true; }},
    {"tunnel_mtu", kWarning, "host.tunnel_mtu", "1448", "advmss 1388",
     [](Demand& d, Facts&) { d.ports[0].mtu_bytes = 1500; }},
    // ---- process
    {"old_kernel", kError, "kernel.release", "older than 5.11", "apt install",
     [](Demand&, Facts& f) { f.kernel_release = "5.10.0-35-amd64"; }},
    {"no_capability", kError, "process.capabilities", "CAP_NET_ADMIN", "AmbientCapabilities=CAP_NET_ADMIN",
     [](Demand&, Facts& f) { f.capabilities = 0; }},
    {"xdp_capability", kError, "process.capabilities", "lacks CAP_SYS_ADMIN,", "AmbientCapabilities=CAP_SYS_ADMIN",
     [](Demand& d, Facts&) { UseVirtual(d, "net_af_xdp"); }},
    {"api_taken", kError, "process.listen", "another process", "ss -xlp",
     [](Demand&, Facts& f) { f.unix_listeners = {"/run/sluice/sluiced.sock"}; }},
    {"api_for_others_taken", kError, "process.listen", "another process", "ss -tlnp | grep :9443",
     [](Demand& d, Facts& f) {
       d.api_tcp_listen = "192.0.2.2:9443";
       f.listeners = {{"00000000", 9443}};
     }},
    {"api_for_others_taken_on_this_address", kError, "process.listen", "another process", "ss -tlnp | grep :9443",
     [](Demand& d, Facts& f) {
       d.api_tcp_listen = "192.0.2.2:9443";
       f.listeners = {{"0000000000000000FFFF0000020200C0", 9443}};
     }},
    {"metrics_taken_by_ipv6", kError, "process.listen", "another process", "ss -tlnp | grep :9105",
     [](Demand& d, Facts& f) {
       d.metrics_listen = "[2001:db8::2]:9105";
       f.listeners = {{"B80D0120000000000000000002000000", 9105}};
     }},
    {"metrics_taken", kError, "process.listen", "another process", "ss -tlnp | grep :9105",
     [](Demand&, Facts& f) { f.listeners = {{"0100007F", 9105}}; }},
    {"metrics_taken_everywhere", kError, "process.listen", "another process", ":9105",
     [](Demand&, Facts& f) { f.listeners = {{"00000000000000000000000000000000", 9105}}; }},
    {"no_file", kError, "process.file", "no such file", "create", [](Demand&, Facts& f) { f.files.clear(); }},
    {"file_forbidden", kError, "process.file", "may not read", "chgrp sluice",
     [](Demand&, Facts& f) { f.files["/etc/sluice/sluice.yaml"].readable = false; }},
    {"secret_for_all", kWarning, "process.file", "secret", "chmod 640",
     [](Demand&, Facts& f) { f.files["/etc/sluice/sluice.yaml"].mode = 0644; }},
};

class OneThingWrong : public ::testing::TestWithParam<Case> {};

TEST_P(OneThingWrong, IsFound) {
  const Case& c = GetParam();
  Demand demand = GoodDemand();
  Facts facts = GoodMachine();
  c.spoil(demand, facts);
  const Findings found = NotOk(Examine(demand, facts));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].severity, c.severity);
  EXPECT_EQ(found[0].check, c.check);
  EXPECT_THAT(found[0].message, HasSubstr(c.message));
  EXPECT_THAT(found[0].remedy, HasSubstr(c.remedy));
  EXPECT_THAT(found[0].remedy, Not(IsEmpty()));
  EXPECT_THAT(found[0].subject, Not(IsEmpty()));
}

INSTANTIATE_TEST_SUITE_P(Preflight, OneThingWrong, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& tested) { return std::string(tested.param.name); });

TEST(Preflight, AsksNoMoreOfTheKernelsDevices) {
  // Virtual devices with sleeping workers: no isolation, no huge pages, no locked memory.
  Demand demand = GoodDemand(Virtual("net_af_packet"));
  demand.busy_polling = false;
  demand.hugepages = HugepageRule::kOff;
  Facts facts = GoodMachine();
  facts.isolated_cpus.clear();
  facts.hugepages.clear();
  facts.locked_memory_bytes = 0;
  for (Cpu& cpu : facts.cpus) cpu.governor = "powersave";
  EXPECT_THAT(NotOk(Examine(demand, facts)), IsEmpty());
}

TEST(Preflight, AsksQueuesOfXdp) {
  Demand demand = GoodDemand(Virtual("net_af_xdp"));
  Facts facts = GoodMachine();
  facts.capabilities |= 1 << 21;
  EXPECT_THAT(NotOk(Examine(demand, facts)), IsEmpty());
  Eth0(facts).rx_queues = 1;
  const Findings found = NotOk(Examine(demand, facts));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].check, "device.queues");
  EXPECT_THAT(found[0].remedy, HasSubstr("ethtool -L eth0 combined 2"));
}

// What drivers said when they were asked.
TEST(Preflight, BelievesDrivers) {
  const ProbedDevice good = {"net_ixgbe", 128, 64, true, 68, 9702};
  const auto found = [](const Demand& demand, const ProbedDevice& probed) {
    Facts facts = GoodMachine();
    facts.probed[demand.ports[0].devices[0].text] = probed;
    return NotOk(Examine(demand, facts));
  };
  EXPECT_THAT(found(GoodDemand(), good), IsEmpty());
  struct Spoilt {
    ProbedDevice probed;
    Severity severity;
    const char* check;
    const char* remedy;
  };
  const Spoilt cases[] = {
      {{"net_x", 128, 1, true, 68, 9702}, kError, "device.queues", "workers.count"},
      {{"net_x", 1, 64, true, 68, 9702}, kWarning, "device.queues", "workers.count"},
      {{"net_x", 128, 64, false, 68, 9702}, kWarning, "device.rss", "another card"},
      {{"net_x", 128, 64, true, 68, 1500}, kError, "device.mtu", "set mtu to 1500"},
  };
  for (const Spoilt& spoilt : cases) {
    const Findings findings = found(GoodDemand(), spoilt.probed);
    ASSERT_THAT(findings, SizeIs(1)) << spoilt.check;
    EXPECT_EQ(findings[0].severity, spoilt.severity);
    EXPECT_EQ(findings[0].check, spoilt.check);
    EXPECT_THAT(findings[0].remedy, HasSubstr(spoilt.remedy));
  }
  // The kernel spreads for its own devices, whatever the driver says.
  EXPECT_THAT(found(GoodDemand(Virtual("net_af_packet")), {"net_af_packet", 16, 16, false, 68, 9702}), IsEmpty());
  Facts facts = GoodMachine();
  facts.probe_problem = "port wan: device 0000:af:00.0: probing failed";
  ASSERT_THAT(NotOk(Examine(GoodDemand(), facts)), SizeIs(1));
  EXPECT_EQ(NotOk(Examine(GoodDemand(), facts))[0].check, "device.probe");
}

TEST(Preflight, MeasuresOrdinaryMemory) {
  Demand demand = GoodDemand(Virtual("other"));
  demand.hugepages = HugepageRule::kOff;
  Facts facts = GoodMachine();
  facts.memory_available_bytes = 499 * kMegabyte;
  Findings found = NotOk(Examine(demand, facts));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].severity, kWarning);
  facts.memory_total_bytes = 499 * kMegabyte;
  found = NotOk(Examine(demand, facts));
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].severity, kError);
  EXPECT_EQ(found[0].check, "memory.ordinary");
}

TEST(Preflight, CountsRingsAsLockedMemory) {
  Demand demand = GoodDemand(Virtual("net_af_packet"));
  demand.ports[0].devices[0].locked_bytes = 16 * kMegabyte;
  demand.ports.push_back(demand.ports[0]);
  Facts facts = GoodMachine();
  facts.locked_memory_bytes = 32 * kMegabyte;
  EXPECT_THAT(NotOk(Examine(demand, facts)), IsEmpty());
  facts.locked_memory_bytes = 31 * kMegabyte;
  ASSERT_THAT(NotOk(Examine(demand, facts)), SizeIs(1));
  EXPECT_EQ(NotOk(Examine(demand, facts))[0].check, "memory.lock");
  facts.capabilities |= 1 << 14;  // CAP_IPC_LOCK
  EXPECT_THAT(NotOk(Examine(demand, facts)), IsEmpty());
}

TEST(Preflight, UioNeedsRoot) {
  Facts facts = GoodMachine();
  Nic(facts).driver = "uio_pci_generic";
  const Findings found = NotOk(Examine(GoodDemand(), facts));
  ASSERT_THAT(found, SizeIs(2));
  EXPECT_EQ(found[0].check, "device.permission");
  EXPECT_EQ(found[0].severity, kError);  // errors first
  EXPECT_EQ(found[1].check, "device.iommu");
  facts.uid = 0;
  facts.capabilities = ~uint64_t{0};
  EXPECT_THAT(NotOk(Examine(GoodDemand(), facts)), SizeIs(1));
}

TEST(Preflight, TwoListenersOnDifferentAddressesMayBe) {
  Facts facts = GoodMachine();
  facts.listeners = {{"0A0200C0", 9105}, {"0100007F", 9106}};
  EXPECT_THAT(NotOk(Examine(GoodDemand(), facts)), IsEmpty());
  Demand demand = GoodDemand();
  demand.metrics_listen = "0.0.0.0:9105";
  EXPECT_THAT(NotOk(Examine(demand, facts)), SizeIs(1));
}

TEST(PreflightPrint, WritesTextAndJson) {
  const Findings findings = {{kError, "a.b", "port \"x\"", "line\nbreak", "do it"}, {Severity::kOk, "c", "d", "e", ""}};
  EXPECT_EQ(ToText(findings),
            "error    a.b: port \"x\": line\nbreak\n         remedy: do it\nok       c: d: e\n"
            "1 errors, 0 warnings, 1 ok\n");
  EXPECT_EQ(ToJson(findings),
            "{\"errors\": 1, \"warnings\": 0, \"findings\": [\n"
            "  {\"severity\": \"error\", \"check\": \"a.b\", \"subject\": \"port \\\"x\\\"\", \"message\": "
            "\"line\\u000abreak\", \"remedy\": \"do it\"},\n"
            "  {\"severity\": \"ok\", \"check\": \"c\", \"subject\": \"d\", \"message\": \"e\"}\n]}\n");
}

}  // namespace
}  // namespace sluice::preflight
