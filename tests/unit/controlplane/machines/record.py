#!/usr/bin/python3
"""Records what the preflight reads of this machine, in the form that the tests lay out again: record.py > NAME.txt

Lines are "PATH: one line of text" and "PATH -> target of a symbolic link"; text of several lines stands between
"PATH <<" and ">>". Addresses of the network (route, tcp) are the machine's own: look the recording through before it is
given to others.
"""

import glob
import os

FILES = [
    "/proc/sys/kernel/osrelease", "/proc/meminfo", "/proc/cpuinfo", "/proc/self/status", "/proc/self/limits",
    "/proc/net/route", "/proc/net/ipv6_route", "/proc/net/tcp", "/proc/net/if_inet6",
    "/proc/sys/net/ipv6/conf/all/disable_ipv6",
    "/sys/devices/system/cpu/online", "/sys/devices/system/cpu/isolated", "/sys/devices/system/cpu/nohz_full",
    "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "/dev/net/tun",
]
PATTERNS = [
    "/sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list",
    "/sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor", "/sys/devices/system/cpu/cpu[0-9]*/node[0-9]*",
    "/sys/devices/system/node/node[0-9]*/hugepages/*/nr_hugepages",
    "/sys/devices/system/node/node[0-9]*/hugepages/*/free_hugepages", "/sys/kernel/mm/hugepages/*/nr_hugepages",
    "/sys/kernel/mm/hugepages/*/free_hugepages", "/sys/kernel/iommu_groups/*",
    "/dev/vfio/*",
]
INTERFACE = ["flags", "carrier", "mtu", "speed", "device/driver", "device/numa_node"]
PCI = ["vendor", "device", "numa_node", "current_link_width", "max_link_width"]
# Of long files, the lines that count.
KEPT = {
    "/proc/meminfo": ("MemTotal", "MemAvailable"), "/proc/cpuinfo": ("flags",), "/proc/self/limits": ("Max locked",),
    "/proc/self/status": ("Uid", "CapEff", "Cpus_allowed_list"),
}


def record(path):
    if os.path.islink(path):
        print(f"{path} -> {os.readlink(path)}")
        return
    if not os.path.isfile(path):
        print(f"{path}: ")
        return
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
    except OSError:  # what cannot be read tells nothing
        return
    if path in KEPT:
        lines = [next((line for line in lines if line.startswith(start)), "") for start in KEPT[path]]
    if len(lines) == 1:
        print(f"{path}: {lines[0]}")
    else:
        print("\n".join([f"{path} <<", *lines, ">>"]))


def main():
    for path in FILES:
        if os.path.exists(path):
            record(path)
    for pattern in PATTERNS:
        for path in sorted(glob.glob(pattern)):
            record(path)
    for name in sorted(os.listdir("/sys/class/net")):
        folder = f"/sys/class/net/{name}"
        for path in [f"{folder}/{file}" for file in INTERFACE] + sorted(glob.glob(f"{folder}/queues/rx-*")):
            if os.path.lexists(path):
                record(path)
    for folder in sorted(glob.glob("/sys/bus/pci/devices/*")):
        with open(f"{folder}/class", encoding="ascii") as file:
            if not file.read().startswith("0x02"):  # network controllers
                continue
        for path in [f"{folder}/{file}" for file in PCI + ["driver", "iommu_group"]] + glob.glob(f"{folder}/net/*"):
            if os.path.lexists(path):
                record(path)


if __name__ == "__main__":
    main()
