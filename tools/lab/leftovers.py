"""What sluiced must not leave behind on the machine."""

import glob
import os


def machine_state():
    """Files that DPDK makes outside of its namespace: hugepage files and its runtime directory."""
    state = set()
    with open("/proc/mounts", encoding="utf-8") as mounts:
        for line in mounts:
            _, directory, kind = line.split()[:3]
            if kind == "hugetlbfs":
                state.update(glob.glob(os.path.join(directory, "*")))
    for directory in ("/run/dpdk", "/var/run/dpdk", "/tmp/dpdk"):
        for path in glob.glob(os.path.join(directory, "**"), recursive=True):
            if not os.path.isdir(path):
                state.add(os.path.realpath(path))
    return state


def machine_interfaces():
    """Interfaces of the machine itself, outside of the lab's namespaces."""
    return set(os.listdir("/sys/class/net"))
