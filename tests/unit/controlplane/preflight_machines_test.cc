#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/gather.h"
#include "tests/unit/controlplane/recorded_machine.h"

// From files of machines of several kinds to findings.
namespace sluice::preflight {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Demand DemandFor(const std::string& pci_address) {
  Demand demand;
  PortDemand port;
  port.name = "wan";
  port.devices = {{.text = pci_address, .pci_address = pci_address, .driver = "", .interface = "", .queues = 2}};
  port.exception_interface = "sluice-wan";
  demand.ports = {port};
  demand.workers = 2;
  demand.busy_polling = true;
  demand.worker_cpus = {2, 3};
  demand.packet_bytes = 200 * kMegabyte;
  demand.connection_bytes = 40 * kMegabyte;
  demand.metrics_listen = "127.0.0.1:9105";
  return demand;
}

Facts FactsOf(const RecordedMachine& machine, const Demand& demand) {
  return Gather(demand, {.root = machine.root(), .pmd_directory = "/pmds"});
}

// "error device.driver" for all that is not in order.
std::vector<std::string> Complaints(const Demand& demand, const Facts& facts) {
  std::vector<std::string> complaints;
  for (const Finding& finding : Examine(demand, facts)) {
    if (finding.severity == Severity::kOk) continue;
    EXPECT_FALSE(finding.remedy.empty()) << finding.check << ": " << finding.message;
    complaints.push_back(std::string(SeverityName(finding.severity)) + " " + finding.check);
  }
  return complaints;
}

TEST(Machines, TwoSockets) {
  const RecordedMachine machine("two-socket");
  Demand demand = DemandFor("0000:af:00.0");
  demand.worker_cpus = {4, 5};
  const Facts facts = FactsOf(machine, demand);
  EXPECT_EQ(facts.cpus.size(), 16u);
  EXPECT_EQ(facts.cpus[12].node, 1);
  EXPECT_THAT(facts.cpus[12].siblings, ElementsAre(4, 12));
  EXPECT_THAT(facts.allowed_cpus, ElementsAre(0, 1, 8, 9));
  EXPECT_EQ(facts.isolated_cpus.size(), 12u);
  EXPECT_EQ(facts.memory_total_bytes, 263896412u * uint64_t{1024});
  EXPECT_EQ(facts.iommu_groups, 3u);
  EXPECT_FALSE(facts.locked_memory_bytes.has_value());
  const PciDevice& pci = facts.pci.at("0000:af:00.0");
  EXPECT_EQ(pci.driver, "vfio-pci");
  EXPECT_EQ(pci.iommu_group, 42u);
  EXPECT_TRUE(pci.vfio_accessible);
  EXPECT_EQ(pci.pmd, "net_ixgbe");
  EXPECT_THAT(Complaints(demand, facts), IsEmpty());
}

TEST(Machines, TwoSocketsTheWrongWayRound) {
  const RecordedMachine machine("two-socket");
  Demand demand = DemandFor("0000:af:00.1");  // still the kernel's, and in a narrow slot; the workers are on node 0
  EXPECT_THAT(Complaints(demand, FactsOf(machine, demand)),
              UnorderedElementsAre("error device.driver", "warning device.pcie", "warning cpu.numa"));
}

TEST(Machines, MellanoxKeepsItsKernelDriver) {
  const RecordedMachine machine("two-socket");
  const Demand demand = DemandFor("0000:18:00.0");
  const Facts facts = FactsOf(machine, demand);
  EXPECT_THAT(facts.pci.at("0000:18:00.0").pmd_kernel_drivers,
              UnorderedElementsAre("ib_uverbs", "mlx5_core", "mlx5_ib"));
  EXPECT_THAT(Complaints(demand, facts), IsEmpty());
}

TEST(Machines, CloudVm) {
  const RecordedMachine machine("vm");
  Demand demand = DemandFor("0000:00:05.0");
  demand.ports[0].default_route_v4 = true;
  EXPECT_THAT(Complaints(demand, FactsOf(machine, demand)),
              UnorderedElementsAre("error device.permission", "error memory.lock", "error host.default_route",
                                   "error process.listen", "warning device.iommu", "warning cpu.isolation",
                                   "warning memory.hugepages"));
}

TEST(Machines, Laptop) {
  const RecordedMachine machine("laptop");
  const Demand demand = DemandFor("0000:00:1f.6");
  EXPECT_THAT(Complaints(demand, FactsOf(machine, demand)),
              UnorderedElementsAre("error device.pmd", "error host.exception_port", "error kernel.release",
                                   "error process.capabilities", "error memory.lock", "warning cpu.isolation",
                                   "warning cpu.siblings", "warning cpu.frequency", "warning memory.hugepages"));
}

TEST(Machines, Lab) {
  const RecordedMachine machine("lab");
  Demand demand = DemandFor("");
  demand.ports[0].devices = {{.text = "net_af_packet0,iface=eth0",
                              .pci_address = "",
                              .driver = "net_af_packet",
                              .interface = "eth0",
                              .queues = 1}};
  demand.workers = 1;
  demand.worker_cpus = {1};
  demand.busy_polling = false;
  const Facts facts = FactsOf(machine, demand);
  EXPECT_EQ(facts.interfaces.at("eth0").driver, "virtio_net");
  EXPECT_TRUE(facts.interfaces.at("eth0").carrier);
  EXPECT_EQ(facts.interfaces.at("eth0").speed_mbps, 0u);
  EXPECT_EQ(facts.uid, 0u);
  EXPECT_THAT(Complaints(demand, facts),
              UnorderedElementsAre("warning device.mtu", "warning device.shared", "warning memory.hugepages"));
}

TEST(Machines, AnEmptyRootIsNoCrash) {
  const RecordedMachine machine("lab");
  const Demand demand = DemandFor("0000:00:05.0");
  const Facts facts = Gather(demand, {.root = machine.root() + "/nothing", .pmd_directory = "/pmds"});
  EXPECT_THAT(facts.cpus, IsEmpty());
  EXPECT_THAT(Complaints(demand, facts), ::testing::Contains("error device.present"));
}

// Files of /sys may exist and refuse to be read; a directory does the same.
TEST(Machines, AFileThatCannotBeReadTellsNothing) {
  const RecordedMachine machine("lab");
  machine.Write("/sys/class/net/eth7/mtu", "1500\n");
  machine.Write("/sys/class/net/eth7/carrier/is_a_directory", "1\n");
  const auto interfaces = GatherInterfaces(SystemFiles(machine.root()));
  EXPECT_FALSE(interfaces.at("eth7").carrier);
  EXPECT_EQ(interfaces.at("eth7").mtu_bytes, 1500u);
}

TEST(Listeners, AreReadFromProc) {
  const RecordedMachine machine("vm");
  machine.Write("/proc/net/unix",
                "Num       RefCount Protocol Flags    Type St Inode Path\n"
                "0000000000000000: 00000002 00000000 00010000 0001 01  1065 /run/sluice/sluiced.sock\n"
                "0000000000000000: 00000003 00000000 00000000 0001 03  1066 /run/other.sock\n");
  const Facts facts = FactsOf(machine, DemandFor(""));
  EXPECT_THAT(facts.unix_listeners, ElementsAre("/run/sluice/sluiced.sock"));
  ASSERT_EQ(facts.listeners.size(), 2u);
  EXPECT_EQ(facts.listeners[0].port, 9105);
  EXPECT_EQ(facts.listeners[0].address, "0100007F");
}

TEST(Routes, OfIpv6AreReadFromProc) {
  const RecordedMachine machine("vm");
  const std::string zeros(32, '0');
  const std::string gateway = "fe800000000000000000000000000001";
  const auto found = [&](const std::string& line) {
    machine.Write("/proc/net/ipv6_route", line);
    return FactsOf(machine, DemandFor("")).usual_default_route_v6;
  };
  EXPECT_TRUE(found(zeros + " 00 " + zeros + " 00 " + gateway + " 00000400 00000001 00000000 00450003     eth0\n"));
  EXPECT_FALSE(found(zeros + " 00 " + zeros + " 00 " + gateway + " 00000064 00000001 00000000 00450003     eth0\n"));
  // What the kernel has where there is none.
  EXPECT_FALSE(found(zeros + " 00 " + zeros + " 00 " + zeros + " ffffffff 00000001 00000000 00200200       lo\n"));
  EXPECT_FALSE(found(gateway + " 40 " + zeros + " 00 " + zeros + " 00000400 00000001 00000000 00000001     eth0\n"));
}

TEST(PmdCatalogue, ReadsWhatDriversSayOfThemselves) {
  std::string object(
      "\x7f"
      "ELF\0",
      5);
  object +=
      "PMD_INFO_STRING= {\"name\": \"net_x\", \"kmod\": \"* igb_uio | vfio-pci\", "
      "\"pci_ids\": [[1, 2, 65535, 65535], [3, 65535, 65535, 65535]]}";
  object += std::string("\0junk", 5) + "PMD_INFO_STRING= {\"name\": \"net_y\", \"pci_ids\": []}";
  const std::vector<PmdInfo> pmds = ParsePmdInfo(object);
  ASSERT_EQ(pmds.size(), 2u);
  EXPECT_EQ(pmds[0].name, "net_x");
  EXPECT_THAT(pmds[0].kernel_drivers, UnorderedElementsAre("igb_uio", "vfio-pci"));
  EXPECT_TRUE(pmds[0].Knows(1, 2));
  EXPECT_FALSE(pmds[0].Knows(1, 3));
  EXPECT_TRUE(pmds[0].Knows(3, 77));
  EXPECT_FALSE(pmds[1].Knows(1, 2));
  EXPECT_THAT(pmds[1].kernel_drivers, IsEmpty());
}

TEST(PmdCatalogue, SurvivesForeignBytes) {
  const std::string whole =
      "PMD_INFO_STRING= {\"name\": \"n\", \"kmod\": \"a | b\", \"pci_ids\": [[1, 2, 3, 4], [5, 6]]}";
  for (size_t length = 0; length <= whole.size(); ++length) ParsePmdInfo(std::string_view(whole).substr(0, length));
  EXPECT_THAT(ParsePmdInfo("PMD_INFO_STRING= {\"name\": \"n\", \"pci_ids\": [[99999999, x]]}").at(0).ids, IsEmpty());
}

}  // namespace
}  // namespace sluice::preflight
