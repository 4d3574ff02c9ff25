#include <algorithm>

#include "absl/strings/str_join.h"
#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/lookup.h"

namespace sluice::preflight {
namespace {

using model::Cat;

constexpr unsigned kCapSysRawio = 17;

// "15b3:1017"
std::string Id(const PciDevice& pci) {
  return Cat(absl::Hex(pci.vendor, absl::kZeroPad4), ":", absl::Hex(pci.device, absl::kZeroPad4));
}

bool IsUserspaceDriver(std::string_view driver) {
  // Some PMDs say "vfio" and mean the same.
  return driver == "vfio-pci" || driver == "vfio" || driver == "uio_pci_generic" || driver == "igb_uio";
}

class DeviceCheck {
 public:
  DeviceCheck(const PortDemand& port, const DeviceDemand& device, const Facts& facts, Findings* out)
      : subject_(Cat("port ", port.name, ": ", device.text)), port_(port), device_(device), facts_(facts), out_(out) {}

  void CheckPci() const {
    const auto found = facts_.pci.find(device_.pci_address);
    if (found == facts_.pci.end()) {
      return Add(Severity::kError, "device.present", "there is no PCI device of this address",
                 "lspci -D | grep -i ethernet");
    }
    const PciDevice& pci = found->second;
    if (pci.pmd.empty()) {
      return Add(Severity::kError, "device.pmd", Cat("no installed DPDK driver knows this device (", Id(pci), ")"),
                 "apt install librte-meta-net; if it is installed already, DPDK does not support the card");
    }
    // While the kernel has it, the kernel knows whether a cable is in it. A PMD raises an interface that is down.
    for (const std::string& name : pci.interfaces) {
      const Interface* interface = FindInterface(facts_, name);
      if (interface != nullptr && interface->up) CheckLink(name, *interface);
    }
    const bool bound = CheckBinding(pci);
    if (bound) CheckIommu(pci);
    if (pci.link_width != 0 && pci.link_width < pci.max_link_width) {
      Add(Severity::kWarning, "device.pcie",
          Cat("it runs with ", pci.link_width, " of its ", pci.max_link_width, " PCI Express lanes"),
          "move it to a slot with as many lanes");
    }
  }

  void CheckVirtual() const {
    if (device_.interface.empty()) return;
    const Interface* interface = FindInterface(facts_, device_.interface);
    if (interface == nullptr) {
      return Add(Severity::kError, "device.present",
                 Cat("there is no interface ", device_.interface, " in this network namespace"), "ip link show");
    }
    CheckLink(device_.interface, *interface);
    if (interface->mtu_bytes < port_.mtu_bytes) {
      Add(Severity::kWarning, "device.mtu",
          Cat(device_.interface, " carries ", interface->mtu_bytes, " bytes, the port's mtu is ", port_.mtu_bytes,
              ": larger packets are lost"),
          Cat("ip link set ", device_.interface, " mtu ", port_.mtu_bytes));
    }
    if (device_.driver == "net_af_xdp" && interface->rx_queues < device_.queues) {
      Add(Severity::kError, "device.queues",
          Cat(device_.interface, " has ", interface->rx_queues, " receive queues for ", device_.queues, " workers"),
          Cat("ethtool -L ", device_.interface, " combined ", device_.queues,
              ", or lower workers.count, or give the port one device for each worker"));
    }
    if (device_.driver == "net_af_packet" && interface->routes_v4) {
      Add(Severity::kWarning, "device.shared",
          Cat("the kernel has addresses on ", device_.interface,
              " and answers beside sluiced, which sees the same frames"),
          Cat("ip address flush dev ", device_.interface, ", and an nft ingress chain that drops (README.md)"));
    }
  }

  // Only where the driver was asked. At a start the data plane finds the same itself.
  void CheckProbed() const {
    const auto found = facts_.probed.find(device_.text);
    if (found == facts_.probed.end()) return;
    const ProbedDevice& probed = found->second;
    const std::string queues = Cat("driver ", probed.driver, " has ", probed.max_rx_queues, " receive and ",
                                   probed.max_tx_queues, " transmit queues for ", device_.queues, " workers");
    const std::string remedy = "lower workers.count, or give the port one device for each worker";
    if (probed.max_tx_queues < device_.queues) {
      Add(Severity::kError, "device.queues", queues, remedy);
    } else if (probed.max_rx_queues < device_.queues) {
      Add(Severity::kWarning, "device.queues", Cat(queues, ": some workers receive nothing from it"), remedy);
    } else {
      Add(Severity::kOk, "device.queues", queues, "");
    }
    // The kernel spreads for its own devices.
    if (device_.queues > 1 && !probed.rss && device_.interface.empty()) {
      Add(Severity::kWarning, "device.rss",
          Cat("driver ", probed.driver, " has no RSS: unless the device spreads flows by itself, one worker gets all"),
          "workers.count 1, or another card");
    }
    if (port_.mtu_bytes < probed.min_mtu_bytes || port_.mtu_bytes > probed.max_mtu_bytes) {
      Add(Severity::kError, "device.mtu",
          Cat("the port's mtu is ", port_.mtu_bytes, ", driver ", probed.driver, " allows ", probed.min_mtu_bytes,
              " to ", probed.max_mtu_bytes),
          Cat("set mtu to ", std::clamp(port_.mtu_bytes, probed.min_mtu_bytes, probed.max_mtu_bytes)));
    }
  }

 private:
  void Add(Severity severity, std::string check, std::string message, std::string remedy) const {
    out_->push_back({severity, std::move(check), subject_, std::move(message), std::move(remedy)});
  }

  // True when a driver is bound that its PMD works with.
  bool CheckBinding(const PciDevice& pci) const {
    const bool wants_userspace = std::any_of(pci.pmd_kernel_drivers.begin(), pci.pmd_kernel_drivers.end(),
                                             [](const std::string& driver) { return IsUserspaceDriver(driver); });
    const bool right = wants_userspace
                           ? IsUserspaceDriver(pci.driver)
                           : pci.pmd_kernel_drivers.empty() || pci.pmd_kernel_drivers.count(pci.driver) != 0;
    const std::string driver = pci.driver.empty() ? "no driver" : Cat("driver ", pci.driver);
    if (right) {
      Add(Severity::kOk, "device.driver", Cat(Id(pci), ", ", driver, ", DPDK's ", pci.pmd), "");
      return true;
    }
    if (!wants_userspace) {
      Add(Severity::kError, "device.driver",
          Cat(driver, " is bound to it; DPDK's ", pci.pmd, " works beside the kernel's own (",
              absl::StrJoin(pci.pmd_kernel_drivers, ", "), ")"),
          Cat("echo ", device_.pci_address, " > /sys/bus/pci/drivers_probe"));
      return false;
    }
    std::string message = Cat(driver, " is bound to it, DPDK's ", pci.pmd, " needs vfio-pci");
    for (const std::string& name : pci.interfaces) {
      const Interface* interface = FindInterface(facts_, name);
      if (interface == nullptr || !interface->routes_v4) continue;
      message += Cat("; careful: the kernel routes by its interface ", name,
                     interface->default_route_v4 ? ", even the default route," : "",
                     " and loses it: log in by another, or by the console");
    }
    Add(Severity::kError, "device.driver", std::move(message),
        Cat("systemctl enable --now sluice-bind@", device_.pci_address,
            ", or: modprobe vfio-pci && dpdk-devbind.py "
            "--bind=vfio-pci ",
            device_.pci_address));
    return false;
  }

  void CheckIommu(const PciDevice& pci) const {
    if (pci.driver == "vfio-pci") {
      if (!pci.iommu_group) {
        return Add(Severity::kError, "device.iommu", "it has no IOMMU group: VFIO cannot hand it to a process",
                   "switch VT-d or AMD-Vi on in the firmware and put intel_iommu=on (amd_iommu=on) iommu=pt on the "
                   "kernel's command line");
      }
      if (facts_.vfio_without_iommu && facts_.iommu_groups == 0) {
        Add(Severity::kWarning, "device.iommu",
            "VFIO works without an IOMMU: the device may write anywhere in memory, and the process must be root",
            "switch VT-d or AMD-Vi on in the firmware and put intel_iommu=on (amd_iommu=on) on the command line");
      }
      if (!pci.vfio_accessible) {
        Add(Severity::kError, "device.permission",
            Cat("this process may not open /dev/vfio/", *pci.iommu_group,
                " (or another driver holds a device of the "
                "group)"),
            Cat("chown :sluice /dev/vfio/", *pci.iommu_group, " && chmod 660 /dev/vfio/", *pci.iommu_group,
                "; the package's udev rule does so when the device is bound"));
      }
    } else if (IsUserspaceDriver(pci.driver)) {
      Add(Severity::kWarning, "device.iommu",
          Cat(pci.driver, " has no IOMMU between the device and memory, and needs root and huge pages"),
          Cat("dpdk-devbind.py --bind=vfio-pci ", device_.pci_address, ", where there is an IOMMU"));
      if (facts_.uid != 0 || !HasCapability(facts_, kCapSysRawio)) {
        Add(Severity::kError, "device.permission", Cat(pci.driver, " needs root with CAP_SYS_RAWIO and CAP_SYS_ADMIN"),
            "User=root and the two capabilities in a drop-in of the unit (systemctl edit sluiced), or vfio-pci");
      }
    }
  }

  void CheckLink(const std::string& name, const Interface& interface) const {
    if (!interface.up) {
      return Add(Severity::kWarning, "device.link", Cat(name, " is down"), Cat("ip link set ", name, " up"));
    }
    if (!interface.carrier) {
      return Add(Severity::kWarning, "device.link", Cat(name, " has no carrier"),
                 Cat("plug the cable in, or look at the switch: ethtool ", name));
    }
    Add(Severity::kOk, "device.link",
        Cat(name, " is up", interface.speed_mbps == 0 ? std::string() : Cat(", ", interface.speed_mbps, " Mbit/s")),
        "");
  }

  const std::string subject_;
  const PortDemand& port_;
  const DeviceDemand& device_;
  const Facts& facts_;
  Findings* const out_;
};

}  // namespace

void CheckDevices(const Demand& demand, const Facts& facts, Findings* out) {
  if (!facts.probe_problem.empty()) {
    out->push_back({Severity::kError, "device.probe", "all ports", facts.probe_problem,
                    "mend the other errors first; a device can be opened by one process at a time"});
  }
  for (const PortDemand& port : demand.ports) {
    for (const DeviceDemand& device : port.devices) {
      const DeviceCheck check(port, device, facts, out);
      if (device.pci_address.empty()) {
        check.CheckVirtual();
      } else {
        check.CheckPci();
      }
      check.CheckProbed();
    }
  }
}

}  // namespace sluice::preflight
